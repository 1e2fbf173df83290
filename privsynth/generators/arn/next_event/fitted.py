"""A fitted next-event network: how it is saved, restored and drawn from, without torch. Post-processing.

The network draws a row's attributes in a fixed order. What is known and comes first in that order is conditioned on, at
no cost. Where an attribute that is known, or has evidence, comes after one that is not, several candidates are drawn,
weighed by the likelihood of what is known, and one of them is kept (Rubin 1987; see `generators.arn.conditional`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from privsynth.codecs.loaded import MAX_WIDTH, code_sizes, items, require, whole
from privsynth.errors import ConfigError
from privsynth.generators.arn.conditional import CANDIDATES, choose_each, invert
from privsynth.generators.arn.sampling import probabilities
from privsynth.generators.inference import gelu

KIND = "next_event"
_ROWS_AT_ONCE = 8_192  # with their candidates (own): bounds memory to some 100 MB


@dataclass(frozen=True)
class FittedNextEvent:
    """Weights of a network, and the shares of what is given.

    Attributes:
      weights: float32 arrays, as `NextEventNetwork.arrays` returns them.
      sizes: number of codes of each attribute.
      drawn: attributes that are drawn, in their order; the others are given.
      never: for each attribute the codes that are never drawn.
      hidden: width of the layer.
      shares: of the codes of each attribute that is given, side by side: they stand in for what is given where rows are
        drawn without it. As if independent: it is no model of these.
      paid: the noisy tables as they were released; not saved with the model.
    """

    name: ClassVar[str] = "arn"
    keeps_given: ClassVar[bool] = True  # all that is given says something, and nothing of it crowds out the rest
    weights: Mapping[str, np.ndarray]
    sizes: tuple[int, ...]
    drawn: tuple[int, ...]
    never: tuple[tuple[int, ...], ...]
    hidden: int
    shares: np.ndarray
    paid: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def given(self) -> tuple[int, ...]:
        """The attributes that are given, in ascending order."""
        return tuple(at for at in range(len(self.sizes)) if at not in set(self.drawn))

    def _blocks(self, attributes: Sequence[int]) -> dict[int, slice]:
        ends = np.concatenate([[0], np.cumsum([self.sizes[at] for at in attributes])]).astype(int)
        return {at: slice(a, b) for at, (a, b) in zip(attributes, pairwise(ends), strict=True)}

    def never_drawn(self) -> list[np.ndarray]:
        """Return for each attribute (size,) booleans: the code is never drawn."""
        return [np.isin(np.arange(size), codes) for size, codes in zip(self.sizes, self.never, strict=True)]

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes; what is given is drawn from its shares."""
        return self.complete(np.full((len(self.sizes), n_rows), -1, dtype=np.int32), {}, rng)

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known (see `generators.conditional.complete`)."""
        out = np.empty(known.shape, dtype=np.uint16)
        with threadpool_limits(1, user_api="blas"):
            for start in range(0, known.shape[1], _ROWS_AT_ONCE):
                rows = known[:, start : start + _ROWS_AT_ONCE]
                out[:, start : start + rows.shape[1]] = self._complete(rows, evidence, rng)
        return out

    def _complete(self, rows: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        if not self._weighs(rows, evidence):
            return self._draw(rows, evidence, rng)[0]
        step, parts = max(_ROWS_AT_ONCE // CANDIDATES, 1), []
        for start in range(0, rows.shape[1], step):
            candidates = np.repeat(rows[:, start : start + step], CANDIDATES, axis=1)
            codes, log_weight = self._draw(candidates, evidence, rng)
            if not np.isfinite(log_weight).any():
                raise ConfigError("the model has no row, or nearly none, that meets the condition; loosen it")
            parts.append(codes[:, choose_each(log_weight.reshape(-1, CANDIDATES), rng)])
        return np.concatenate(parts, axis=1)

    def _weighs(self, rows: np.ndarray, evidence: Mapping[int, np.ndarray]) -> bool:
        """Return whether what is known or has evidence comes after something that is open."""
        open_before = False
        for at in (*self.given, *self.drawn):
            missing = bool((rows[at] < 0).any())
            if open_before and (at in evidence or not missing or bool((rows[at] >= 0).any())) and at in self.drawn:
                return True
            open_before |= missing
        return False

    def _draw(
        self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (attributes, rows) codes and (rows,) log importance weights; known codes stay as they are."""
        out, log_weight = known.astype(np.uint16), np.zeros(known.shape[1])
        before = np.repeat(self.weights["context.bias"][None, :], known.shape[1], axis=0)
        for at, block in self._blocks(self.given).items():
            gaps = np.flatnonzero(known[at] < 0)
            if len(gaps):
                share = np.repeat(self.shares[None, block].astype(np.float64), len(gaps), axis=0)
                out[at, gaps] = self._taken(share, at, gaps, evidence, log_weight, rng)
            before += self._columns["context.weight"][block][out[at]]
        for at, block in self._blocks(self.drawn).items():
            gaps = np.flatnonzero(known[at] < 0)
            share = self._shares_of(at, block, before)
            if len(gaps):
                out[at, gaps] = self._taken(share[gaps], at, gaps, evidence, log_weight, rng)
            if len(gaps) < known.shape[1]:
                there = np.flatnonzero(known[at] >= 0)
                with np.errstate(divide="ignore"):
                    log_weight[there] += np.log(share[there, out[at, there]])
            if at != self.drawn[-1]:
                before += self._columns["told.weight"][block][out[at]]
        return out, log_weight

    def _shares_of(self, at: int, block: slice, before: np.ndarray) -> np.ndarray:
        """Return (rows, size) probabilities of an attribute's codes."""
        logits = gelu(before) @ self.weights["last.weight"][block].T + self.weights["last.bias"][block]
        if self.never[at]:
            logits[:, list(self.never[at])] = -np.inf
        return probabilities(logits)

    @staticmethod
    def _taken(
        share: np.ndarray,
        at: int,
        gaps: np.ndarray,
        evidence: Mapping[int, np.ndarray],
        log_weight: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Return (gaps,) codes drawn by (gaps, size) shares times the evidence, and note what that leaves out."""
        if at in evidence:
            share = share * np.asarray(evidence[at], dtype=np.float64)
            with np.errstate(divide="ignore"):
                log_weight[gaps] += np.log(share.sum(axis=1))
        return invert(share, rng)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        """The transposed weights of the layers that are told codes: a one-hot input picks a row of these."""
        return {name: np.ascontiguousarray(self.weights[name].T) for name in ("context.weight", "told.weight")}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the weights, and the shares of what is given."""
        return {**{f"network.{name}": array for name, array in self.weights.items()}, "given.shares": self.shares}

    def settings(self) -> dict[str, Any]:
        """Return the kind of network, sizes, what is drawn and in which order."""
        return {
            "network": KIND,
            "sizes": list(self.sizes),
            "drawn": list(self.drawn),
            "never": [list(codes) for codes in self.never],
            "hidden": self.hidden,
        }


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedNextEvent:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other.
    """
    sizes = code_sizes(settings["sizes"])
    drawn = tuple(whole(at, 0, len(sizes) - 1, "an attribute") for at in items(settings["drawn"], "what is drawn"))
    said = items(settings["never"], "the codes that are never drawn")
    require(len(set(drawn)) == len(drawn) > 0 and len(said) == len(sizes), "the network does not fit the attributes")
    never = tuple(_codes(one, size) for one, size in zip(said, sizes, strict=True))
    hidden = whole(settings["hidden"], 1, MAX_WIDTH, "the width of the network")
    own = [sizes[at] for at in drawn]
    given = sum(sizes) - sum(own)
    shapes = {
        "context.weight": (hidden, given),
        "context.bias": (hidden,),
        "told.weight": (hidden, sum(own[:-1])),
        "last.weight": (sum(own), hidden),
        "last.bias": (sum(own),),
    }
    weights = {name: np.ascontiguousarray(tensors[f"network.{name}"], dtype=np.float32) for name in shapes}
    shares = np.ascontiguousarray(tensors["given.shares"], dtype=np.float32)
    fits = all(weights[name].shape == shape for name, shape in shapes.items()) and shares.shape == (given,)
    require(fits, "a tensor does not fit the attributes")
    model = FittedNextEvent(weights, sizes, drawn, never, hidden, shares)
    possible = all(
        shares[block].min() >= 0 and shares[block].sum() > 0 for block in model._blocks(model.given).values()
    )
    require(possible, "the shares of what is given are none")
    return model


def _codes(value: Any, size: int) -> tuple[int, ...]:
    """Return codes of an attribute, not all of them."""
    found = tuple(whole(code, 0, size - 1, "a code") for code in items(value, "codes", at_most=size))
    require(len(set(found)) < max(size, 1), "an attribute has no code that could be drawn")
    return found

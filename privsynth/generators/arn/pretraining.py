"""Stage 1: the network is trained on rows sampled from the marginal model, which is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from privsynth.generators.arn.network import Network, encode, random_known, row_losses
from privsynth.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class WarmSettings:
    """How the warm start is trained; public.

    Attributes:
      rows: rows sampled from the marginal model.
      steps, batch, learning_rate: of Adam, with a cosine to zero.
      even: rows beside each batch in which a value is told that is drawn evenly from those of its column.
    """

    rows: int = 98_304
    steps: int = 300
    batch: int = 1024
    learning_rate: float = 3e-3
    even: int = 128


def warm_start(
    network: Network,
    codes: np.ndarray,
    order: Sequence[int],
    settings: WarmSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    *,
    targets: Sequence[int] = (),
) -> None:
    """Train the network in place on synthetic codes (attributes, rows).

    A value that few rows have is hardly ever told in a batch, and what goes with it would not be learned: rows asked
    for by it (`--balance fraud=0.3`) would look like all others. So some rows are drawn by a value, however rare, and
    that value is told. What the network learns is the same, the distribution of the rest given the value; half of these
    rows are drawn by the values of targets.

    Guarantee: none needed; `codes` are rows of a paid model.
    """
    strata = _Strata(codes, targets)
    rows = torch.from_numpy(codes.astype(np.int64).T.copy())
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98))
    places = np.empty(0, dtype=np.int64)
    for step in range(settings.steps):
        if len(places) < settings.batch:
            places = np.concatenate([places, rng.permutation(len(rows))])
        at, places = places[: settings.batch], places[settings.batch :]
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * step / settings.steps))
        even, told = strata.draw(settings.even, rng)
        batch = rows[torch.from_numpy(np.concatenate([at, even]))]
        known = torch.from_numpy(random_known(rng.random((len(batch), batch.shape[1] + 2)), order))
        known[torch.arange(len(at), len(batch)), torch.from_numpy(told)] = True
        loss = row_losses(network(encode(batch, known, network.sizes)), batch, known, network.sizes).mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if step % 25 == 0:
            progress("warm start", step / settings.steps)
    progress("warm start", 1.0)


class _Strata:
    """Rows by the value that they have in a column."""

    def __init__(self, codes: np.ndarray, targets: Sequence[int]) -> None:
        self.by_code = [np.argsort(column, kind="stable") for column in codes]
        self.starts = [
            np.flatnonzero(np.diff(column[rows], prepend=-1)) for column, rows in zip(codes, self.by_code, strict=True)
        ]
        self.rows, self.targets = codes.shape[1], np.array(targets, dtype=np.int64)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return (count,) rows and (count,) the attribute by whose value each was drawn."""
        told = rng.integers(len(self.by_code), size=count)
        if len(self.targets):
            told[: count // 2] = self.targets[rng.integers(len(self.targets), size=count // 2)]
        chosen = np.empty(count, dtype=np.int64)
        for place, (attribute, which, where) in enumerate(zip(told, rng.random(count), rng.random(count), strict=True)):
            starts = self.starts[attribute]
            at = int(which * len(starts))
            end = starts[at + 1] if at + 1 < len(starts) else self.rows
            chosen[place] = self.by_code[attribute][starts[at] + int(where * (end - starts[at]))]
        return chosen, told

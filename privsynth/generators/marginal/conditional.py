"""Rows of a mixture of products under a condition: exact, because each component is a product. Post-processing.

With some attributes known and a likelihood for others, a component's share becomes its share times the probability that
it gives to all of them; inside the component the other attributes are as independent as before. Nothing is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from privsynth.errors import ConfigError

LEAST_MASS = 1e-12  # of the model; below it float32 probabilities carry no information
_FLOOR = 1e-30  # keeps logarithms finite; float32 holds it
_RANDOM_BITS = np.uint64(0x0000_FFFF_FFFF_0000)  # of a key; the component stands above them, the code below
_ROWS_AT_ONCE = 256  # whose scores of all components fit into the cache
_RUN = 32  # components whose probabilities are summed at once


@dataclass(frozen=True, eq=False)
class Products:
    """A mixture of products, ready to be asked many times.

    Attributes:
      p: (components, D) probabilities, one block an attribute, components of equal weight.
      sizes: of the attributes.
    """

    p: np.ndarray
    sizes: tuple[int, ...]

    @cached_property
    def starts(self) -> np.ndarray:
        """(attributes + 1,) where the block of each attribute begins, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(int)

    @property
    def blocks(self) -> list[slice]:
        """The columns of each attribute."""
        return [slice(a, b) for a, b in pairwise(self.starts)]

    @cached_property
    def log_p(self) -> np.ndarray:
        """(D, components) float32."""
        return np.ascontiguousarray(np.log(np.maximum(self.p, _FLOOR)).T.astype(np.float32))


def complete_mixture(
    mixture: Products, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Return (attributes, n) uint16 codes drawn from the mixture given what is known (see `conditional.complete`).

    Where all rows know the same, they are drawn together and with low variance; else each row has its own components.

    Raises:
      ConfigError: the mixture has (nearly) no mass where the rows should lie.
    """
    p, sizes, blocks = mixture.p, mixture.sizes, mixture.blocks
    if not blocks or known.shape[1] == 0:
        return np.zeros(known.shape, dtype=np.uint16)
    if (known == known[:, :1]).all() and known.shape[1] > 1:
        return _draw_alike(p, sizes, blocks, known, evidence, rng)
    out = known.astype(np.uint16)
    score = np.zeros((len(blocks), len(p)), dtype=np.float32)  # of the evidence on an attribute that is not known
    cdfs: dict[int, np.ndarray] = {}
    for attribute in np.flatnonzero((known < 0).any(axis=1)).tolist():
        block = p[:, blocks[attribute]].astype(np.float64)
        if attribute in evidence:
            weight = np.asarray(evidence[attribute])
            block = block * weight + _FLOOR * (weight > 0)
            score[attribute] = np.log(np.maximum(block.sum(axis=1), _FLOOR))
        cdfs[attribute] = _flat_cdf(block)
    for start in range(0, known.shape[1], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        component = _choose_components(mixture, score, known[:, rows], rng)
        for attribute, flat in cdfs.items():
            missing = np.flatnonzero(known[attribute, rows] < 0)
            owner = component[missing]
            found = np.searchsorted(flat, rng.random(len(missing)) + owner, side="right") - owner * sizes[attribute]
            out[attribute, start + missing] = np.minimum(found, sizes[attribute] - 1)
    return out


def _draw_alike(
    p: np.ndarray,
    sizes: Sequence[int],
    blocks: list[slice],
    known: np.ndarray,
    evidence: Mapping[int, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return rows that all know the same."""
    score = np.zeros(len(p))
    conditioned = p.astype(np.float64) if evidence or (known[:, 0] >= 0).any() else p
    for attribute, block in enumerate(blocks):
        code = int(known[attribute, 0])
        if code >= 0:
            score += np.log(np.maximum(conditioned[:, block.start + code], _FLOOR))
            conditioned[:, block] = np.arange(sizes[attribute]) == code
    share = np.exp(score - score.max())
    share /= share.sum()
    for attribute, weight in evidence.items():
        if known[attribute, 0] < 0:
            conditioned[:, blocks[attribute]] *= weight
            share *= conditioned[:, blocks[attribute]].sum(axis=1)
    if share.sum() < LEAST_MASS:
        raise ConfigError("the model has no row, or nearly none, that meets the condition; loosen it")
    kept = share > share.max() * 1e-12
    return draw_products(conditioned[kept], sizes, known.shape[1], rng, share[kept])


def draw_products(
    p: np.ndarray, sizes: Sequence[int], n_rows: int, rng: np.random.Generator, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return (attributes, n_rows) uint16 codes with the smallest sampling noise that products allow.

    Each component gets its share of the rows, rounded systematically; within a component each code gets its share of
    them, rounded the same way, so that counts differ from their expectation by less than one; and codes of different
    attributes meet at random. Sorting random keys that carry code and component is all the shuffling there is.

    Args:
      p: (components, D) weights of codes, one block an attribute; a block need not sum to one.
      weights: (components,) shares, equal if None.
    """
    share = np.full(len(p), 1.0 / len(p)) if weights is None else weights / weights.sum()
    edges = np.floor(np.concatenate([[0.0], np.cumsum(share)]) * n_rows + rng.random()).astype(np.int64)
    edges[-1] = n_rows
    edges[0] = 0
    count = np.diff(np.minimum(edges, n_rows))
    used = np.flatnonzero(count)
    count = count[used]
    owner = np.arange(len(used), dtype=np.uint64)[:, None] << np.uint64(48)
    out = np.empty((len(sizes), n_rows), dtype=np.uint16)
    start = 0
    for attribute, size in enumerate(sizes):
        cdf = np.cumsum(p[used, start : start + size], axis=1, dtype=np.float64)
        cdf /= cdf[:, -1:]
        # One offset a component: then every code's count is its expectation, rounded up or down.
        ends = np.minimum(np.floor(cdf * count[:, None] + rng.random((len(used), 1))).astype(np.int64), count[:, None])
        keys = rng.integers(0, 2**64, n_rows, dtype=np.uint64)
        keys &= _RANDOM_BITS
        labels = (owner | np.arange(size, dtype=np.uint64)).ravel()
        keys |= np.repeat(labels, np.diff(ends, axis=1, prepend=0).ravel())
        keys.sort()
        out[attribute] = keys  # the low 16 bits
        start += size
    return out.take(rng.permutation(n_rows), axis=1, mode="clip")  # every index is in range; no check is made


def _choose_components(mixture: Products, score: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n,) a component for each row, by its posterior probability.

    Args:
      score: (attributes, components) log likelihood of the evidence where the attribute is not known.
      known: (attributes, n) codes, −1 for unknown.
    """
    total = np.zeros((known.shape[1], len(mixture.p)), dtype=np.float32)
    taken = np.empty_like(total)
    for attribute, codes in enumerate(known):
        there = codes >= 0
        if there.all():
            total += np.take(mixture.log_p, mixture.starts[attribute] + codes, axis=0, out=taken, mode="clip")
            continue
        total[there] += mixture.log_p[mixture.starts[attribute] + codes[there]]
        if score[attribute].any():
            total[~there] += score[attribute]
    total -= total.max(axis=1, keepdims=True)
    return _drawn_places(np.exp(total, out=total), rng.random(len(total)))


def _drawn_places(weight: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return (n,) a place in each row of weights, by its weight: first a run of places, then one in it.

    Args:
      weight: (n, places) float32.
      point: (n,) uniform in [0, 1).
    """
    n, places = weight.shape
    runs = np.cumsum(np.add.reduceat(weight, np.arange(0, places, _RUN), axis=1), axis=1, dtype=np.float64)
    left = point * runs[:, -1]
    run = np.minimum((runs <= left[:, None]).sum(axis=1), runs.shape[1] - 1)
    left -= np.where(run > 0, runs[np.arange(n), run - 1], 0.0)
    at = np.minimum(run[:, None] * _RUN + np.arange(_RUN), places - 1)
    inside = weight[np.arange(n)[:, None], at].astype(np.float64)
    inside[run[:, None] * _RUN + np.arange(_RUN) >= places] = 0.0
    step = np.minimum((np.cumsum(inside, axis=1) <= left[:, None]).sum(axis=1), _RUN - 1)
    # Rounding may leave a point beyond the run: then the last place there that has any weight.
    last = _RUN - 1 - np.argmax(inside[:, ::-1] > 0, axis=1)
    found: np.ndarray = np.minimum(run * _RUN + np.minimum(step, last), places - 1)
    return found


def _flat_cdf(block: np.ndarray) -> np.ndarray:
    """Return (components · size,) the distribution functions of all components, each shifted by its index."""
    cdf = np.cumsum(block, axis=1)
    total = cdf[:, -1:]
    # A code after the last one with any probability must not be reached by rounding.
    cdf = np.where(cdf >= total, 1.0, cdf / np.maximum(total, _FLOOR))
    flat: np.ndarray = (cdf + np.arange(len(block))[:, None]).ravel()
    return flat

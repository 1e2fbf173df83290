"""Rows of a mixture of products under a condition: exact, because each component is a product. Post-processing.

With some attributes known and a likelihood for others, a component's share becomes its share times the probability that
it gives to all of them; inside the component the other attributes are as independent as before. Nothing is rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from privsynth.errors import ConfigError

LEAST_MASS = 1e-12  # of the model; below it float32 probabilities carry no information
_FLOOR = 1e-30  # keeps logarithms finite; float32 holds it
_RANDOM_BITS = np.uint64(0x0000_FFFF_FFFF_0000)  # of a key; the component stands above them, the code below
_ROWS_AT_ONCE = 512  # whose scores of all components fit into the cache


def complete_mixture(
    p: np.ndarray,
    sizes: Sequence[int],
    known: np.ndarray,
    evidence: Mapping[int, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (attributes, n) uint16 codes drawn from the mixture given what is known (see `conditional.complete`).

    Where all rows know the same, they are drawn together and with low variance; else each row has its own components.

    Args:
      p: (components, D) probabilities, one block an attribute, components of equal weight.
    Raises:
      ConfigError: the mixture has (nearly) no mass where the rows should lie.
    """
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    blocks = [slice(a, b) for a, b in pairwise(starts)]
    if not blocks or known.shape[1] == 0:
        return np.zeros(known.shape, dtype=np.uint16)
    if (known == known[:, :1]).all() and known.shape[1] > 1:
        return _draw_alike(p, sizes, blocks, known, evidence, rng)
    conditioned = p.astype(np.float64)
    score = np.zeros((len(blocks), len(p)), dtype=np.float32)  # of the evidence on an attribute that is not known
    for attribute, weight in evidence.items():
        block = conditioned[:, blocks[attribute]] * weight + _FLOOR * (np.asarray(weight) > 0)
        score[attribute] = np.log(np.maximum(block.sum(axis=1), _FLOOR))
        conditioned[:, blocks[attribute]] = block
    log_p = np.ascontiguousarray(np.log(np.maximum(p, _FLOOR)).T.astype(np.float32))
    out = known.astype(np.uint16)
    drawn = np.flatnonzero((known < 0).any(axis=1)).tolist()
    cdfs = {attribute: _flat_cdf(conditioned[:, blocks[attribute]]) for attribute in drawn}
    for start in range(0, known.shape[1], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        component = _choose_components(log_p, score, starts, known[:, rows], rng)
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


def _choose_components(
    log_p: np.ndarray, score: np.ndarray, starts: np.ndarray, known: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return (n,) a component for each row, by its posterior probability.

    Args:
      log_p: (D, components) float32.
      score: (attributes, components) log likelihood of the evidence where the attribute is not known.
      known: (attributes, n) codes, −1 for unknown.
    """
    total = np.zeros((known.shape[1], log_p.shape[1]), dtype=np.float32)
    for attribute, codes in enumerate(known):
        there = codes >= 0
        total[there] += log_p[starts[attribute] + codes[there]]
        total[~there] += score[attribute]
    total -= total.max(axis=1, keepdims=True)
    posterior = np.cumsum(np.exp(total), axis=1, dtype=np.float64)
    point = rng.random(len(posterior)) * posterior[:, -1]
    found: np.ndarray = np.minimum((posterior <= point[:, None]).sum(axis=1), log_p.shape[1] - 1)
    return found


def _flat_cdf(block: np.ndarray) -> np.ndarray:
    """Return (components · size,) the distribution functions of all components, each shifted by its index."""
    cdf = np.cumsum(block, axis=1)
    total = cdf[:, -1:]
    # A code after the last one with any probability must not be reached by rounding.
    cdf = np.where(cdf >= total, 1.0, cdf / np.maximum(total, _FLOOR))
    flat: np.ndarray = (cdf + np.arange(len(block))[:, None]).ravel()
    return flat

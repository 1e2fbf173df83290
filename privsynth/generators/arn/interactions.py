"""What DP-SGD trains: how an attribute depends on products of two or three others, over and above the network.

The network that the warm start leaves knows what the paid tables say, pairs for the most part. What they cannot say is
put into one more layer. A *score* is a function of one attribute's code with mean zero and variance one; a *term* is
the product of scores of three or four attributes, with a coefficient. The logits of an attribute get, from each term
that it is in, coefficient × scores of the others × its own scores: the conditionals of a log-linear model, so that one
coefficient serves every order in which attributes become known, and a term waits until all others are.

A coefficient is fitted by the correlation, left over by the network, between a product and a score: a coordinate of a
table of three or four attributes. In these coordinates the curvature of the loss is about one, noise falls evenly, and
structure that pairs carry no trace of, such as y = a ⊕ b ⊕ c, is a single large number.

Noise in every coordinate grows with their number, so there are no more of them than the paid budget and number of rows
can tell apart; if not all terms fit, those of attributes that are associated in pairs come first, and every other one
is drawn at random. All of it comes from synthetic rows and public figures: free.

Source: log-linear interactions (Bishop, Fienberg & Holland 1975); correspondence analysis for the scores (Greenacre
1984); parities under privacy: Barak et al. 2007; heredity of interactions: Chipman 1996.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np

MAX_SCORES = 3  # of one attribute
_RARE = 5e-3  # a code that is rarer weighs as if it were this frequent
_BOUND = 3.0  # of a score; products of unbounded scores would have heavy tails, and gradients with them
_MAX_SETS = 20_000  # of three attributes, and of four


@dataclass(frozen=True)
class Interactions:
    """Terms and their coefficients.

    Attributes:
      scores: (D, R) float32; column r is a function of the code of attribute owner[r], zero in all other rows.
      owner: (R,) the attribute of each score.
      terms: (n, 4) the scores of each term; R, which stands for one, in the last place of a term of three.
      values: (n,) float32 coefficients.
    """

    scores: np.ndarray
    owner: np.ndarray
    terms: np.ndarray
    values: np.ndarray

    def nothing_known(self, rows: int) -> np.ndarray:
        """Return (R + 1, rows) scores when nothing is known: zeros, and ones in the place that stands for one."""
        known = np.zeros((len(self.owner) + 1, rows), dtype=np.float32)
        known[-1] = 1.0
        return known

    def tell(self, known: np.ndarray, rows: np.ndarray | slice, attribute: int, places: np.ndarray) -> None:
        """Write the scores of codes that became known into (R + 1, rows) `known`.

        Args:
          rows: which rows.
          places: the codes of these rows, counted over all attributes.
        """
        for r in np.flatnonzero(self.owner == attribute).tolist():
            known[r, rows] = self.scores[:, r][places]

    def logits(self, known: np.ndarray, attribute: int, block: slice) -> np.ndarray:
        """Return (rows, size) float32, what the terms add to an attribute's logits; a term with an unknown score adds
        nothing.

        Args:
          known: (R + 1, rows), see `tell`.
          block: of the attribute's codes.
        """
        added = np.zeros((known.shape[1], block.stop - block.start), dtype=np.float32)
        told = np.asarray(known.any(axis=1))
        for r in np.flatnonzero(self.owner == attribute).tolist():
            at, place = np.nonzero(self.terms == r)
            rest = self.terms[at][np.arange(4)[None, :] != place[:, None]].reshape(-1, 3)
            waits = ~told[rest].all(axis=1)
            at, rest = at[~waits], rest[~waits]
            if len(at):
                a, b, c = rest.T
                products = known[a]
                products *= known[b]
                products *= known[c]
                added += np.outer(self.values[at] @ products, self.scores[block, r])
        return added


def check_interactions(
    scores: np.ndarray, owner: Sequence[int], terms: Sequence[Sequence[int]], values: np.ndarray, sizes: Sequence[int]
) -> Interactions:
    """Return the terms that were saved.

    Raises:
      ValueError: they do not fit each other or the attributes.
    """
    found = Interactions(
        np.ascontiguousarray(scores, dtype=np.float32),
        np.array(owner, dtype=np.int64),
        np.array(terms, dtype=np.int64).reshape(-1, 4),
        np.ascontiguousarray(values, dtype=np.float32),
    )
    count = len(found.owner)
    fits = found.scores.shape == (sum(sizes), count) and found.values.shape == (len(found.terms),)
    fits &= bool(((found.owner >= 0) & (found.owner < len(sizes))).all())
    fits &= bool(((found.terms >= 0) & (found.terms <= count)).all())
    if not fits:
        raise ValueError("the terms do not fit the attributes")
    return found


def attribute_scores(codes: np.ndarray, sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores (D, R) float64, their owners (R,), and how strongly attributes are associated in pairs.

    An attribute's scores are orthonormal functions of its code, those first that its associations with the others
    depend on most; an attribute with fewer codes has fewer.

    Args:
      codes: (attributes, rows) synthetic.
    """
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    rows = codes.shape[1]
    hot = np.zeros((rows, starts[-1]), dtype=np.float32)
    for at, column in enumerate(codes):
        hot[np.arange(rows), starts[at] + column] = 1.0
    share = hot.mean(axis=0, dtype=np.float64)
    weight = 1 / np.sqrt(np.maximum(share, _RARE))
    hot = ((hot - share) * weight).astype(np.float32)
    together = (hot.T @ hot).astype(np.float64) / rows
    blocks = [slice(a, b) for a, b in pairwise(starts)]
    association = np.array([[np.square(together[a, b]).sum() for b in blocks] for a in blocks])
    scores, owner = [], []
    for at, block in enumerate(blocks):
        others = np.delete(np.arange(starts[-1]), np.arange(block.start, block.stop))
        # A little of its own spread, so that an attribute without associations has scores as well.
        power = together[block, others] @ together[others, block] + 1e-3 * together[block, block]
        directions = np.linalg.eigh(power)[1][:, ::-1].T
        for direction in directions[: max(0, min(MAX_SCORES, int((share[block] > _RARE).sum()) - 1))]:
            score = np.zeros(starts[-1])
            score[block] = direction * weight[block]
            score[block] -= score[block] @ share[block]
            spread = math.sqrt(score[block] ** 2 @ share[block])
            score[block] = np.clip(score[block] / max(spread, 1e-6), -_BOUND, _BOUND)
            scores.append(score)
            owner.append(at)
    return np.array(scores).reshape(-1, starts[-1]).T.copy(), np.array(owner, dtype=np.int64), association


def choose_terms(
    owner: np.ndarray, association: np.ndarray, order: Sequence[int], *, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Return (n, 4) about so many terms at most: first scores of every set of attributes, then further ones.

    The attribute of a set that is drawn last takes part with all of its scores at once.

    Args:
      owner: (R,) the attribute of each score.
      association: (attributes, attributes).
    """
    of = [np.flatnonzero(owner == at).tolist() for at in range(len(association))]
    position = np.argsort(np.asarray(order))
    terms: list[tuple[int, ...]] = []
    sets = _ranked_sets([at for at, mine in enumerate(of) if mine], association, most, rng)
    for round_ in range(MAX_SCORES):  # in each round the products in which the highest score is of this rank
        for subset in sets:
            *first, last = sorted(subset, key=lambda at: position[at])
            for ranks in product(*(range(min(round_ + 1, len(of[at]))) for at in first)):
                if max(ranks) == round_:
                    scores = [of[at][rank] for at, rank in zip(first, ranks, strict=True)]
                    scores += [len(owner)] * (3 - len(scores))
                    terms += [(own, *scores) for own in of[last]]
                if len(terms) >= most:
                    return np.array(terms, dtype=np.int64)
    return np.array(terms, dtype=np.int64).reshape(-1, 4)


def _ranked_sets(
    able: Sequence[int], association: np.ndarray, most: int, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Return sets of three and four attributes, by turns the most associated and any."""
    sets, strength = [], []
    for size in (3, 4):
        found = np.array(_sets(able, size, association, rng), dtype=np.int64).reshape(-1, size)
        between = sum(association[found[:, a], found[:, b]] for a, b in combinations(range(size), 2))
        sets += [tuple(row) for row in found.tolist()]
        strength.append(np.asarray(between, dtype=np.float64) / size)
    if len(sets) > most:
        ranked, drawn = np.argsort(-np.concatenate(strength), kind="stable"), rng.permutation(len(sets))
        turns = np.stack([ranked, drawn], axis=1).ravel()
        sets = [sets[i] for i in dict.fromkeys(turns.tolist())]
    return sets


def _sets(able: Sequence[int], size: int, association: np.ndarray, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Return all sets of so many attributes; if they are too many, those of the most associated and a random draw."""
    if math.comb(len(able), size) <= _MAX_SETS:
        return list(combinations(able, size))
    with_others = association.sum(axis=1) - association.diagonal()
    strongest = sorted(able, key=lambda at: -with_others[at])
    few = max(m for m in range(size, len(able)) if math.comb(m, size) <= _MAX_SETS // 2)
    drawn = rng.random((_MAX_SETS // 2, len(able))).argpartition(size - 1, axis=1)[:, :size]
    near = combinations(sorted(strongest[:few]), size)
    return sorted({*near, *(tuple(sorted(able[i] for i in row)) for row in drawn.tolist())})

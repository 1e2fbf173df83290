"""What rare rows look like, column by column, from noisy sums over few units. Post-processing of paid tables.

Rare rows stand out somewhere: at night, in large amounts, abroad. So in each attribute they are taken to be a mixture
of rows like all others and of rows from one run of neighbouring groups, one category, or the rarest categories. Which
run, and what share, the noise does not let us know; the profile is the mean over all of them, each weighed by how
likely it makes the noisy table, and over nothing of the kind (Bayesian model averaging, Hoeting et al. 1999; the runs
are those of the scan statistic, Kulldorff 1997). What a single run cannot explain is added as far as noise does not
explain it either (James & Stein 1961, the positive part). Within a group the codes keep their shares among all rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import groups_of
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.measure import to_simplex

# Groups of an ordered attribute: few, since the noise of a run grows with their number. On a clock more, since a night
# is few of its bins.
MOST_NEIGHBOURS, MOST_OF_CYCLE = 8, 16
MOST_CATEGORIES = 64  # that stand alone; beyond, they are joined by a code book or by how rare they are
TAIL_GROUPS, LEAST_TAIL = 12, 0.02  # of such categories, and the share of the rarest group: about as many as are rare
DETAIL_WEIGHT = 0.25  # of an attribute that little depends on, in the budget; of others one
# Beliefs before the noisy table is seen (own). On the sample of payments each of them, some times larger or smaller,
# changed the mean divergence of a profile by less than 3 %.
LIKE_ALL = 0.2  # probability that an attribute of rare rows is like that of all; people declare what can be predicted
AT_AN_END = 4.0  # how much likelier a run is that reaches an end of the scale
RARE_IS_LIKELY, MOST_COMMON = 0.05, 0.7  # a run of share s of all rows is as likely as 1 / (s + …), and none beyond
MIXED = np.arange(1, 21) / 20  # shares of rare rows in a run, all as likely


@dataclass(frozen=True)
class Look:
    """How one attribute of rare rows is counted.

    Attributes:
      group: (size,) of each code; NULL, the last code, is the last group alone.
      share: (size,) of the codes among all rows, none of them zero.
      ordered, cyclic: of the groups.
      weight: of the attribute in the budget.
    """

    group: np.ndarray
    share: np.ndarray
    ordered: bool
    cyclic: bool
    weight: float

    @property
    def of_all(self) -> np.ndarray:
        """(groups,) shares among all rows."""
        found: np.ndarray = np.bincount(self.group, weights=self.share)
        return found

    @property
    def size(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1


def look_of(data: Encoded, attribute: int, share: np.ndarray) -> Look:
    """Return how an attribute is counted; a function of public facts and of a paid one-way table.

    Args:
      share: (size,) noisy shares of the codes.
    """
    known: Attribute = data.attributes[attribute]
    if known.ordered:
        group = neighbours(share, at_most=MOST_OF_CYCLE if known.cyclic else MOST_NEIGHBOURS)
    elif known.size <= MOST_CATEGORIES:
        group = np.arange(known.size)
    else:
        group = groups_of(data, attribute, share, partial(by_rareness, at_most=MOST_CATEGORIES))
    of_units = data.rows_per_unit is not None and attribute == len(data.sizes) - 1
    return Look(
        group=group,
        share=(share + 1e-6) / (share + 1e-6).sum(),
        ordered=known.ordered,
        cyclic=known.cyclic,
        weight=DETAIL_WEIGHT if known.detail or of_units else 1.0,
    )


def neighbours(share: np.ndarray, *, at_most: int) -> np.ndarray:
    """Return (size,) groups of neighbouring codes, more of them where codes are light; NULL is the last one alone."""
    known = len(share) - 1
    if known <= at_most:
        return np.arange(len(share))
    weight = np.sqrt(share[:known] + 1e-9)
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    _, dense = np.unique((middle * at_most).astype(np.int64), return_inverse=True)
    return np.append(dense, dense.max() + 1)


def by_rareness(share: np.ndarray, *, ordered: bool, at_most: int) -> np.ndarray:
    """Return (size,) groups of codes, from the rarest to the commonest and ever heavier; NULL is the last one alone.

    Args:
      ordered: not used: the codes are categories.
      at_most: codes that stand alone.
    """
    known = len(share) - 1
    if known <= at_most:
        return np.arange(len(share))
    order = np.argsort(share[:known], kind="stable")
    weight = share[order] + 1e-9
    middle = (np.cumsum(weight) - weight / 2) / weight.sum()
    cuts = LEAST_TAIL ** (np.arange(TAIL_GROUPS - 1, 0, -1) / (TAIL_GROUPS - 1))
    _, dense = np.unique(np.searchsorted(cuts, middle), return_inverse=True)
    found = np.empty(len(share), dtype=np.int64)
    found[order] = dense
    found[-1] = dense.max() + 1
    return found


def estimate_profile(looks: Sequence[Look], tables: Sequence[np.ndarray], noise: Sequence[float]) -> list[np.ndarray]:
    """Return for each attribute (size,) shares of its codes in the rare rows.

    All tables sum to the same weight of units, so their noisy sums together tell it.

    Args:
      tables, noise: for each attribute its noisy groups and their standard deviation.
    """
    precision = np.array([1.0 / (len(table) * sigma**2) for table, sigma in zip(tables, noise, strict=True)])
    total = float((np.array([table.sum() for table in tables]) * precision).sum() / precision.sum())
    total = max(total, float(precision.sum()) ** -0.5)
    found = []
    for look, table, sigma in zip(looks, tables, noise, strict=True):
        mean = _Runs.of(look).mean(look.of_all, table / total, sigma / total)
        seen = _with_the_rest(mean, table / total, sigma / total)
        shares = look.share * (seen / look.of_all)[look.group]
        found.append(shares / shares.sum())
    return found


def _with_the_rest(mean: np.ndarray, seen: np.ndarray, sigma: float) -> np.ndarray:
    keep = max(0.0, 1.0 - (len(mean) - 1) * sigma**2 / max(float(((seen - mean) ** 2).sum()), 1e-12))
    found: np.ndarray = (1.0 - keep) * mean + keep * to_simplex(seen)
    return found


@dataclass(frozen=True)
class _Runs:
    """Where rare rows may stand out.

    Attributes:
      inside: (runs, groups) shares of all rows in a run, which sum to one.
      belief: (runs,) logarithms of prior probabilities.
    """

    inside: np.ndarray
    belief: np.ndarray

    @classmethod
    def of(cls, look: Look) -> _Runs:
        """Return runs of neighbouring groups, or single categories and the rarest; and NULL alone."""
        of_all, known = look.of_all, look.size - 1
        place = np.arange(known)
        if look.ordered:
            first, length = (at.ravel() for at in np.meshgrid(place, np.arange(1, known), indexing="ij"))
            if not look.cyclic:
                first, length = first[first + length <= known], length[first + length <= known]
            member = (place[None, :] - first[:, None]) % max(known, 1) < length[:, None]
            ends = (first == 0) | (first + length == known)
            belief = np.where(ends & (not look.cyclic), AT_AN_END, 1.0)
        else:
            rank = np.argsort(np.argsort(of_all[:known], kind="stable"), kind="stable")
            member = np.concatenate([np.eye(known, dtype=bool), rank[None, :] < np.arange(2, known)[:, None]])
            belief = np.ones(len(member))
        member = np.pad(member, ((0, 1), (0, 1)))
        member[-1, -1] = True
        weight = member @ of_all
        belief = np.append(belief, 1.0) / (weight + RARE_IS_LIKELY)
        kept = weight <= max(MOST_COMMON, float(weight.min()))
        inside = (member * of_all)[kept]
        return cls(inside / inside.sum(axis=1, keepdims=True), np.log(belief[kept] / belief[kept].sum()))

    def mean(self, of_all: np.ndarray, seen: np.ndarray, sigma: float) -> np.ndarray:
        """Return (groups,) the mean of all mixtures, weighed by how likely each makes what was seen.

        Args:
          seen, sigma: noisy shares and their standard deviation.
        """
        apart = self.inside - of_all
        slope, curve = apart @ (seen - of_all) / sigma**2, (apart**2).sum(axis=1) / sigma**2
        gain = MIXED[:, None] * slope - MIXED[:, None] ** 2 * curve / 2  # of the log likelihood, beside none at all
        gain += self.belief + math.log((1.0 - LIKE_ALL) / len(MIXED))
        none = math.log(LIKE_ALL)
        most = max(float(gain.max()), none)
        likely = np.exp(gain - most)
        mixed = MIXED @ likely / (likely.sum() + math.exp(none - most))
        found: np.ndarray = (1.0 - mixed.sum()) * of_all + mixed @ self.inside
        return found

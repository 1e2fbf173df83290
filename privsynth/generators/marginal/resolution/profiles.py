"""Select the tables of round one, and profiles of codes among them.

A table of 500 codes drowns in its own noise, and a coarse one tells a dozen of them apart. In between are the codes
with as many rows as can be seen beside the noise in an entry: each has a row, its profile. The best score for its price
rarely chooses such a table, as it has hundreds of entries, most of which say little each; but the fit finds which codes
have alike profiles, as a mixture does, and that is where they pay. So they have a share of their own. Where groups of
the codes are declared, tables of groups say more. Pure functions of noisy figures and public facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.codecs.contingency import Marginal, coarse_groups
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.select import Priced, select_marginals
from privsynth.privacy.budget import ROUNDING

# Of the μ² of both rounds' tables for round one, by trial on public and invented tables.
FIRST_OF_MEASUREMENT = 0.75
# By trial on an invented table of 500 codes and on the sample hospital without its hierarchy, at ε = 1 and 3. Of the
# same μ² for each table of profiles, and what the other tables of round one have less for it.
PROFILE_OF_MEASUREMENT, LESS_FOR_OTHERS = 0.08, 0.13
MANY = 40  # codes with enough rows, from which on an attribute has profiles
MOST = 3  # tables of profiles: the pairs of the highest scores
PARTNER_GROUPS = 9  # of the other attribute, NULL's included
ENOUGH = 2.0  # standard deviations of an entry's noise, from which on a code holds enough rows


@dataclass(frozen=True, kw_only=True)
class FirstSelection:
    """What round one selects from.

    Attributes:
      candidates: pairs in several resolutions.
      scores: (candidates,) noisy, in rows.
      one_way: noisy tables, as they were bought.
      shares: for each attribute (size,) noisy shares.
      sensitivity: see `number_of_groups`.
      likely: see `likely_targets`.
    """

    candidates: Sequence[Marginal]
    scores: np.ndarray
    one_way: Sequence[Measurement]
    shares: Sequence[np.ndarray]
    sensitivity: float
    likely: Sequence[int]

    def worth(self, data: Encoded, at: Sequence[int], mu_squared: float) -> list[Priced]:
        """Return those of some candidates that pay for themselves."""
        return select_marginals(
            data,
            [self.candidates[r] for r in at],
            self.scores[list(at)],
            self.one_way,
            mu_squared=mu_squared,
            sensitivity=self.sensitivity,
            likely=self.likely,
        )

    def best(self, pair: tuple[int, ...]) -> float:
        """Return the highest score of a pair."""
        return max(float(self.scores[r]) for r, marginal in enumerate(self.candidates) if marginal.attributes == pair)


def select_first(data: Encoded, choice: FirstSelection, *, mu_squared: float) -> tuple[list[Priced], float]:
    """Return the tables of round one with their prices, and the μ² of which they are.

    Args:
      mu_squared: of both rounds' tables.
    """
    everything = range(len(choice.candidates))
    first = mu_squared * FIRST_OF_MEASUREMENT
    # If nothing pays for itself, the one table that comes nearest: the budget is not thrown away.
    selected = choice.worth(data, everything, first) or [(choice.candidates[int(np.argmax(choice.scores))], first)]
    if data.prior is not None:  # it tells how codes differ
        return selected, first
    price = mu_squared * PROFILE_OF_MEASUREMENT * ROUNDING
    profiled = profiles(data, choice, [v for v, _ in selected], noise=choice.sensitivity * price**-0.5)
    if not profiled:
        return selected, first
    pairs = {marginal.attributes for marginal in profiled}
    others = [r for r in everything if choice.candidates[r].attributes not in pairs]
    left = mu_squared * (FIRST_OF_MEASUREMENT - LESS_FOR_OTHERS * len(profiled))
    selected = choice.worth(data, others, left) if others else []
    return [*selected, *((marginal, price) for marginal in profiled)], left + mu_squared * PROFILE_OF_MEASUREMENT * len(
        profiled
    )


def profiles(data: Encoded, choice: FirstSelection, selected: Sequence[Marginal], *, noise: float) -> list[Marginal]:
    """Return the tables that profile codes, `MOST` at the most, each instead of one that tells fewer codes apart.

    Args:
      selected: what is worth its price; a pair without a table has no profiles either.
      noise: in an entry, in rows.
    """
    found: dict[tuple[int, ...], Marginal] = {}
    for marginal in sorted(selected, key=lambda marginal: (-choice.best(marginal.attributes), marginal.attributes)):
        for a, size in zip(marginal.attributes, marginal.shape, strict=True):
            alone = _seen_alone(choice.shares[a], least=ENOUGH * noise / data.n_rows)
            open_codes = not data.attributes[a].ordered and a not in data.books
            if open_codes and len(alone) - 1 > int(alone[:-1].sum()) >= max(MANY, size - 1):
                axes = (_alone(alone) if b == a else _partner(data, b, choice.shares[b]) for b in marginal.attributes)
                found.setdefault(marginal.attributes, Marginal(marginal.attributes, tuple(axes)))
    return list(found.values())[:MOST]


def _seen_alone(share: np.ndarray, *, least: float) -> np.ndarray:
    """Return (size,) booleans: a code that holds so large a share, or NULL, the last one."""
    return np.append(share[:-1] > least, True)


def _alone(alone: np.ndarray) -> np.ndarray:
    """Return (size,) groups: each marked code by itself, and all others together."""
    return np.unique(np.where(alone, np.arange(len(alone)), -1), return_inverse=True)[1]


def _partner(data: Encoded, attribute: int, share: np.ndarray) -> np.ndarray:
    return coarse_groups(share, ordered=data.attributes[attribute].ordered, at_most=PARTNER_GROUPS)

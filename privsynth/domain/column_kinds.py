"""Column facts that nobody declared, released from votes: each cell casts one for what it looks like.

Digits may be codes. Where neither a name nor cells with letters say so, the rows in peaks of the histogram do.

A unit moves at most `max_rows_per_unit` votes in each column, or one if its rows weigh one together.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa

from privsynth.codecs import parse
from privsynth.codecs.column_facts import (
    CENT,
    CLEAR,
    MINUTE,
    POINTS,
    ColumnFacts,
    Hints,
    decide,
    declared_facts,
    needs_votes,
)
from privsynth.domain.numbers.peaks import PeaksRequest, columns_of_codes
from privsynth.partitions.marks import SIDE, STEPS, used, weights
from privsynth.partitions.rows import PrivateRows
from privsynth.privacy.accounting import round_up
from privsynth.privacy.budget import ROUNDING
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Weighting, count
from privsynth.schema.code_names import names_codes
from privsynth.schema.definition import Column, Schema
from privsynth.schema.stated_types import Family

# Of the votes' μ², for telling codes from numbers (own): noise in it is then about that in a vote for a few columns.
PEAKS_OF_VOTES = 0.35


@dataclass(frozen=True, kw_only=True)
class FactsRequest:
    """What is asked of the votes; public.

    Attributes:
      names: the columns whose facts are wanted.
      mu_squared: of part "votes".
      typed: columns whose kind the source's types state, and no person.
      families: column -> the kinds that its type leaves open.
    """

    schema: Schema
    names: Sequence[str]
    mu_squared: float
    typed: Collection[str] = ()
    families: Mapping[str, Family] = field(default_factory=dict)

    def hints(self, name: str) -> Hints:
        """Return what is known of a column beside its votes."""
        return Hints(family=self.families.get(name), codes=names_codes(name))

    @property
    def may_be_codes(self) -> frozenset[str]:
        """Columns of which nothing says that digits in them are numbers: no kind, no unit, no rule."""
        used = {name for rule in self.schema.parsed_rules() for name in rule.columns}
        return frozenset(n for n in self.names if n not in used and _says_nothing(self.schema.column(n)))


def learn_facts(
    rows: PrivateRows, request: FactsRequest, weighting: Weighting, mechanisms: Mechanisms
) -> dict[str, ColumnFacts]:
    """Return the facts of each named column; those that nobody declared come from a mechanism.

    Guarantee: two Gaussian releases of part "votes" that add up to `mu_squared`. Each row casts one vote in each open
      column, so all rows of a unit move the votes by at most `weighting.unit_weight`·√columns in L2. Of which columns
      the second asks whether they hold codes, and how it counts, follows from the first (see `columns_of_codes`).
      Nothing is spent if all facts are declared.
    Args:
      rows: with marks; those that are used vote.
      weighting: how they are counted.
    """
    schema = request.schema
    open_names = [n for n in request.names if needs_votes(schema.column(n), rows.schema.field(n).type)]
    noisy = np.zeros((len(open_names), parse.N_VOTES))
    sigma = 0.0
    if open_names:
        counts = rows.add_up(partial(_votes, open_names, weighting.weighed), [*open_names, SIDE, STEPS])
        release = mechanisms.gaussian(
            counts,
            l2_sensitivity=round_up(weighting.unit_weight * math.sqrt(len(open_names)), 12),
            part="votes",
            mu_squared=request.mu_squared * (1.0 - PEAKS_OF_VOTES) * ROUNDING,
            label="what the cells of each column look like",
        )
        noisy, sigma = release.values * weighting.rows_per_step, release.sigma * weighting.rows_per_step
    votes = dict(zip(open_names, noisy, strict=True))
    bought = {name: _with_nulls(of_column, sigma, request.hints(name)) for name, of_column in votes.items()}
    may_be = request.may_be_codes
    digits = [name for name in open_names if name in may_be and _mostly_digits(votes[name], bought[name])]
    peaks = PeaksRequest(
        known={name: float(np.maximum(votes[name][POINTS], 0.0).sum()) for name in digits},
        mu_squared=request.mu_squared * PEAKS_OF_VOTES * ROUNDING,
    )
    for name in columns_of_codes(rows, bought, peaks, weighting, mechanisms):
        bought[name] = replace(bought[name], kind="categorical", precision=1.0)
    facts = {}
    for name in request.names:
        column = schema.column(name)
        if name in bought:
            facts[name] = _combine(column, bought[name])
        else:
            facts[name] = declared_facts(column, rows.schema.field(name).type)
        if name in request.typed:
            facts[name] = replace(facts[name], provenance="fixed")
    return facts


def _says_nothing(column: Column) -> bool:
    """Return whether the schema leaves open that a column's digits are codes."""
    return column.kind is None and column.precision is None and column.unit is None


def _mostly_digits(votes: np.ndarray, fact: ColumnFacts) -> bool:
    """Return whether by released votes the cells are numbers with a point, and most of them whole."""
    whole, points = float(votes[parse.NUMBER]), float(votes[POINTS].sum())
    return fact.kind in ("numeric", "integer") and fact.decimal == "." and 2.0 * whole >= points > 0


def _votes(names: Sequence[str], weighed: bool, part: pa.Table) -> np.ndarray:
    """Return (names, N_VOTES) votes of the cells of the rows that are used: how many, or how many steps they weigh."""
    part = used(part)
    steps = weights(part, weighed)
    return np.stack([count(parse.votes(part.column(name)), parse.N_VOTES, steps) for name in names])


def _with_nulls(votes: np.ndarray, sigma: float, hints: Hints) -> ColumnFacts:
    """Return the facts that noisy votes support, with the share of nulls."""
    total = max(float(np.where(votes > CLEAR * sigma, votes, 0.0).sum()), 1.0)
    null = float(votes[parse.NULL])
    return replace(
        decide(votes, sigma, hints), null_share=min(max(null, 0.0) / total, 1.0), null_sigma=min(sigma / total, 1.0)
    )


def _combine(column: Column, bought: ColumnFacts) -> ColumnFacts:
    """Return the bought facts where the schema is silent; a declared kind stands."""
    if column.kind is None:
        return bought
    fits = bought.kind in (("numeric", "integer") if column.kind == "numeric" else ("datetime", "date"))
    default = CENT if column.kind == "numeric" else MINUTE
    precision = bought.precision if fits else default
    return ColumnFacts(
        kind=column.kind,
        precision=column.precision or (min(precision, MINUTE) if column.kind == "datetime" else precision),
        decimal=column.decimal or (bought.decimal if fits else "."),
        format=column.format or (bought.format if fits else None),
        null_share=bought.null_share,
        null_sigma=bought.null_sigma,
    )

"""What must be known of a column before it can be encoded: kind, precision, date format, decimal sign.

A fact is declared by the schema, fixed by a default or by the container's own type (a Parquet file says that a column
holds booleans, as a header says its name), or bought: each cell casts one vote for what it looks like, and the votes
are released with noise. A unit moves at most k votes a column, or one where its rows weigh one together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from privsynth.codecs import parse
from privsynth.codecs.column_facts import CLEAR, Facts, decide, declared_facts, needs_votes
from privsynth.privacy.accounting import round_up
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.privacy.unit_weights import Look, Weights, count
from privsynth.schema.definition import Column, Schema
from privsynth.table import Table


def learn_facts(
    table: Table,
    schema: Schema,
    names: Sequence[str],
    mechanisms: Mechanisms,
    *,
    k: int,
    mu_squared: float,
    weights: Weights | None = None,
    rows: np.ndarray | None = None,
) -> dict[str, Facts]:
    """Return the facts of each named column, buying those that nobody declared.

    Guarantee: one Gaussian release of part "votes" at `mu_squared`: each row casts one vote in each open column, so a
      unit of k rows moves the votes by at most k·√columns in L2, or by √columns units where its votes weigh one
      together. Nothing is spent where all is declared.
    Args:
      rows: indices of the rows that vote; all of the table if None.
    """
    open_names = [n for n in names if needs_votes(schema.column(n), table.column(n).type)]
    look = Look(k, weights)
    noisy = np.zeros((len(open_names), parse.N_VOTES))
    sigma = 0.0
    if open_names:
        counts = np.stack([_votes(table, name, look.rows, rows) for name in open_names])
        release = mechanisms.gaussian(
            counts,
            l2_sensitivity=round_up(look.of_unit * math.sqrt(len(open_names)), 12),
            part="votes",
            mu_squared=mu_squared,
            label="what the cells of each column look like",
        )
        noisy, sigma = release.values * look.in_rows, release.sigma * look.in_rows
    facts = {}
    for name in names:
        column, physical = schema.column(name), table.column(name).type
        if name in open_names:
            facts[name] = _combine(column, _with_nulls(noisy[open_names.index(name)], sigma))
        else:
            facts[name] = declared_facts(column, physical)
    return facts


def _votes(table: Table, name: str, weight: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray:
    """Return (N_VOTES,) how many cells of some rows look like what, or what they weigh."""
    votes = parse.votes(table.column(name))  # cell by cell: what rows are left out does not matter
    counts = count(votes if rows is None else votes[rows], parse.N_VOTES, weight)
    table.let_go()
    return counts


def _with_nulls(votes: np.ndarray, sigma: float) -> Facts:
    """Return the facts that noisy votes support, with the share of nulls."""
    total = max(float(np.where(votes > CLEAR * sigma, votes, 0.0).sum()), 1.0)
    null = float(votes[parse.NULL])
    return replace(decide(votes, sigma), nulls=min(max(null, 0.0) / total, 1.0), doubt=min(sigma / total, 1.0))


def _combine(column: Column, bought: Facts) -> Facts:
    """Return the bought facts where the schema is silent; a declared kind stands."""
    if column.kind is None:
        return bought
    fits = bought.kind in (("numeric", "integer") if column.kind == "numeric" else ("datetime", "date"))
    default = 0.01 if column.kind == "numeric" else 60.0
    precision = bought.precision if fits else default
    return Facts(
        kind=column.kind,
        precision=column.precision or (min(precision, 60.0) if column.kind == "datetime" else precision),
        decimal=column.decimal or (bought.decimal if fits else "."),
        format=column.format or (bought.format if fits else None),
        nulls=bought.nulls,
        doubt=bought.doubt,
    )

"""What must be known of a column before it can be encoded: kind, precision, date format, decimal sign.

A fact is declared by the schema, fixed by a default or by the container's own type (a Parquet file says that a column
holds booleans, as a header says its name), or bought: each cell casts one vote for what it looks like, and the votes
are released with noise. A unit moves at most k votes a column, or one where its rows weigh one together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from privsynth.encoding import cells
from privsynth.encoding.units import Look, Weights, count
from privsynth.privacy.accounting import round_up
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.schema.model import Column, Kind, Schema
from privsynth.table import Table

Provenance = Literal["declared", "bought", "fixed"]
DAY = 86_400.0
# Standard deviations above which a vote counts as cast. A column's precision is wrong in fewer than one of 100,000 for
# want of votes; and of some thirty sorts of votes none is noise alone, which would pass for a minority of other cells.
CLEAR = 4.5
MAJORITY = 0.9  # share of the known cells that must look like numbers or dates
POINTS = slice(cells.NUMBER, cells.COMMA)
COMMAS = slice(cells.COMMA + 1, cells.DATE_ISO)
# ISO; day first, month first or either; with points. Each format has a place for dates, minutes and seconds.
TIMES = (
    slice(cells.DATE_ISO, cells.DAY_FIRST),
    slice(cells.DAY_FIRST, cells.POINTED),
    slice(cells.POINTED, cells.N_VOTES),
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Public facts of one column.

    Attributes:
      kind: what the cells mean.
      precision: grid step of numbers; seconds for times (86,400 for dates); 1 otherwise.
      decimal: decimal sign of numbers in text.
      format: strptime format of times, None for ISO 8601.
      provenance: where the kind comes from.
      nulls: share of the cells that are null, as far as noise shows, or None if nobody counted; and its deviation.
    """

    kind: Kind
    precision: float = 1.0
    decimal: str = "."
    format: str | None = None
    provenance: Provenance = "declared"
    nulls: float | None = field(default=None, compare=False)
    doubt: float = field(default=0.0, compare=False)


def needs_votes(column: Column, physical: pa.DataType) -> bool:
    """Return whether a fact of the column has to be bought; from the schema and the container's type alone."""
    if pa.types.is_boolean(physical) and column.kind in (None, "boolean"):
        return False
    if column.kind is None:
        return True
    return column.precision is None and column.kind in ("numeric", "datetime")


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
    noisy = np.zeros((len(open_names), cells.N_VOTES))
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
    votes = cells.votes(table.column(name))  # cell by cell: what rows are left out does not matter
    counts = count(votes if rows is None else votes[rows], cells.N_VOTES, weight)
    table.let_go()
    return counts


def _with_nulls(votes: np.ndarray, sigma: float) -> Facts:
    """Return the facts that noisy votes support, with the share of nulls."""
    total = max(float(np.where(votes > CLEAR * sigma, votes, 0.0).sum()), 1.0)
    null = float(votes[cells.NULL])
    return replace(decide(votes, sigma), nulls=min(max(null, 0.0) / total, 1.0), doubt=min(sigma / total, 1.0))


def declared_facts(column: Column, physical: pa.DataType) -> Facts:
    """Return the facts of a column that needs no votes."""
    if column.kind is None:
        return Facts(kind="boolean", provenance="fixed")
    default = {"datetime": 60.0, "date": DAY}.get(column.kind, 1.0)
    return Facts(
        kind=column.kind,
        precision=DAY if column.kind == "date" else (column.precision or default),
        decimal=column.decimal or ".",
        format=column.format,
    )


def decide(votes: np.ndarray, sigma: float) -> Facts:
    """Return the facts that noisy votes support; a pure function of the release."""
    # What is not clear of the noise counts for nothing: positive parts of noise would pass for a minority.
    clear = np.where(votes > CLEAR * sigma, np.maximum(votes, 0.0), 0.0)

    def cast(group: slice) -> float:
        """Return the votes of a group: those that stand clear one by one, or all of them if they do together."""
        together = float(votes[group].sum())
        stand_out = together > CLEAR * sigma * math.sqrt(len(votes[group]))
        return max(float(clear[group].sum()), together if stand_out else 0.0)

    points, commas, times = cast(POINTS), cast(COMMAS), [cast(group) for group in TIMES]
    known = max(float(clear[cells.TEXT : cells.NUMBER].sum()) + points + commas + sum(times), 1.0)
    # A vote counts as cast where it stands clear of the noise and above one in a hundred.
    floor = max(0.01 * known, CLEAR * sigma)

    def finest(counts: np.ndarray, votes_each: int = 1) -> int:
        """Return the last place that votes were cast for, or that they were cast for or beyond."""
        beyond = np.cumsum(counts[::-1])[::-1]
        noise = CLEAR * sigma * np.sqrt(votes_each * np.arange(len(counts), 0, -1))
        here = counts > max(floor, CLEAR * sigma * math.sqrt(votes_each))
        found = np.flatnonzero(here | (beyond > np.maximum(floor, noise)))
        return int(found[-1]) if len(found) else 0

    integers = float(clear[cells.NUMBER])
    if commas > points - integers and commas + integers >= MAJORITY * known and commas > floor:
        decimals = 1 + finest(votes[COMMAS])
        return Facts(kind="numeric", precision=_power(decimals), decimal=",", provenance="bought")
    if points >= MAJORITY * known and points > floor:
        decimals = finest(votes[POINTS])
        return Facts(kind="numeric" if decimals else "integer", precision=_power(decimals), provenance="bought")
    if sum(times) >= MAJORITY * known and sum(times) > floor:
        # The clock is read off one family of formats: what others add is noise.
        family = votes[TIMES[int(np.argmax(times))]].reshape(-1, 3)
        step = finest(family.sum(axis=0), votes_each=len(family))
        kind: Kind = "date" if step == 0 else "datetime"
        format_ = _format(clear[cells.DATE_ISO :].reshape(-1, 3), step)
        return Facts(kind=kind, precision=(DAY, 60.0, 1.0)[step], format=format_, provenance="bought")
    return Facts(kind="categorical", provenance="bought")


def exact_facts(column: pa.ChunkedArray) -> Facts:
    """Return what the cells of a column say without noise. Private: for drafts and audits that never leave."""
    return decide(np.bincount(cells.votes(column), minlength=cells.N_VOTES).astype(np.float64), 0.0)


def _power(decimals: int) -> float:
    return float(f"1e-{decimals}")


def _format(times: np.ndarray, step: int) -> str | None:
    iso, day_first, month_first, either, pointed = times.sum(axis=1)
    if iso >= max(day_first + month_first + either, pointed):
        return None
    slashed = "%d/%m/%Y" if day_first >= month_first else "%m/%d/%Y"
    date = "%d.%m.%Y" if pointed > day_first + month_first + either else slashed
    return date + ("", " %H:%M", " %H:%M:%S")[step]


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

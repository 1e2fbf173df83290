"""Column facts, without which a column cannot be encoded: kind, precision, date format, decimal sign.

A fact is declared by the schema, fixed by a default or by the container's own type (a Parquet file says that a column
holds booleans, as a header says its name), or bought by votes (`privsynth.domain.column_kinds`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from privsynth.codecs import parse
from privsynth.schema.definition import Column, Kind
from privsynth.schema.stated_types import Family

Provenance = Literal["declared", "bought", "fixed", "prior"]
DAY = 86_400.0  # seconds
# Standard deviations above which votes are significant: noise alone passes with probability 3e-6, so that hardly one of
# a column's thirty sorts of votes is noise that looks like a minority of other cells (own).
CLEAR = 4.5
MAJORITY = 0.9  # share of the known cells that must look like numbers or dates for the column to be one (own)
# Share of the known cells from which on a sort of votes counts: rarer ones are typing errors (own).
MINORITY = 0.01
# Share from which on cells such as V27 or 007 tell that digits beside them are codes, too (own): of the main diagnoses
# of ICD-9 1.5 % begin with V or E; typing errors that look so are rarer.
CODES = 0.005
CENT, MINUTE = 0.01, 60.0  # grid steps where no votes tell them (own): of amounts, and of a clock that people read
POINTS = slice(parse.NUMBER, parse.COMMA)
COMMAS = slice(parse.COMMA + 1, parse.DATE_ISO)
# ISO; day first, month first or either; with points. Each format has a place for dates, minutes and seconds.
TIMES = (
    slice(parse.DATE_ISO, parse.DAY_FIRST),
    slice(parse.DAY_FIRST, parse.POINTED),
    slice(parse.POINTED, parse.N_VOTES),
)


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """Public facts of one column.

    Attributes:
      kind: what the cells mean.
      precision: grid step of numbers; seconds for times (86,400 for dates); 1 otherwise.
      decimal: decimal sign of numbers in text.
      format: strptime format of times, None for ISO 8601.
      provenance: where the kind comes from.
      null_share: noisy share of null cells; None if it was not released.
      null_sigma: standard deviation of that share.
    """

    kind: Kind
    precision: float = 1.0
    decimal: str = "."
    format: str | None = None
    provenance: Provenance = "declared"
    null_share: float | None = field(default=None, compare=False)
    null_sigma: float = field(default=0.0, compare=False)


def needs_votes(column: Column, physical: pa.DataType) -> bool:
    """Return whether a fact of the column has to be released; from the schema and the container's type alone."""
    if pa.types.is_boolean(physical) and column.kind in (None, "boolean"):
        return False
    if column.kind is None:
        return True
    return column.precision is None and column.kind in ("numeric", "datetime")


def declared_facts(column: Column, physical: pa.DataType) -> ColumnFacts:
    """Return the facts of a column that needs no votes."""
    if column.kind is None:
        return ColumnFacts(kind="boolean", provenance="fixed")
    default = {"datetime": MINUTE, "date": DAY}.get(column.kind, 1.0)
    return ColumnFacts(
        kind=column.kind,
        precision=DAY if column.kind == "date" else (column.precision or default),
        decimal=column.decimal or ".",
        format=column.format,
    )


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What is known of a column beside its votes; public.

    Attributes:
      family: what its type leaves open; None where the type proves nothing.
      codes: its name says that it holds codes.
    """

    family: Family | None = None
    codes: bool = False


NO_HINTS = Hints()


def decide(votes: np.ndarray, sigma: float, hints: Hints = NO_HINTS) -> ColumnFacts:
    """Return the facts that noisy votes support; a pure function of the release and of public hints.

    Digits are taken for codes where the name says so, or where some cells beside them are codes with letters or with
    zeros in front.
    """
    # What is not significant counts as zero: positive parts of noise would look like a minority.
    clear = np.where(votes > CLEAR * sigma, np.maximum(votes, 0.0), 0.0)

    def cast(group: slice) -> float:
        """Return the votes of a group: those that are significant by themselves, or all if their sum is."""
        together = float(votes[group].sum())
        significant = together > CLEAR * sigma * math.sqrt(len(votes[group]))
        return max(float(clear[group].sum()), together if significant else 0.0)

    points, commas, times = cast(POINTS), cast(COMMAS), [cast(group) for group in TIMES]
    known = max(float(clear[parse.TEXT : parse.NUMBER].sum()) + points + commas + sum(times), 1.0)
    # Votes count where they are significant and no small minority.
    floor = max(MINORITY * known, CLEAR * sigma)

    def finest(counts: np.ndarray, votes_each: int = 1) -> int:
        """Return the finest place that the votes support, by themselves or together with finer ones."""
        beyond = np.cumsum(counts[::-1])[::-1]
        noise = CLEAR * sigma * np.sqrt(votes_each * np.arange(len(counts), 0, -1))
        here = counts > max(floor, CLEAR * sigma * math.sqrt(votes_each))
        found = np.flatnonzero(here | (beyond > np.maximum(floor, noise)))
        return int(found[-1]) if len(found) else 0

    if clear[parse.BOOLEAN] > max(known - floor, floor):
        return ColumnFacts(kind="boolean", provenance="bought")
    integers = float(clear[parse.NUMBER])
    kind: Kind
    if commas > points - integers and commas + integers >= MAJORITY * known and commas > floor:
        decimals = 1 + finest(votes[COMMAS])
        return ColumnFacts(kind="numeric", precision=_power(decimals), decimal=",", provenance="bought")
    if points >= MAJORITY * known and points > floor:
        whole = 2.0 * integers >= points
        if clear[parse.CODE] > max(CODES * known, CLEAR * sigma) or (hints.codes and whole):
            return ColumnFacts(kind="categorical", provenance="bought")
        decimals = finest(votes[POINTS])
        return ColumnFacts(kind="numeric" if decimals else "integer", precision=_power(decimals), provenance="bought")
    if sum(times) >= MAJORITY * known and sum(times) > floor:
        # The time of day follows from one family of formats: what others add is noise.
        family = votes[TIMES[int(np.argmax(times))]].reshape(-1, 3)
        step = finest(family.sum(axis=0), votes_each=len(family))
        kind = "date" if step == 0 else "datetime"
        format_ = _format(clear[parse.DATE_ISO :].reshape(-1, 3), step)
        return ColumnFacts(kind=kind, precision=(DAY, 60.0, 1.0)[step], format=format_, provenance="bought")
    if hints.family == "time":
        return ColumnFacts(kind="datetime", precision=MINUTE, provenance="bought")
    if hints.family == "number" or (hints.family == "integer" and not hints.codes):
        whole_numbers = hints.family == "integer"
        kind = "integer" if whole_numbers else "numeric"
        return ColumnFacts(kind=kind, precision=1.0 if whole_numbers else CENT, provenance="bought")
    return ColumnFacts(kind="categorical", provenance="bought")


def exact_facts(column: pa.ChunkedArray, hints: Hints = NO_HINTS) -> ColumnFacts:
    """Return the facts of a column without noise. Private: for drafts and audits that never leave."""
    return decide(np.bincount(parse.votes(column), minlength=parse.N_VOTES).astype(np.float64), 0.0, hints)


def _power(decimals: int) -> float:
    return float(f"1e-{decimals}")


def _format(times: np.ndarray, step: int) -> str | None:
    iso, day_first, month_first, either, pointed = times.sum(axis=1)
    if iso >= max(day_first + month_first + either, pointed):
        return None
    slashed = "%d/%m/%Y" if day_first >= month_first else "%m/%d/%Y"
    date = "%d.%m.%Y" if pointed > day_first + month_first + either else slashed
    return date + ("", " %H:%M", " %H:%M:%S")[step]

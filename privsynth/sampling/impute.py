"""Imputation: the gaps of a person's own table, filled from a released model. The model is not learned from the table.

Known cells condition the model; gaps are drawn from it, so that repeated draws show how uncertain a filled value is
(Rubin 1987, multiple imputation). Nothing is spent: the model is a release. The result holds the real rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from privsynth.codecs.columns import DAY, CategoryCodec, DerivedCodec, NumberCodec, TiedCodec, TimeCodec
from privsynth.codecs.decoded_rows import Decoded, DecodedRows
from privsynth.codecs.parse import Categories, Grid
from privsynth.codecs.parsed_table import ParsedTable
from privsynth.codecs.table import TableCodec
from privsynth.sampling.conditional import complete
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.sampling.user_table import Cells, Reader, fill
from privsynth.table import Table

ROUNDS, ROUNDS_WITH_EMPTY = 12, 6  # of redrawing rows that break a rule (own); the later ones may leave gaps empty
CANDIDATES = 16  # draws of a base and the amount above it, of which the nearest sum is taken (own)


@dataclass(repr=False)
class Counts:
    """What was done: exact figures about the table, for those who may see the table.

    Attributes:
      rows: of the table.
      filled: column -> cells that were filled.
      stray: cells that could not be read as values of their column, and were filled like empty ones.
      left: cells that stay empty, because no value keeps the rules, or the column's type cannot hold it.
      broken: rows whose known cells already break a rule.
      unmet: other rows that could not be filled so that every rule holds.
    """

    rows: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    stray: int = 0
    left: int = 0
    broken: int = 0
    unmet: int = 0


def impute_rows(
    model: SyntheticModel, readers: Mapping[str, Reader], table: Table, rng: np.random.Generator, counts: Counts
) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """Return the table with its gaps filled, and which cells were: column -> (n,) booleans.

    Columns that the model lacks, identifiers and known cells pass through as they are. What was done is added to
    `counts`.

    Args:
      readers: of `make_readers`, for the whole table of which this may be a part.
    """
    cells = {name: reader.read(table.column(name)) for name, reader in readers.items()}
    _infer(model.codec, cells)
    n = table.n_rows
    gappy = np.zeros(n, dtype=bool)
    for cell in cells.values():
        gappy |= cell.gap
    rows = np.flatnonzero(gappy)
    data, filled = table.data, {}
    part = {name: _part(cell, rows) for name, cell in cells.items()}
    drawn, unmet = _fill_rows(model, part, len(rows), rng)
    counts.rows += n
    counts.unmet += unmet
    counts.broken += int(_broken(model, {name: cell.decoded for name, cell in cells.items()}, n).sum())
    for name, cell in cells.items():
        whole = Decoded(np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool))
        one = drawn.columns[name]
        whole.values[rows], whole.null[rows] = one.values, one.null
        column = table.column(name)
        changed = fill(readers[name], column, cell.gap, whole)
        data = data.set_column(data.column_names.index(name), name, changed)
        still = np.asarray(changed.is_null().to_numpy(), dtype=bool) | whole.null
        filled[name] = cell.gap & ~still
        counts.filled[name] += int(filled[name].sum())
        counts.stray += int((cell.stray & filled[name]).sum())
        counts.left += int((cell.gap & still).sum())
    return data, filled


def _part(cells: Cells, rows: np.ndarray) -> Cells:
    return Cells(Decoded(cells.decoded.values[rows], cells.decoded.null[rows]), cells.gap[rows], cells.stray[rows])


def _differences(codec: TableCodec, names: Collection[str]) -> list[DerivedCodec]:
    """Return the derived columns of which the table has all three parts."""
    return [found for found in codec.differences if {found.name, *found.needs} <= set(names)]


def _infer(codec: TableCodec, cells: dict[str, Cells]) -> None:
    """Fill in the part that a derived column and its other part determine, in the values and not in the gaps."""
    for derived in _differences(codec, cells):
        difference = cells[derived.name].decoded
        for wanted, other in ((derived.minuend, derived.subtrahend), (derived.subtrahend, derived.minuend)):
            one, known = cells[wanted].decoded, cells[other].decoded
            at = np.flatnonzero(one.null & ~known.null & ~difference.null)
            one.values[at] = _part_of(codec, derived, wanted, known.values[at], difference.values[at])
            one.null[at] = False


def _part_of(
    codec: TableCodec, derived: DerivedCodec, wanted: str, other: np.ndarray, difference: np.ndarray
) -> np.ndarray:
    """Return the values of one part of a difference from those of the other part and of the difference."""
    target = codec.measured(wanted)
    source = codec.measured(derived.subtrahend if wanted == derived.minuend else derived.minuend)
    sign = 1 if wanted == derived.minuend else -1
    if target.family == "time":
        value, step = other + sign * difference * derived.precision * DAY, target.precision
    else:
        value, step = (other * source.precision + sign * difference * derived.precision) / target.precision, 1
    return np.rint(value / step).astype(np.int64) * int(step)


def _fill_rows(
    model: SyntheticModel, cells: Mapping[str, Cells], n: int, rng: np.random.Generator
) -> tuple[DecodedRows, int]:
    """Return values for n rows, known ones unchanged, and how many rows break a rule that other values would keep."""
    decoded = {name: cell.decoded for name, cell in cells.items()}
    broken = _broken(model, decoded, n, by_rule=True)
    rows = _draw(model, decoded, n, rng, empty=False)
    missing = np.arange(n)
    for round_ in range(ROUNDS + ROUNDS_WITH_EMPTY):
        kept = _rules_hold(model, rows.take(missing)) | broken[:, missing]
        missing = missing[~kept.all(axis=0)]
        if not len(missing):
            break
        known = {name: Decoded(one.values[missing], one.null[missing]) for name, one in decoded.items()}
        rows.put(missing, _draw(model, known, len(missing), rng, empty=round_ >= ROUNDS - 1))
    if len(missing):
        missing = missing[~(_rules_hold(model, rows.take(missing)) | broken[:, missing]).all(axis=0)]
    return rows, len(missing)


def _broken(model: SyntheticModel, decoded: Mapping[str, Decoded], n: int, *, by_rule: bool = False) -> np.ndarray:
    """Return (n,) booleans, or (rules, n): the known cells break a rule, whatever fills the gaps."""
    empty = {codec.name: Decoded(np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool)) for codec in model.codec.codecs}
    failed = ~_rules_hold(model, DecodedRows({**empty, **decoded}, n))
    found: np.ndarray = failed if by_rule else np.any(failed, axis=0)
    return found


def _rules_hold(model: SyntheticModel, rows: DecodedRows) -> np.ndarray:
    """Return (rules, n) booleans."""
    rules = model.parsed_rules()
    frame = model.codec.frame(rows, names={name for rule in rules for name in rule.columns})
    return np.array([rule.holds(frame) for rule in rules], dtype=bool).reshape(len(rules), rows.n_rows)


def _draw(
    model: SyntheticModel, decoded: Mapping[str, Decoded], n: int, rng: np.random.Generator, *, empty: bool
) -> DecodedRows:
    """Return values for n rows given the known ones.

    Args:
      empty: whether a gap may stay empty, as the model has it.
    """
    codec = model.codec
    known = _known_codes(codec, decoded, n)
    evidence = {}
    for name in decoded:
        for attribute in [] if empty else codec.attributes_of(name):
            size = codec.attributes[attribute].size
            if size > 1:
                evidence[attribute] = np.append(np.ones(size - 1), 0.0)
    held = {name: Decoded(one.values.copy(), one.null.copy()) for name, one in decoded.items()}
    open_ = {}
    for derived in _differences(codec, decoded):
        nothing = held[derived.minuend].null & held[derived.subtrahend].null & ~held[derived.name].null
        open_[derived] = np.flatnonzero(nothing)
        _tell_amount(codec, derived, held[derived.name].values, open_[derived], known)
    told = _told(codec, decoded, known)
    codes = _complete(model, known, told, evidence, rng)
    for column in codec.above:
        if column.base and {column.base, column.name} <= decoded.keys():
            below = np.flatnonzero(held[column.base].null & ~held[column.name].null)
            if len(below):
                near = np.repeat(below, CANDIDATES)
                candidates = _complete(model, known[:, near], {c: v[near] for c, v in told.items()}, evidence, rng)
                codes[:, below] = _fit_below(codec, column, candidates, held, below, rng)
    for tied in codec.tied:
        lone = _without_near(tied, held)
        if len(lone):
            near = np.repeat(lone, CANDIDATES)
            candidates = _complete(model, known[:, near], {c: v[near] for c, v in told.items()}, evidence, rng)
            codes[:, lone] = _fit_near(codec, tied, candidates, held[tied.name].values[lone], rng)
    rows = codec.draw(codes, rng, held)
    for derived, at in open_.items():
        low, high, difference = rows.columns[derived.subtrahend], rows.columns[derived.minuend], held[derived.name]
        high.values[at] = _part_of(codec, derived, derived.minuend, low.values[at], difference.values[at])
        high.null[at] = low.null[at]
    return rows


def _told(codec: TableCodec, decoded: Mapping[str, Decoded], known: np.ndarray) -> dict[CategoryCodec, np.ndarray]:
    """Return column with a code book -> (n,) its value where its source is not known, −1 elsewhere."""
    found = {}
    for column in codec.following:
        if column.name in decoded:
            (at,) = codec.attributes_of(column.source or "")
            one = decoded[column.name]
            alone = ~one.null & (known[at] < 0) & np.isin(one.values, column.places)
            found[column] = np.where(alone, one.values, -1)
    return found


def _complete(
    model: SyntheticModel,
    known: np.ndarray,
    told: Mapping[CategoryCodec, np.ndarray],
    evidence: Mapping[int, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return codes as `complete` does; where `told` has a value, only codes that determine it are drawn."""
    if not told:
        return complete(model.of_rows, known, evidence, rng)
    kinds, kind = np.unique(np.stack(list(told.values())), axis=1, return_inverse=True)
    codes = np.empty(known.shape, dtype=np.uint16)
    for values, rows in ((kinds[:, k], np.flatnonzero(kind == k)) for k in range(kinds.shape[1])):
        allowed = dict(evidence)
        for column, value in zip(told, values.tolist(), strict=True):
            (at,) = model.codec.attributes_of(column.source or "")
            narrow = np.append(np.array(column.places) == value, False) * allowed.get(at, 1.0)
            if value >= 0 and narrow.any():
                allowed[at] = narrow
        codes[:, rows] = complete(model.of_rows, known[:, rows], allowed, rng)
    return codes


def _tell_amount(
    codec: TableCodec, derived: DerivedCodec, difference: np.ndarray, at: np.ndarray, known: np.ndarray
) -> None:
    """Tell the model the amount by which one column exceeds another, where only that is known and coded so."""
    minuend = codec.measured(derived.minuend)
    if minuend.base != derived.subtrahend or not len(at):
        return
    amount = difference[at] * derived.precision
    attribute = codec.attributes_of(minuend.name)[0]
    known[attribute, at] = minuend.bins.encode(minuend.places_above(amount))


def _fit_below(
    codec: TableCodec,
    column: NumberCodec | TimeCodec,
    candidates: np.ndarray,
    held: dict[str, Decoded],
    below: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose codes for rows whose value is known and whose base is not, and set the base in `held`.

    The model has the base and the amount above it, and their sum is known. Of several draws of both, the one with the
    nearest sum is taken, and its base moved by the rest: exact as the number of draws grows.
    """
    base = codec.measured(column.base or "")
    drawn = codec.draw(candidates, rng)
    top, bottom = (drawn.columns[name].values.reshape(-1, CANDIDATES) for name in (column.name, base.name))
    value = held[column.name].values[below]
    best = np.argmin(np.abs(top - value[:, None]), axis=1)
    row = np.arange(len(below))
    moved = base.bounded((value - (top - bottom)[row, best]) // base.step * base.step)
    held[base.name].values[below] = np.minimum(moved, value)
    held[base.name].null[below] = False
    return candidates[:, row * CANDIDATES + best]


def _without_near(tied: TiedCodec, held: Mapping[str, Decoded]) -> np.ndarray:
    """Return the rows whose value is known, while that of the column by which it is coded is not."""
    if tied.name not in held:
        return np.zeros(0, dtype=np.int64)
    unknown = held[tied.near].null if tied.near in held else True
    return np.flatnonzero(~held[tied.name].null & unknown)


def _fit_near(
    codec: TableCodec, tied: TiedCodec, candidates: np.ndarray, values: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return for each known value, of several draws of both columns, the codes whose value comes nearest to it."""
    drawn = codec.draw(candidates, rng).columns[tied.name]
    distance = np.abs(drawn.values - np.repeat(values, CANDIDATES)) + np.where(drawn.null, np.inf, 0.0)
    best = np.argmin(distance.reshape(-1, CANDIDATES), axis=1)
    return candidates[:, np.arange(len(values)) * CANDIDATES + best]


def _known_codes(codec: TableCodec, decoded: Mapping[str, Decoded], n: int) -> np.ndarray:
    """Return (attributes, n) int32 codes, −1 where the value, or the base that it is counted from, is not known."""
    columns: dict[str, Categories | Grid] = {}
    nulls = {}
    for column in codec.codecs:
        if not column.attributes():
            continue
        one = decoded.get(column.name) or Decoded(np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool))
        columns[column.name] = column.parsed(one)
        nulls[column.name] = one.null
    known = codec.encode(ParsedTable(columns, n)).astype(np.int32)
    for column in codec.codecs:
        null = nulls.get(column.name)
        if column.base and null is not None:
            null = null | nulls[column.base]
        for attribute in codec.attributes_of(column.name):
            known[attribute, null] = -1
    return known

"""From the noisy tables of a release to the cells that a question needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privsynth.errors import ConfigError, Option, meant
from privsynth.release.noisy.axes import MISSING, TableAxis
from privsynth.release.noisy.estimate import NoisyCells, combined
from privsynth.release.noisy.question import Comparison, TableQuestion, spelled
from privsynth.release.noisy.tables import PublishedTable, PublishedTables

NEAREST = 4  # tables that a refusal names (own)
SHOWN = 8  # names in a message (own)


@dataclass(frozen=True)
class Needed:
    """The axes that a question needs, by their numbers in a data table, and the codes that count.

    Attributes:
      by, value, of: the axes whose groups are told apart; value and of are None where there is none.
      allowed: axis -> (size,) booleans, the codes that the conditions allow and that can occur.
      inside: (size,) booleans, the codes of `of` that meet its condition.
    """

    by: tuple[int, ...]
    value: int | None
    of: int | None
    allowed: Mapping[int, np.ndarray]
    inside: np.ndarray | None

    @property
    def apart(self) -> tuple[int, ...]:
        """The axes whose groups are told apart, in the order of the cells' dimensions."""
        return (*self.by, *(a for a in (self.value, self.of) if a is not None))


@dataclass(frozen=True)
class Projected:
    """The cells that a question needs.

    Attributes:
      groups: for each of `Needed.apart`, (size,) the place of each code along the dimension; −1 for codes left out.
      cells: their estimates, over all strata.
      tables: those that were used.
    """

    groups: tuple[np.ndarray, ...]
    cells: NoisyCells
    tables: tuple[PublishedTable, ...]


def axis_named(axes: Sequence[TableAxis], name: str) -> int | None:
    """Return the number of the axis that a question names: a column, or a part such as "admitted.weekday"."""
    for match in (lambda a: a.column == name, lambda a: a.name == name, lambda a: a.name.replace("·", ".") == name):
        found = [at for at, axis in enumerate(axes) if match(axis)]
        if found:
            return found[0]
    return None


def data_table_of(tables: PublishedTables, question: TableQuestion, wanted: str | None) -> str:
    """Return the data table that a question is about.

    Raises:
      ConfigError: no table has all columns, or several have; the message says what there is.
    """
    if wanted is not None and wanted not in tables.axes:
        raise ConfigError(f"there is no table '{wanted}'; choose one of: {', '.join(tables.axes)}")
    names = [wanted] if wanted is not None else list(tables.axes)
    missing = {n: [c for c in question.columns if axis_named(tables.axes[n], c) is None] for n in names}
    having = [name for name in names if not missing[name]]
    if len(having) == 1:
        return having[0]
    if having:
        raise ConfigError(
            f"several tables have what is asked for; choose one of {', '.join(having)} with ", Option("table")
        )
    best = min(names, key=lambda name: len(missing[name]))
    column = missing[best][0]
    parts = [spelled(a.name.replace("·", ".")) for a in tables.axes[best] if a.name.startswith(f"{column}·")]
    if parts:
        raise ConfigError(f"'{column}' was measured in parts; ask for {' or '.join(parts)}")
    known = [spelled(axis.column or axis.name.replace("·", ".")) for axis in tables.axes[best] if axis.kind != "code"]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    raise ConfigError(
        f"no noisy table of this release counts '{column}': it was computed, invented or left out, or it does not "
        f"exist{meant(column, known) or ';'} counted are {', '.join(known[:SHOWN])}{more}"
    )


def needed(axes: Sequence[TableAxis], question: TableQuestion) -> Needed:
    """Return the axes and codes that a question needs.

    Raises:
      ConfigError: a value does not occur, or lies inside a bin; or one column stands in two places.
    """

    def at(name: str) -> int:
        found = axis_named(axes, name)
        assert found is not None
        return found

    by = tuple(at(name) for name in question.by)
    value = at(question.column) if question.column else None
    of = at(question.of.column) if question.of is not None else None
    apart = [*by, *(a for a in (value, of) if a is not None)]
    if len(set(apart)) < len(apart):
        raise ConfigError("a column that stands after 'by' cannot stand before it as well; leave out one of them")
    if value is not None and not axes[value].value:
        raise ConfigError(f"'{question.column}' has no amounts, so no {question.statistic}; ask for its share by group")
    allowed = {a: _can_occur(axes[a]) for a in (*apart, *(at(c.column) for c in question.where))}
    for condition in question.where:
        allowed[at(condition.column)] &= _meeting(axes[at(condition.column)], condition)
    if value is not None:
        allowed[value][-1] = False  # what is missing has no amount
    inside = None if question.of is None or of is None else _meeting(axes[of], question.of)
    return Needed(by, value, of, allowed, inside)


def _can_occur(axis: TableAxis) -> np.ndarray:
    codes = np.ones(axis.size, dtype=bool)
    codes[list(axis.never)] = False
    return codes


def _meeting(axis: TableAxis, condition: Comparison) -> np.ndarray:
    """Return (size,) the codes whose rows all meet a condition."""
    if condition.operator in ("=", "!=", "in") and not axis.low:
        unknown = [value for value in condition.values if value not in axis.labels]
        if unknown:
            known = ", ".join(axis.labels[:SHOWN]) + (" …" if axis.size > SHOWN else "")
            raise ConfigError(f"'{condition.column}' has no value '{unknown[0]}'; it has {known}")
        met = np.isin(np.array(axis.labels), condition.values)
        return ~met & (np.array(axis.labels) != MISSING) if condition.operator == "!=" else met
    if not axis.low:
        raise ConfigError(f"'{condition.column}' has no order, so compare it with = or in")
    found = np.zeros(axis.size, dtype=bool)
    for value in condition.values:
        found |= _in_order(axis, condition, value)
    return found


def _in_order(axis: TableAxis, condition: Comparison, text: str) -> np.ndarray:
    """Return (size,) the bins that a comparison with a number allows."""
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"'{condition.column}' is compared with a number, and '{text}' is none") from None
    low, high = np.array(axis.low), np.array(axis.high)
    sign = condition.operator
    certain = {
        "=": (low == value) & (high == value),
        "in": (low == value) & (high == value),
        "!=": (high < value) | (low > value),
        "<": high < value,
        "<=": high <= value,
        ">": low > value,
        ">=": low >= value,
    }[sign]
    refused = {
        "=": (high < value) | (low > value),
        "in": (high < value) | (low > value),
        "!=": (low == value) & (high == value),
        "<": low >= value,
        "<=": low > value,
        ">": high <= value,
        ">=": high < value,
    }[sign]
    cut = np.flatnonzero(~certain & ~refused)
    if len(cut):
        bins = "; ".join(axis.labels[code] for code in cut[:3])
        raise ConfigError(
            f"'{condition.column} {sign} {text}' cuts through a bin ({bins}), of which only the whole was counted; "
            "choose an end of a bin"
        )
    return np.append(certain, False)


def project(tables: PublishedTables, data_table: str, need: Needed) -> Projected:
    """Return the cells that a question needs, from every table that holds them, weighed by how precise it is.

    Raises:
      ConfigError: no table holds all of the columns together; the message says which are nearest.
    """
    axes = tables.axes[data_table]
    own = [table for table in tables.tables if table.data_table == data_table]
    strata = list(dict.fromkeys(table.stratum for table in own))
    holding = [table for table in own if need.allowed.keys() <= set(table.axes)]
    choices = {_key(groups): groups for table in holding if (groups := _finest(table, axes, need)) is not None}
    usable = []
    for groups in choices.values():
        fitting = {s: [t for t in holding if t.stratum == s and _fits(t, axes, need, groups)] for s in strata}
        if all(fitting.values()):
            usable.append((groups, fitting))
    if not usable:
        raise ConfigError(_refusal(own, axes, need, partly=bool(holding)))
    # The finest, by public facts alone: a choice by the counts would bias what is chosen.
    at_by = len(need.by)
    groups, fitting = max(usable, key=lambda one: (_size(one[0][:at_by]), _size(one[0][at_by:])))
    parts = [combined([_summed(table, axes, need, groups) for table in found]) for found in fitting.values()]
    cells = parts[0]
    for part in parts[1:]:
        cells = cells.plus(part)
    return Projected(groups, cells, tuple(table for found in fitting.values() for table in found))


def shares_of_bins(tables: PublishedTables, data_table: str, axis: int) -> np.ndarray:
    """Return (size,) about how many rows each code of an axis has, none of them none: where bins were joined, the
    amount that stands for all is a mean of theirs by these."""
    alone = [t for t in tables.tables if t.data_table == data_table and t.axes == (axis,)]
    found = np.ones(tables.axes[data_table][axis].size)
    for table in alone:
        if table.counts.size == found.size:
            found += np.maximum(table.counts[table.groups[0]], 0.0)
    return found


def _size(groups: Sequence[np.ndarray]) -> int:
    return int(np.prod([group.max(initial=-1) + 1 for group in groups]))


def _key(groups: Sequence[np.ndarray]) -> tuple[bytes, ...]:
    return tuple(group.tobytes() for group in groups)


def _finest(table: PublishedTable, axes: Sequence[TableAxis], need: Needed) -> tuple[np.ndarray, ...] | None:
    """Return for each axis that is told apart (size,) the groups that a table tells apart; None if none are left."""
    found = []
    for axis in need.apart:
        kept = need.allowed[axis]
        if axis == need.of and need.inside is not None:
            found.append(np.where(kept, need.inside.astype(np.int64), -1))
            continue
        group = table.groups[table.axes.index(axis)]
        first = {g: at for at, g in enumerate(dict.fromkeys(group[kept].tolist()))}
        found.append(np.array([first.get(g, -1) if ok else -1 for g, ok in zip(group.tolist(), kept, strict=True)]))
        if not first:
            return None
    return tuple(found)


def _fits(table: PublishedTable, axes: Sequence[TableAxis], need: Needed, groups: Sequence[np.ndarray]) -> bool:
    """Return whether each cell of a table lies in one of the cells that are needed, or outside of all."""
    wanted = dict(zip(need.apart, groups, strict=True))
    for axis, group in zip(table.axes, table.groups, strict=True):
        place = wanted.get(axis, np.where(need.allowed[axis], 0, -1) if axis in need.allowed else None)
        if place is None:
            continue
        possible = _can_occur(axes[axis])
        low = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
        high = np.full(len(low), -2)
        np.minimum.at(low, group[possible], place[possible])
        np.maximum.at(high, group[possible], place[possible])
        if bool(((high > -2) & (low != high)).any()):
            return False
    return True


def _summed(table: PublishedTable, axes: Sequence[TableAxis], need: Needed, groups: Sequence[np.ndarray]) -> NoisyCells:
    """Return a table summed to the cells that are needed."""
    wanted = dict(zip(need.apart, groups, strict=True))
    shape = tuple(int(group.max(initial=-1)) + 1 for group in groups)
    if need.of is not None:
        shape = (*shape[:-1], 2)
    index = np.zeros(table.counts.shape, dtype=np.int64)
    kept = np.ones(table.counts.shape, dtype=bool)
    for at, (axis, group) in enumerate(zip(table.axes, table.groups, strict=True)):
        possible = _can_occur(axes[axis])
        place = wanted.get(axis, np.where(need.allowed.get(axis, possible), 0, -1))
        of_group = np.full(int(group.max()) + 1, -1)
        of_group[group[possible]] = place[possible]
        along = [1] * table.counts.ndim
        along[at] = len(of_group)
        kept &= (of_group >= 0).reshape(along)
        if axis in wanted:
            dimension = need.apart.index(axis)
            index += (of_group * int(np.prod(shape[dimension + 1 :]))).reshape(along)
    size = int(np.prod(shape))
    counts = np.bincount(index[kept], weights=table.counts[kept], minlength=size)
    variance = np.bincount(index[kept], weights=table.sigma[kept] ** 2, minlength=size)
    return NoisyCells(counts.reshape(shape), np.maximum(variance, 1e-300).reshape(shape))


def _refusal(own: Sequence[PublishedTable], axes: Sequence[TableAxis], need: Needed, *, partly: bool) -> str:
    """Return why no table answers, and what is nearest."""
    asked = " × ".join(axes[at].name for at in need.allowed) or "the rows"
    if partly:
        return (
            f"the tables that hold {asked} join some of its values into groups that the question would cut; "
            "ask without the condition, or for one column less"
        )
    shared = {t: len(need.allowed.keys() & set(t.axes)) for t in own}
    order = sorted(shared, key=lambda t: (-shared[t], len(t.axes)))
    names = dict.fromkeys(" × ".join(axes[at].name for at in table.axes) for table in order if shared[table])
    return (
        f"no paid table holds {asked} together, so nothing exact is known of it; the nearest tables hold "
        f"{'; '.join(list(names)[:NEAREST]) or 'nothing of it'}. The synthetic rows have an answer, without an interval"
    )

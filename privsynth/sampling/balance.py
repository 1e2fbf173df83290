"""Rebalancing: how many rows each value of a column gets, whatever its share in the real table.

fraud=0.3                    the share of the rows in which `fraud` is true
ethnicity                    every category equally often
ethnicity=A:0.5,B:0.3        these shares; the other values keep what is left, in the model's proportions
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from privsynth.codecs.columns import CategoryCodec, ColumnCodec, NumberCodec, TiedCodec
from privsynth.codecs.parsed_table import grid_values
from privsynth.codecs.table import TableCodec
from privsynth.errors import ConfigError, Option
from privsynth.sampling.conditions import Clause, category, column_codec, refuse_long
from privsynth.schema.rules import Condition

MOST_GROUPS = 1_000  # of a balance (own): more than anybody lists, and each is drawn by itself
MOST_NUMBERS = 20  # values of a numeric column that is a list of codes (own); one with more measures something
_SLACK = 1e-9  # by which shares may miss 1: the rounding of a sum of a thousand decimals is far below


@dataclass(frozen=True)
class Group:
    """Rows that are asked for.

    Attributes:
      label: what they have in common, for the reader.
      share: of all rows.
      clauses: what each of its rows meets.
    """

    label: str
    share: float
    clauses: tuple[Clause, ...]


def parse_balance(text: str, codec: TableCodec) -> tuple[Group, ...]:
    """Return the groups that a text asks for; their shares add up to one.

    Raises:
      ConfigError: it cannot be read, names what the model does not have, or the shares cannot be.
    """
    name, wanted = _parts(text)
    column = column_codec(name, codec)
    if wanted is None:
        values = _values(column)
        shares = dict.fromkeys(values, 1.0 / len(values))
    elif ":" in wanted:
        shares = _listed(column, wanted)
    else:
        shares = {_positive(column): _share(wanted)}
    left = 1.0 - sum(shares.values())
    if left < -_SLACK or len(shares) > MOST_GROUPS:
        raise ConfigError(f"the shares of '{column.name}' add up to more than 1, or are too many; correct them")
    groups = [Group(f"{column.name} = {value}", share, (_is(column, [value]),)) for value, share in shares.items()]
    if left > _SLACK:
        others = _others(column, shares)
        if others == []:
            raise ConfigError(f"the shares of all values of '{column.name}' must add up to 1")
        label = f"{column.name} = {others[0]}" if others and len(others) == 1 else f"{column.name}: the rest"
        groups.append(Group(label, left, (_is(column, list(shares), negated=True),)))
    return tuple(groups)


def _parts(text: str) -> tuple[str, str | None]:
    """Return the name of a column, and what stands behind the sign; None without a sign."""
    refuse_long(text)
    rest = text.strip()
    if rest.startswith("`"):
        quoted, closing, behind = rest[1:].partition("`")
        before, sign, wanted = (part.strip() for part in behind.partition("="))
        name = quoted if closing and not before else ""
    else:
        name, sign, wanted = (part.strip() for part in rest.partition("="))
        name = "" if "`" in name else name
    if not name:
        raise ConfigError(f"'{text}' cannot be read; write column=share, column=value:share,value:share, or the column")
    return name, wanted if sign else None


def split_rows(shares: Sequence[float], sizes: Sequence[int]) -> np.ndarray:
    """Return (parts, groups) int64, how many rows of each group each part of a table holds.

    Rows of a part add up to its size; rows of a group to its share of all, rounded by largest remainder.

    Args:
      shares: of the groups, adding up to one.
      sizes: rows of the parts.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    left = _round(wanted / wanted.sum() * sum(sizes), sum(sizes))
    made = np.zeros((len(sizes), len(left)), dtype=np.int64)
    for part, size in enumerate(sizes):
        made[part] = _round(left * (size / max(left.sum(), 1)), size)
        left -= made[part]
    return made


def _round(wanted: np.ndarray, total: int) -> np.ndarray:
    """Return (groups,) int64 near what is wanted, adding up to `total`: the largest remainders are rounded up."""
    down = np.floor(wanted).astype(np.int64)
    rest = total - int(down.sum())
    order = np.argsort(-(wanted - down), kind="stable")
    down[order[:rest]] += 1
    return down


def _is(column: ColumnCodec, values: list[str], *, negated: bool = False) -> Clause:
    conditions = tuple(Condition(column.name, "=", literal=value) for value in values)
    return Clause(f"{column.name} in {', '.join(values)}", conditions, negated)


@singledispatch
def _known_values(column: ColumnCodec) -> list[str]:
    """Return the values of a column that has few: the categories, without OTHER, or the only numbers; else none."""
    return []


@_known_values.register
def _(column: CategoryCodec) -> list[str]:
    return list(column.values)


@_known_values.register
def _(column: NumberCodec) -> list[str]:
    bins = column.bins
    if column.base is not None or len(bins.seg_low) > MOST_NUMBERS or not (bins.seg_low == bins.seg_high).all():
        return []
    values = grid_values(bins.seg_low, column.precision)
    return [str(round(v)) if column.integer else repr(float(v)) for v in values.tolist()]


def _values(column: ColumnCodec) -> list[str]:
    """Return the values of a column that has few.

    Raises:
      ConfigError: it has no list of values.
    """
    if values := _known_values(column):
        return values
    example = Option("balance", f"{column.name}=VALUE:0.3")
    raise ConfigError(f"'{column.name}' has no list of values; name them, as in ", example)


@singledispatch
def _others(column: ColumnCodec, values: Collection[str]) -> list[str] | None:
    """Return the other values that a row may have; None where they cannot be listed."""
    return None


@_others.register
def _(column: CategoryCodec, values: Collection[str]) -> list[str] | None:
    return None if column.nullable else [text for text in column.texts if text not in values]


def _positive(column: ColumnCodec) -> str:
    """Return the value of two that a share alone is about: the true one, or the larger number."""
    values = _values(column)
    if len(values) == 2 and column.family == "number":
        return values[1]
    if isinstance(column, CategoryCodec) and column.booleans is not None:
        return column.booleans[1]
    example = Option("balance", f"{column.name}={values[-1]}:0.3")
    raise ConfigError(f"say which value of '{column.name}' is meant: ", example)


def _listed(column: ColumnCodec, text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for item in re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^,])+", text):
        value, sign, share = (part.strip() for part in item.rpartition(":"))
        if not (value and sign and share):
            raise ConfigError(f"'{item.strip()}' cannot be read; write value:share")
        value = value[1:-1] if value[0] in "'\"" and value[-1] == value[0] and len(value) > 1 else value
        value = _spelled(column, value)
        if value in shares:
            raise ConfigError(f"'{column.name}' is given the value '{value}' twice")
        shares[value] = _share(share)
    return shares


@singledispatch
def _spelled(column: ColumnCodec, value: str) -> str:
    """Return a value as the rows have it.

    Raises:
      ConfigError: the column has no such value, or cannot be balanced.
    """
    raise ConfigError(f"'{column.name}' cannot be balanced; choose a column of categories or numbers")


@_spelled.register
def _(column: CategoryCodec, value: str) -> str:
    return category(column, value)


@_spelled.register(NumberCodec)
@_spelled.register(TiedCodec)
def _(column: NumberCodec | TiedCodec, value: str) -> str:
    try:
        if np.isfinite(float(value)):
            return value
    except ValueError:
        pass
    raise ConfigError(f"'{column.name}' holds numbers; '{value}' is none")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"'{text.strip()}' is no share; give a number between 0 and 1")
    return share

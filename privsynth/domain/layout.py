"""What each column becomes in the synthetic table, from public facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.errors import SchemaError
from privsynth.schema.calculations import Calculation, columns_of, family_of
from privsynth.schema.definition import INVENTED_KINDS, Schema


@dataclass(frozen=True)
class Layout:
    """What each column becomes, from public facts alone.

    Attributes:
      names: columns of the synthetic table, in order.
      dropped: column -> why it is not in the synthetic table.
      invented: columns whose values are invented: identifiers, the unit, and personal values.
      derived: column -> how it is computed from others.
      follows: column -> the column that determines its value, by a code book.
      bases: column -> its lower-bound column, by a rule; the column is coded as the amount above it.
      modelled: columns that become attributes, lower-bound columns before the columns above them.
    """

    names: tuple[str, ...]
    dropped: Mapping[str, str]
    invented: tuple[str, ...]
    derived: Mapping[str, Calculation]
    follows: Mapping[str, str]
    bases: Mapping[str, str]
    modelled: tuple[str, ...]


def lay_out(names: Sequence[str], schema: Schema, facts: Mapping[str, ColumnFacts], unit: str) -> Layout:
    """Return what each column becomes.

    Args:
      names: the header.
      facts: public facts of each column.
      unit: the unit column, or "row".
    Raises:
      SchemaError: a rule computes a column from others that are neither numbers nor times, or are not modelled.
    """
    dropped = {n: "free text is not synthesised" for n in names if facts[n].kind == "text" and n != unit}
    invented = [n for n in names if facts[n].kind in INVENTED_KINDS or n == unit]
    derived = _derived(names, schema, facts, {*dropped, *invented})
    follows = _follows(names, schema, facts, {*dropped, *invented})
    aside = {*dropped, *invented, *derived, *follows}
    plain = [n for n in names if n not in aside]
    bases: dict[str, str] = {}
    for rule in schema.parsed_rules():
        if rule.order:
            low, high = rule.order
            free = low in plain and high in plain and high not in bases and not _leads(bases, low, high)
            if free and _comparable(facts[low], facts[high]):
                bases[high] = low
    modelled: list[str] = []
    while len(modelled) < len(plain):
        modelled += [n for n in plain if n not in modelled and (n not in bases or bases[n] in modelled)]
    kept = tuple(n for n in names if n not in dropped)
    return Layout(kept, dropped, tuple(invented), derived, follows, bases, tuple(modelled))


def _follows(names: Sequence[str], schema: Schema, facts: Mapping[str, ColumnFacts], gone: set[str]) -> dict[str, str]:
    found = {}
    for name in names:
        book = schema.column(name).follows
        if book is None or name in gone:
            continue
        if book.column not in names or book.column in gone or facts[book.column].kind != "categorical":
            raise SchemaError(f"'{name}' follows from '{book.column}', which is no modelled column of categories")
        found[name] = book.column
    return found


def _derived(
    names: Sequence[str], schema: Schema, facts: Mapping[str, ColumnFacts], unmodelled: set[str]
) -> dict[str, Calculation]:
    derived: dict[str, Calculation] = {}
    for rule in schema.parsed_rules():
        if rule.computes is None or not set(rule.columns) <= set(names):
            continue
        result, calculation = rule.computes
        sources = set(columns_of(calculation))
        try:
            family = family_of(calculation, {name: _family(facts[name]) for name in sources})
        except ValueError as error:
            raise SchemaError(f"rule '{rule.text}' {error}") from None
        if family != "number" or sources & (unmodelled | derived.keys()):
            raise SchemaError(
                f"rule '{rule.text}' must compute a number, from numbers or times that are modelled themselves"
            )
        if result in unmodelled or any(result in columns_of(other) for other in derived.values()):
            raise SchemaError(f"rule '{rule.text}' computes a column that is dropped, or that another rule uses")
        derived[result] = calculation
    return derived


def _family(fact: ColumnFacts) -> str:
    return {"numeric": "number", "integer": "number", "datetime": "time", "date": "time"}.get(fact.kind, "")


def _comparable(low: ColumnFacts, high: ColumnFacts) -> bool:
    """Return whether a column can be coded as the amount above another: two times, or two numbers on one grid."""
    family = _family(low)
    return family != "" and family == _family(high) and (family == "time" or low.precision == high.precision)


def _leads(bases: Mapping[str, str], start: str, end: str) -> bool:
    """Return whether following bases from `start` comes to `end`."""
    while start in bases:
        start = bases[start]
        if start == end:
            return True
    return start == end

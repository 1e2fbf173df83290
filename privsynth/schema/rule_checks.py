"""Whether the rules of a schema can be judged at all: kinds, values and groups that fit, before any budget is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime

from privsynth.errors import SchemaError
from privsynth.schema.calculations import family_of
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS, UNMODELLED_KINDS, Column, Schema
from privsynth.schema.rules import Condition, Rule
from privsynth.schema.satisfiable import contradiction

SHOWN = 12  # categories in a message (own): one or two lines of a terminal


def check_rules(schema: Schema) -> None:
    """Raise `SchemaError` if a rule cannot be judged, before any budget is spent.

    Every column of a rule needs a declared kind, compared columns must be of one family, a literal must fit, and some
    row of the declared domain must keep all rules together.
    """
    for rule in schema.parsed_rules():
        for name in rule.columns:
            if schema.column(name).kind in (None, *UNMODELLED_KINDS):
                raise SchemaError(f"rule '{rule.text}' needs a declared kind for '{name}', and not id or text")
        families = {name: _family(schema.column(name)) for name in rule.columns}
        _check_computed(rule, families)
        for condition in (*rule.premise, *rule.conditions):
            _check_condition(condition, rule, schema, families)
    _check_together(schema)


def _family(column: Column) -> str:
    return "number" if column.kind in NUMERIC_KINDS else "time" if column.kind in TIME_KINDS else "text"


def _check_computed(rule: Rule, families: Mapping[str, str]) -> None:
    if rule.derived is not None:
        result, minuend, subtrahend = (families[name] for name in rule.derived)
        if minuend != subtrahend or "text" in (minuend, subtrahend) or result != "number":
            raise SchemaError(f"rule '{rule.text}' must subtract two numbers or two times, and give a number")
    if rule.computed is None:
        return
    result, calculation = rule.computed
    try:
        found = family_of(calculation, families)
    except ValueError as error:
        raise SchemaError(f"rule '{rule.text}' {error}") from None
    if found != "number" or families[result] != "number":
        raise SchemaError(
            f"rule '{rule.text}' must compute a column of numbers; of times, compute the difference: "
            "`stay = discharged - admitted`"
        )


def _check_condition(condition: Condition, rule: Rule, schema: Schema, families: Mapping[str, str]) -> None:
    if condition.left is not None and condition.right is not None:
        try:
            alike = family_of(condition.left, families) == family_of(condition.right, families)
        except ValueError as error:
            raise SchemaError(f"rule '{rule.text}' {error}") from None
        if not alike:
            raise SchemaError(f"rule '{rule.text}' compares a time with a number")
    if condition.other is not None and families[condition.column] != families[condition.other]:
        raise SchemaError(f"rule '{rule.text}' compares columns of different kinds")
    column = schema.column(condition.column)
    for literal in condition.literals:
        if not _literal_fits(column, literal):
            raise SchemaError(
                f"rule '{rule.text}' compares '{condition.column}' with a value that it cannot have: '{literal}'; "
                + _can_have(column)
            )
    if condition.within is not None and condition.within.level and column.categories is not None:
        inside = [text for text in column.categories if condition.within.holds(text)]
        if not inside:
            raise SchemaError(
                f"rule '{rule.text}' names {condition.within.level} {condition.within.group}, in which no category of "
                f"'{condition.column}' is"
            )


def _literal_fits(column: Column, literal: str) -> bool:
    try:
        if column.kind in NUMERIC_KINDS:
            return math.isfinite(float(literal))
        if column.kind in TIME_KINDS:
            datetime.fromisoformat(literal)
            return True
    except ValueError:
        return False
    if column.kind == "boolean":
        return literal in (spelt[0] for spelt in column.spellings)
    return column.categories is None or literal in column.categories


def _can_have(column: Column) -> str:
    """Return which values a column can have, as the end of a sentence."""
    if column.kind in NUMERIC_KINDS:
        return "it holds numbers"
    if column.kind in TIME_KINDS:
        return "it holds dates, like 2024-03-01"
    texts = column.categories or tuple(spelt[0] for spelt in column.spellings)
    return f"it has {', '.join(texts[:SHOWN])}{' …' if len(texts) > SHOWN else ''}"


def _check_together(schema: Schema) -> None:
    try:
        together = contradiction(schema)
    except (ValueError, OverflowError):
        raise SchemaError(
            "the rules cannot be judged: a number or date in them is beyond what can be compared"
        ) from None
    if together:
        raise SchemaError(
            "no row that the schema allows keeps these rules together: "
            + "; ".join(f"'{text}'" for text in together[:5])
            + ". Make them agree with each other and with the declared bounds and categories"
        )

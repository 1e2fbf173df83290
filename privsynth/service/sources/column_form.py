"""The fields of a form in which people declare columns, and what they declare; a form holds texts and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, get_args

from privsynth.hierarchies.shipped import SHIPPED
from privsynth.schema.definition import Column, Kind, Role
from privsynth.service.sources.columns import DeclaredColumn

MOST_VALUES = 500  # of a code book that a form shows (own): a longer one is read and written as text
LISTED = "hierarchy"  # `categories` of a column that may hold all codes of its hierarchy, and no other
IN_TEXT = "in the text"  # the hierarchy that a person wrote out
# Kind -> what the form calls it.
KIND_WORDS: Mapping[Kind, str] = {
    "numeric": "number", "integer": "whole number", "categorical": "categories, or codes", "boolean": "yes or no",
    "datetime": "date and time", "date": "date", "id": "identifier: a fresh one in each row", "text": "text: dropped",
    "name": "name of a person: invented", "first_name": "first name: invented", "last_name": "last name: invented",
    "email": "e-mail address: invented", "phone": "telephone number: invented", "address": "address: invented",
    "national_id": "number of a person: invented",
}  # fmt: skip
ROLES: tuple[str, ...] = get_args(Role)
HIERARCHIES = tuple(SHIPPED)
_TEXTS = ("minimum", "maximum", "precision", "format", "decimal", "unit", "description")
_TICKED = ("constant_within_unit", "observed")  # false unless declared
FIELDS = ("kind", "categories", "listed", "hierarchy", "nullable", "roles", *_TEXTS, *_TICKED)
TICKS = ("listed", "nullable", "roles", *_TICKED)  # boxes: a browser sends those that are ticked
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)


def fields_of(declared: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields of a column hold: "true" or "" of a box to tick, values of a code book one a line.

    A code book that no form can show is left out, and so is not changed by it.
    """
    found = {name: _text(declared.get(name)) for name in ("kind", *_TEXTS)}
    found |= {name: "true" if declared.get(name) else "" for name in _TICKED}
    found["nullable"] = "" if declared.get("nullable") is False else "true"
    roles = declared.get("roles") or ()
    found["roles"] = " ".join(sorted([roles] if isinstance(roles, str) else roles))
    book = declared.get("hierarchy")
    found["hierarchy"] = IN_TEXT if book is not None and not isinstance(book, str) else _text(book).strip().lower()
    categories = declared.get("categories")
    found["listed"] = "true" if categories == LISTED else ""
    values = [] if categories in (None, LISTED) else [_text(value) for value in categories]
    if len(values) <= MOST_VALUES and _lines("\n".join(values)) == values:
        found["categories"] = "\n".join(values)
    return found


def beyond_form(declared: Mapping[str, Any]) -> list[str]:
    """Return the keys of what is declared about a column that its fields do not show."""
    shown = {name for name in FIELDS if name in fields_of(declared)}
    found = [key for key in declared if key not in shown]
    return [*found, "hierarchy"] if isinstance(declared.get("hierarchy"), dict) else found


def declared_by(column: DeclaredColumn, typed: Mapping[str, str], *, takes: bool) -> dict[str, Any]:
    """Return what is declared about a column after somebody sent its fields; what they did not change stays as it was.

    Args:
      typed: by name of the field.
      takes: they confirm what the name of the column suggests.
    """
    shown, found = fields_of(column.declared), dict(column.declared)
    changed = {name: text for name, text in typed.items() if name in shown and _lines(text) != _lines(shown[name])}
    for name in changed.keys() - {"categories", "listed", "hierarchy"}:
        _set(found, name, _value(name, changed[name].strip()))
    if changed.get("hierarchy", IN_TEXT) != IN_TEXT:
        _set(found, "hierarchy", changed["hierarchy"] or None)
    if changed.keys() & {"categories", "listed"}:
        listed = typed.get("listed", shown["listed"]) == "true"
        _set(found, "categories", LISTED if listed else _lines(typed.get("categories", "")) or None)
    if takes and column.proposal is not None and found.get(column.proposal.key) is None:
        found[column.proposal.key] = column.proposal.value
        if column.proposal.key == "hierarchy" and found.get("kind") in ("id", "integer"):
            found["kind"] = "categorical"  # they are codes, then
    return found


def about_by(about: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what is declared about the table after somebody sent its fields."""
    return {key: _value(key, text.strip()) for key, text in typed.items() if key in about}


def _set(found: dict[str, Any], key: str, value: Any) -> None:
    if value in (None, Column.model_fields[key].default):
        found.pop(key, None)
    else:
        found[key] = value


def _value(name: str, text: str) -> Any:
    """Return what a field says, as a schema has it."""
    if name in ("nullable", *_TICKED):
        return text == "true"
    if name == "roles":
        return text.split() or None
    if name in ("minimum", "maximum", "precision", "max_rows_per_unit", "rows") and _NUMBER.fullmatch(text):
        value = float(text)
        return int(text) if text.lstrip("+-").isdigit() else value
    return text or None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value.isoformat() if isinstance(value, date) else str(value)

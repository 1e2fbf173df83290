"""A schema of linked tables for a person to fill in: their names, and how they are linked, by catalogue or by names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privsynth.pipeline.inputs import completed_schema
from privsynth.schema.definition import Column, Schema
from privsynth.schema.files import dump_schema
from privsynth.sources.linked import Link, LinkedSource
from privsynth.sources.protocol import Source

_HEAD = """A schema of linked tables for privsynth. No row was read: what is filled in is what the names of tables and
columns, a catalogue and the types of the source state.

One table holds the persons and has no parent. Every other table has a parent, to whose rows its rows belong, or it is
a reference table (reference: true): public, and copied into the release as it is. Leave out what is neither.
order: a column of times or numbers that orders the rows of one parent. max_children: at most so many rows of a person.
Columns are declared as in a schema of one table; rules may also name `parent.column` and `previous.column`.

proposed: true marks a table whose links a person has to confirm: correct them and remove the line."""
# How the column is called that tells the rows of a table apart, where no catalogue says so; {0} is the table's name.
_KEYS = ("{0}_id", "{0}id", "id_{0}", "{0}_key", "{0}_no", "{0}_nr", "{0}_number", "id", "key", "{0}")
_PERSONS = ("patient", "person", "customer", "client", "member", "subject", "account", "beneficiary", "user")


@dataclass(frozen=True)
class _Found:
    """What is known of one table: its key, its parent, and whether a person has to confirm them."""

    key: str | None = None
    parent: Link | None = None
    proposed: bool = False
    others: tuple[Link, ...] = ()


def draft_linked_schema(source: LinkedSource, notes_of: Any) -> str:
    """Return YAML with the tables of a source.

    Guarantee: a function of names, types and the catalogue; no row is read.
    Args:
      notes_of: schema of a table -> column -> what its name suggests.
    """
    tables = source.tables()
    headers = {name: tuple(table.names) for name, table in tables.items()}
    stated = [link for link in source.links() if len(link.columns) == 1 and link.child != link.parent]
    links = stated or _links_by_name(headers)
    root = _root(headers, links)
    lines = ["# dataset: the name under which the ledger keeps the budget of these persons\n", "tables:\n"]
    for name in _from_root(headers, links, root):
        found = _found(name, headers, links, root, by_catalogue=bool(stated))
        lines.append(_table_text(name, tables[name], found, root, notes_of))
    head = "".join(f"# {line}\n" if line else "#\n" for line in _HEAD.splitlines())
    return head + "".join(lines)


def _table_text(name: str, source: Source, found: _Found, root: str, notes_of: Any) -> str:
    columns, _ = completed_schema(Schema(columns={c: Column() for c in source.names}), source)
    keys = {found.key, found.parent.columns[0] if found.parent else None} - {None}
    declared = {c: Column(kind="id") if c in keys else columns.column(c) for c in source.names}
    lines = [f"{name}:"]
    if found.proposed:
        lines.append("  proposed: true")
    if name != root and found.parent is None:
        lines += [f"  # nothing leads from here to {root}: declare a parent, or leave the table out, or, if all of it",
                  "  # is public, write reference: true"]  # fmt: skip
    if found.key is not None:
        lines.append(f"  key: {_quoted(found.key)}")
    if found.parent is not None:
        lines.append(f"  parent: {{table: {found.parent.parent}, column: {_quoted(found.parent.columns[0])}}}")
        lines.append("  # order: a column below, whose kind has to be declared: date, datetime, integer or numeric")
    lines += [f"  # {other.columns[0]} refers to {other.parent}, too" for other in found.others]
    schema = Schema(columns=declared)
    lines += textwrap.indent(dump_schema(schema, notes=notes_of(columns)), "  ").splitlines()
    return textwrap.indent("\n".join(lines) + "\n", "  ")


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else '"' + name.replace('"', '\\"') + '"'


def _found(
    name: str, headers: Mapping[str, tuple[str, ...]], links: list[Link], root: str, *, by_catalogue: bool
) -> _Found:
    """Return what links say of a table. Its parent is the one that is farthest from the persons."""
    key = next((link.parent_columns[0] for link in links if link.parent == name), None)
    if name == root:
        return _Found(key or _key(name, headers[name]), proposed=not by_catalogue)
    ways = {link: _steps(link.parent, links, root) for link in links if link.child == name}
    leading = [link for link, steps in ways.items() if steps is not None]
    if not leading:
        return _Found(key or _key(name, headers[name]), proposed=True)
    parent = max(leading, key=lambda link: ways[link] or 0)
    others = tuple(link for link in ways if link is not parent)
    return _Found(key, parent, not by_catalogue or len(leading) > 1, others)


def _steps(name: str, links: list[Link], root: str, seen: frozenset[str] = frozenset()) -> int | None:
    """Return the number of links on the longest way from a table to that of persons; None if there is none."""
    if name == root:
        return 0
    ways = [
        steps
        for link in links
        if link.child == name and link.parent not in seen
        for steps in [_steps(link.parent, links, root, seen | {name})]
        if steps is not None
    ]
    return 1 + max(ways) if ways else None


def _root(headers: Mapping[str, tuple[str, ...]], links: list[Link]) -> str:
    """Return the table that seems to hold the persons: refers to none, and most tables lead to it."""
    children = {link.child for link in links}
    able = [name for name in headers if name not in children] or list(headers)
    led = {name: sum(_steps(other, links, name) is not None for other in headers) for name in able}
    named = {name: any(word in name.lower() for word in _PERSONS) for name in able}
    return max(able, key=lambda name: (named[name], led[name]))


def _from_root(headers: Mapping[str, tuple[str, ...]], links: list[Link], root: str) -> list[str]:
    """Return the tables, parents first; those that lead to no person last."""
    steps = {name: _steps(name, links, root) for name in headers}
    return sorted(headers, key=lambda name: (steps[name] is None, steps[name] or 0))


def _links_by_name(headers: Mapping[str, tuple[str, ...]]) -> list[Link]:
    """Return links from columns that are called like the key of another table, or like that table and `id`."""
    keys = {name: _key(name, header) for name, header in headers.items()}
    found = []
    for parent, key in keys.items():
        if key is None:
            continue
        words = {pattern.format(word) for word in _singulars(parent) for pattern in _KEYS if "{0}" in pattern}
        words |= {key.lower()} if key.lower() in words else set()
        for child, header in headers.items():
            column = next((c for c in header if c.lower() in words and c != keys[child]), None)
            if child != parent and column is not None:
                found.append(Link(child, (column,), parent, (key,)))
    return found


def _key(name: str, header: tuple[str, ...]) -> str | None:
    """Return the column that by its name tells the rows of a table apart; None if none seems to."""
    by_name = {column.lower(): column for column in reversed(header)}
    words = [pattern.format(word) for pattern in _KEYS for word in _singulars(name)]
    return next((by_name[word] for word in words if word in by_name), None)


def _singulars(name: str) -> tuple[str, ...]:
    """Return a table's name and how one of its rows may be called: patients, patient; diagnoses, diagnosis."""
    word = name.lower()
    ends = (("ies", "y"), ("ses", "sis"), ("es", ""), ("es", "e"), ("s", ""))
    return tuple(dict.fromkeys([word, *(word[: -len(end)] + put for end, put in ends if word.endswith(end))]))

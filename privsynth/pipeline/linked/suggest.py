"""A schema of linked tables for a person to fill in: their names, and how they are linked, by catalogue or by names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privsynth.pipeline.reading.inputs import completed_schema
from privsynth.schema.definition import Column, Schema
from privsynth.schema.files import dump_schema
from privsynth.sources.linked import Link, LinkedSource
from privsynth.sources.protocol import Source, stated_types_of

_HEAD = """A schema of linked tables for privsynth. No row was read: what is filled in is what the names of tables and
columns, a catalogue and the types of the source state.

One table holds the persons and has no parent. Every other table has a parent, to whose rows its rows belong, or it is
a reference table (reference: true): public, and copied into the release as it is. Leave out what is neither.
refers_to: further rows that a row refers to, of the same person or (whose: another) of another one.
order: a column of times or numbers that orders the rows of one parent. max_children: at most so many rows of a person.
Columns are declared as in a schema of one table; rules may also name `parent.column` and `previous.column`.

proposed: true marks a table whose links a person has to confirm: correct them and remove the line."""
# How the column is called that tells the rows of a table apart, where no catalogue says so; {0} is the table's name.
_KEYS = ("{0}_id", "{0}id", "id_{0}", "{0}_key", "{0}_no", "{0}_nr", "{0}_number", "id", "key", "{0}")
_PERSONS = ("patient", "person", "customer", "client", "member", "subject", "account", "beneficiary", "user")


# A column with the key of an earlier row of the same table; {0} is the name of the key.
_EARLIER = ("parent_{0}", "previous_{0}", "prior_{0}", "original_{0}", "amended_{0}", "replaces_{0}")


@dataclass(frozen=True)
class _Found:
    """What is known of one table: its key, its parent, what else it refers to, and whether a person has to confirm."""

    key: tuple[str, ...] = ()
    parent: Link | None = None
    references: tuple[Link, ...] = ()
    others: tuple[Link, ...] = ()
    proposed: bool = False


def draft_linked_schema(source: LinkedSource, notes_of: Any, dataset: str) -> str:
    """Return YAML with the tables of a source.

    Guarantee: a function of names, types and the catalogue; no row is read.
    Args:
      notes_of: schema of a table -> column -> what its name suggests.
      dataset: what the source is called; "" if it has no name.
    """
    tables = source.tables()
    headers = {name: tuple(table.names) for name, table in tables.items()}
    stated = list(source.links())
    links = stated or _links_by_name(headers)
    root = _root(headers, links)
    keys = {name: _key_of(name, header, links, by_catalogue=bool(stated)) for name, header in headers.items()}
    lines = [
        "# dataset: the name under which the ledger keeps the budget of these persons, the same in every release\n"
    ]
    lines += [f"dataset: {_quoted(dataset)}\n"] if dataset else []
    lines.append("tables:\n")
    for name in _from_root(headers, links, root):
        sure = bool(stated) and not any(link.proposed for link in stated)
        found = _found(name, keys, links, root, by_catalogue=sure)
        lines.append(_table_text(name, tables[name], found, root, notes_of))
    head = "".join(f"# {line}\n" if line else "#\n" for line in _HEAD.splitlines())
    return head + "".join(lines)


def _table_text(name: str, source: Source, found: _Found, root: str, notes_of: Any) -> str:
    columns, _ = completed_schema(Schema(columns={c: Column() for c in source.names}), source)
    declared = _declared(columns, found)
    lines = [f"{name}:"]
    if found.proposed:
        lines.append("  proposed: true")
    if name != root and found.parent is None:
        lines += [f"  # nothing leads from here to {root}: declare a parent, or leave the table out, or, if all of it",
                  "  # is public, write reference: true"]  # fmt: skip
    numbers = [part for part in found.key if found.parent is not None and part not in found.parent.columns]
    if found.key and len(numbers) < len(found.key) and [declared[part].kind for part in numbers] == ["id"]:
        lines.append(f"  # if {numbers[0]} numbers the rows of one parent, declare it with kind: integer")
    if found.key:
        lines.append(f"  key: {_one_or_list(found.key)}")
    if found.parent is not None:
        lines.append(f"  parent: {_pointer(found.parent)}")
    if found.references:
        lines += ["  # rows of the same person; where they are of another, add whose: another", "  refers_to:"]
        lines += [f"    - {_pointer(one, another=one.parent == root)}" for one in found.references]
    if found.parent is not None:
        lines.append("  # order: a column below, whose kind has to be declared: date, datetime, integer or numeric")
    lines += [f"  # {', '.join(other.columns)} refers to {other.parent}, too" for other in found.others]
    schema = Schema(columns=declared)
    notes = _of_types(schema, source) | notes_of(columns)
    lines += textwrap.indent(dump_schema(schema, notes=notes), "  ").splitlines()
    lines += _proposed_rules(declared)
    return textwrap.indent("\n".join(lines) + "\n", "  ")


# How columns are called that begin something, and what ends it; the rest of the name is the same.
_BEGINS_AND_ENDS = (
    ("admitted", "discharged"), ("admission", "discharge"), ("admit", "discharge"), ("start", "end"),
    ("started", "ended"), ("begin", "end"), ("began", "ended"), ("from", "to"), ("onset", "abatement"),
    ("opened", "closed"), ("born", "died"), ("birth", "death"), ("arrival", "departure"), ("in", "out"),
)  # fmt: skip


def _proposed_rules(columns: Mapping[str, Column]) -> list[str]:
    """Return comments that propose a rule for each pair of columns that by their names begin and end something."""
    found = []
    for column in columns:
        words = re.split(r"([^A-Za-z0-9]+)", column)
        for begin, end in _BEGINS_AND_ENDS:
            for at, word in enumerate(words):
                other = "".join([*words[:at], end, *words[at + 1 :]])
                if word.lower() == begin and other in columns:
                    found.append(f"  #   - {_named(other)} >= {_named(column)}")
    more = "they cost nothing, and need declared kinds"
    return [f"  # rules, if every row keeps them; {more}:", "  # rules:", *dict.fromkeys(found)] if found else []


def _named(column: str) -> str:
    return column if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", column) else f"`{column}`"


_OF_FAMILY = {
    "integer": "kind: integer    (whole numbers by their type; kind: categorical if they are codes)",
    "number": "kind: numeric    (numbers by their type; kind: integer if they are whole)",
    "time": "kind: datetime    (times by their type; kind: date if they are days)",
}


def _of_types(schema: Schema, source: Source) -> dict[str, str]:
    """Return column -> the line that says what its type leaves open."""
    families = stated_types_of(source).families
    return {name: _OF_FAMILY[family] for name, family in families.items() if schema.column(name).kind is None}


def _declared(stated: Schema, found: _Found) -> dict[str, Column]:
    """Return the columns; those that hold keys are identifiers, but for a number below the parent's whole key."""
    above = set() if found.parent is None else set(found.parent.columns)
    keys = {*found.key, *above, *(column for one in found.references for column in one.columns)}
    declared = {c: Column(kind="id") if c in keys else column for c, column in stated.columns.items()}
    numbers = [part for part in found.key if part not in above and stated.column(part).kind == "integer"]
    if above and above < set(found.key) and len(numbers) == 1:
        declared[numbers[0]] = stated.column(numbers[0])
    return declared


def _pointer(link: Link, *, another: bool = False) -> str:
    columns = f"column{'s' if len(link.columns) > 1 else ''}: {_one_or_list(link.columns)}"
    return f"{{table: {link.parent}, {columns}{', whose: another' if another else ''}}}"


def _one_or_list(names: tuple[str, ...]) -> str:
    return _quoted(names[0]) if len(names) == 1 else f"[{', '.join(map(_quoted, names))}]"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else '"' + name.replace('"', '\\"') + '"'


def _key_of(name: str, header: tuple[str, ...], links: list[Link], *, by_catalogue: bool) -> tuple[str, ...]:
    """Return the key to which links lead; by names also that of a table to which none leads."""
    key = next((link.parent_columns for link in links if link.parent == name), ())
    if key or (by_catalogue and any(link.child == name for link in links)):
        return key
    named = _key(name, header)
    return () if named is None else (named,)


def _found(
    name: str, keys: Mapping[str, tuple[str, ...]], links: list[Link], root: str, *, by_catalogue: bool
) -> _Found:
    """Return what links say of a table. Its parent is the one that is farthest from the persons."""
    mine = [link for link in links if link.child == name]
    ways = {link: _steps(link.parent, links, root) for link in mine if link.parent != name}
    leading = [link for link, steps in ways.items() if steps is not None and link.parent_columns == keys[link.parent]]
    parent = max(leading, key=lambda link: ways[link] or 0) if leading and name != root else None
    above = () if parent is None else parent.columns
    references: list[Link] = []
    for link in mine:
        own = set(link.columns) - set(above)
        taken = {*keys[name], *(column for one in references for column in one.columns)}
        # A second link to the persons is mostly that of the row's own person, unless the row stands right below them.
        leads = link in leading if link.parent != root else parent is None or parent.parent == root
        fits = link.parent_columns == keys[link.parent] and (link.parent != root or own == set(link.columns))
        if link is not parent and (leads or link.parent == name) and fits and own and not own & taken:
            references.append(link)
    others = tuple(link for link in mine if link is not parent and link not in references)
    unsure = not by_catalogue or (parent is None and name != root) or len(leading) > 1 or bool(references)
    return _Found(keys[name], parent, tuple(references) if parent or name == root else (), others, unsure)


def _steps(name: str, links: list[Link], root: str, seen: frozenset[str] = frozenset()) -> int | None:
    """Return the number of links on the longest way from a table to that of persons; None if there is none."""
    if name == root:
        return 0
    ways = [
        steps
        for link in links
        if link.child == name != link.parent and link.parent not in seen
        for steps in [_steps(link.parent, links, root, seen | {name})]
        if steps is not None
    ]
    return 1 + max(ways) if ways else None


def _root(headers: Mapping[str, tuple[str, ...]], links: list[Link]) -> str:
    """Return the table that seems to hold the persons: refers to none, and most tables lead to it."""
    children = {link.child for link in links if link.child != link.parent}
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
        earlier = {pattern.format(key.lower()) for pattern in _EARLIER}
        found += [Link(parent, (c,), parent, (key,)) for c in headers[parent] if c.lower() in earlier]
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

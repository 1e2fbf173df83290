"""What is declared about each column of a source: read from the text that declares it, and changed column by column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from privsynth.errors import InputError, PrivsynthError, SchemaError
from privsynth.schema.definition import Column, Schema
from privsynth.schema.files import with_notes
from privsynth.schema.linked import LinkedSchema
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.sources.registry import CHANGED_MEANWHILE, known_source, replace_schema
from privsynth.service.sources.schema_text import declared_schema, parsed_text
from privsynth.service.store.runs import SourceRow
from privsynth.strict.complaints import in_plain_words

if TYPE_CHECKING:
    from privsynth.pipeline.proposals import Proposal

# What is declared of a table as a whole, by the key of its schema.
ABOUT = ("unit", "max_rows_per_unit", "unit_noun", "rows_noun", "rows")
ABOUT_LINKED = ("unit_noun",)  # of linked tables; how they are linked, their text says
Problems = dict[tuple[str, str, str], str]  # table, column, key -> what is wrong; "" where it is none of them


@dataclass(frozen=True)
class DeclaredColumn:
    """What is declared about one column.

    Attributes:
      table: "" where the source is one table.
      declared: by the keys of a schema, as its text has them.
      proposal: what the name of the column suggests where nothing is declared yet; of a column that is given, None.
    """

    table: str
    name: str
    declared: Mapping[str, Any]
    proposal: Proposal | None = None


@dataclass(frozen=True)
class Declared:
    """What a text declares.

    Attributes:
      about: of the table as a whole, by key; None where it says nothing.
      columns: those that the text names, in its order.
      linked: it is the schema of linked tables.
    """

    about: Mapping[str, Any]
    columns: Sequence[DeclaredColumn]
    linked: bool


def declared_in(text: str) -> Declared:
    """Return what a text declares, column by column.

    Raises:
      SchemaError: it is no schema.
    """
    from privsynth.pipeline.proposals import proposals

    schema, data = declared_schema(text), parsed_text(text) or {}
    found = []
    for table, part in _tables(data):
        whole = schema.tables[table] if isinstance(schema, LinkedSchema) else schema
        suggested = proposals(Schema(columns=whole.columns))
        for name, declared in (part.get("columns") or {}).items():
            found.append(DeclaredColumn(table, str(name), declared or {}, suggested.get(str(name))))
    linked = isinstance(schema, LinkedSchema)
    return Declared({key: data.get(key) for key in (ABOUT_LINKED if linked else ABOUT)}, found, linked)


def digest_of(text: str) -> str:
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def declare_columns(
    service: Service, caller: Caller, source_id: int, *, about: Mapping[str, Any], columns: Sequence[DeclaredColumn],
    digest: str = "",
) -> SourceRow:  # fmt: skip
    """Replace what is declared about some columns of a source, and about the table; the rest stays. Returns the source.

    Args:
      about: key of `ABOUT` -> what to declare; None for nothing.
      digest: of the text that was declared when this was decided; "" for whatever is declared now.
    Raises:
      InputError: there is no such source, or its text is another one by now.
      SchemaError: what is declared cannot be so.
    """
    caller.require(Act.REGISTER_SOURCE)
    with service.database.reading() as session:
        before = known_source(session.get(SourceRow, source_id)).schema
    if digest not in ("", digest_of(before)):
        raise InputError(CHANGED_MEANWHILE)
    return replace_schema(service, caller, source_id, with_columns(before, about, columns), before=before)


def with_columns(text: str, about: Mapping[str, Any], columns: Sequence[DeclaredColumn]) -> str:
    """Return a text that declares these columns so, and else what it declared; its comments are the usual ones.

    Raises:
      SchemaError: what is declared cannot be so, or there is no such table.
    """
    from privsynth.pipeline.proposals import notes

    if problems := problems_of(about, columns):
        raise SchemaError("; ".join(_in_words(place, why) for place, why in list(problems.items())[:5]))
    data = dict(parsed_text(text) or {})
    parts = {table: dict(part) for table, part in _tables(data)}
    known = ABOUT_LINKED if "tables" in data else ABOUT
    for key, value in about.items():
        if key not in known:
            raise SchemaError(f"'{key}' is not declared here; what is: {', '.join(known)}")
        data = {**data, key: value} if value is not None else {k: v for k, v in data.items() if k != key}
    for one in columns:
        if one.table not in parts:
            raise SchemaError(
                f"the schema has no table '{one.table}'" if one.table else "name the table of each column"
            )
        parts[one.table]["columns"] = {**(parts[one.table].get("columns") or {}), one.name: dict(one.declared)}
    if "tables" in data:
        data["tables"] = parts
    elif columns:
        data["columns"] = parts[""]["columns"]
    head = "".join(line for line in _head(text))
    written = head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110) if data else head
    schema = declared_schema(written)  # what columns cannot be together
    if isinstance(schema, Schema) and schema.columns:
        written = with_notes(written, list(schema.columns), notes(schema))
    return written


def problems_of(about: Mapping[str, Any], columns: Sequence[DeclaredColumn]) -> Problems:
    """Return what is wrong with single columns, or with what is declared about the table, by place."""
    found: Problems = {}
    told = {key: value for key, value in about.items() if value is not None}
    _look(Schema, told, ("", ""), ABOUT, found)
    for one in columns:
        _look(Column, dict(one.declared), (one.table, one.name), tuple(Column.model_fields), found)
    return found


def _look(
    kind: type[BaseModel], told: dict[str, Any], place: tuple[str, str], keys: tuple[str, ...], found: Problems
) -> None:
    try:
        kind.model_validate(told)
    except ValidationError as problem:
        for error in problem.errors(include_url=False):
            why = in_plain_words(error)
            # What two keys cannot be together is said beside the first that the sentence names.
            named = sorted((why.find(key), key) for key in keys if key in why and key in told)
            key = str(error["loc"][0]) if error["loc"] else named[0][1] if named else ""
            found.setdefault((*place, key if key in keys else ""), why)
    except PrivsynthError as problem:
        found[(*place, "")] = str(problem)


def _in_words(place: tuple[str, str, str], why: str) -> str:
    table, column, key = place
    where = f"'{table}.{column}'" if table else f"'{column}'" if column else "the table"
    return f"{where}: {key}: {why}" if key and not why.startswith(key) else f"{where}: {why}"


def _tables(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables of a schema's data; one without a name where it is of one table."""
    if "tables" in data:
        yield from ((str(name), part or {}) for name, part in data["tables"].items())
    else:
        yield "", data


def _head(text: str) -> Iterator[str]:
    """Yield the comment in front of a text."""
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            return
        yield line

"""Acts on sources: register, declare, retire, and see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from privsynth.errors import ConfigError, InputError, PrivsynthError
from privsynth.ledger.names import check_dataset
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.sources.places import Kind, Place, database_place, file_path, place_of, seal_place, sentence_of
from privsynth.service.store.runs import SourceRow

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,78}[A-Za-z0-9])?")
NAME_TAKEN = "there is already a source of that name; retired ones keep theirs"
CHANGED_MEANWHILE = "what is declared about this source was changed meanwhile: open it again, so that nothing is lost"
# How a source is read: what the command line knows but for `query` and `views`, which could name other places.
READ_BY = ("table", "sheet", "delimiter", "encoding", "columns")
# Kind of a place -> what it may be read as, where its suffix does not say so; and schemas that ship for them.
FORMATS: dict[str, tuple[str, ...]] = {
    "file": ("fhir", "hl7", "omop", "parquet", "delta"), "database": ("omop",), "upload": (),
}  # fmt: skip
OF_SERVICE = ("format", "preset")  # options that are the service's own


@dataclass(frozen=True, kw_only=True)
class NewSource:
    """What somebody says of a source.

    Attributes:
      name: what people call it.
      dataset: its name in the ledger.
      place: a path relative to the folder for sources, or the URL of a database.
      options: how to read it, by the names of `READ_BY`; `format`, one of `FORMATS`; `preset`, whose
        schema is the draft.
    """

    name: str
    dataset: str
    kind: Kind
    place: str = field(repr=False)
    options: dict[str, str] = field(default_factory=dict)


def register_source(service: Service, caller: Caller, new: NewSource) -> SourceRow:
    """Register a source, and draft its schema from the names of its columns; no row is read.

    Whoever registers the same again gets the source that is there.

    Raises:
      InputError: the name is taken, the place may not be one, or its header cannot be read.
    """
    caller.require(Act.REGISTER_SOURCE)
    check_new(new)
    if new.kind == "file":
        place = Place(file_path(service, new.place))
    elif new.kind == "database":
        place = database_place(service, new.place)
    else:
        raise InputError("a source is registered as a file or a database; send an upload as a file")
    return twin_of(service, caller, new, place.origin.__eq__) or add_source(service, caller, new, place)


def check_new(new: NewSource) -> None:
    """Return if a source may have this name, dataset and options.

    Raises:
      InputError: it may not.
    """
    if not _NAME.fullmatch(new.name):
        raise InputError("a source needs a name of letters, digits, blanks and . _ - (at most 80)")
    check_dataset(new.dataset)
    options_of(new.options)
    form = new.options.get("format")
    if form and form not in FORMATS[new.kind]:
        known = ", ".join(FORMATS[new.kind]) or "nothing but what its suffix says"
        raise InputError(f"a source of the kind {new.kind} may be read as {known}")


def twin_of(service: Service, caller: Caller, new: NewSource, is_same: Callable[[str], bool]) -> SourceRow | None:
    """Return the source that the caller registered before with the same words; None where no source has the name.

    Args:
      is_same: says whether a place holds what is registered now.
    Raises:
      InputError: another source has the name.
    """
    with service.database.reading() as session:
        found = session.scalars(select(SourceRow).where(SourceRow.name == new.name)).first()
    if found is None:
        return None
    told = (found.retired_at, found.made_by, found.dataset, found.kind, json.loads(found.options))
    if told != (None, caller.person_id, new.dataset, new.kind, new.options) or not is_same(place_of(service, found)):
        raise InputError(NAME_TAKEN)
    return found


def add_source(service: Service, caller: Caller, new: NewSource, place: Place) -> SourceRow:
    """Store a source whose place was found in order.

    Raises:
      InputError: its header cannot be read, or another one has the name by now.
    """
    from privsynth.pipeline.suggest_schema import draft_preset, draft_schema
    from privsynth.sources.presets import preset

    origin, options = read_as(place.origin, new.options), options_of(new.options) | place.options
    try:
        if new.options.get("preset"):
            schema = draft_preset(origin, preset(new.options["preset"]), options)
        else:
            schema = draft_schema(origin, options, observe=False)
    except PrivsynthError as problem:
        raise InputError(sentence_of(problem, new.kind, place.origin, service.home)) from None
    now = service.now()
    source = SourceRow(
        name=new.name, dataset=new.dataset, kind=new.kind, place=seal_place(service, new.name, place.origin),
        options=json.dumps(new.options), schema=schema, made_by=caller.person_id, made_at=now,
    )  # fmt: skip
    with service.database.writing() as session:
        if session.scalars(select(SourceRow.id).where(SourceRow.name == new.name)).first() is not None:
            raise InputError(NAME_TAKEN)
        session.add(source)
        session.flush()
        record(
            session, "register_source", f"source {source.id}", person_id=caller.person_id, at=now,
            name=new.name, kind=new.kind, dataset=new.dataset,
        )  # fmt: skip
    return source


def shipped_schemas() -> list[str]:
    """Return the names of schemas that ship for standards."""
    from privsynth.sources.presets import PRESETS

    return list(PRESETS)


def read_as(origin: str, told: Mapping[str, str]) -> str:
    """Return a place as the pipeline is told it: with its format before it, if it has one."""
    return f"{told['format']}:{origin}" if told.get("format") else origin


def options_of(told: dict[str, str]) -> dict[str, object]:
    """Return the options with which the pipeline reads a source.

    Raises:
      ConfigError: there is none of that name, or it is too long.
    """
    for name, value in told.items():
        if name not in (*READ_BY, *OF_SERVICE) or len(value) > 10_000:
            known = ", ".join((*READ_BY, *OF_SERVICE))
            raise ConfigError(f"a source is read by {known}; leave out what is none of them")
    found: dict[str, object] = {name: value for name, value in told.items() if value and name in READ_BY}
    if "columns" in found:
        found["columns"] = tuple(name.strip() for name in told["columns"].split(","))
    if found.get("delimiter") in ("\\t", "tab"):
        found["delimiter"] = "\t"
    return found


def declare_schema(service: Service, caller: Caller, source_id: int, text: str) -> SourceRow:
    """Replace what is declared about a source, and return it.

    Raises:
      InputError: there is no such source, or it is retired.
      SchemaError: the text is no schema.
    """
    from privsynth.service.sources.schema_text import declared_schema

    caller.require(Act.REGISTER_SOURCE)
    text = text.replace("\r\n", "\n")
    declared_schema(text)
    return replace_schema(service, caller, source_id, text)


def replace_schema(
    service: Service, caller: Caller, source_id: int, text: str, *, before: str | None = None
) -> SourceRow:
    """Store what is declared about a source, which was found in order, and return the source.

    Args:
      before: what was declared when this was decided; None where it does not matter.
    Raises:
      InputError: there is no such source, it is retired, or something else is declared by now.
    """
    now = service.now()
    with service.database.writing() as session:
        source = known_source(session.get(SourceRow, source_id))
        if before not in (None, source.schema):
            raise InputError(CHANGED_MEANWHILE)
        source.schema = text
        record(session, "declare_schema", f"source {source_id}", person_id=caller.person_id, at=now)
    return source


def retire_source(service: Service, caller: Caller, source_id: int) -> SourceRow:
    """End the use of a source, and return it; the file of one that was uploaded is due then. Its releases stay.

    Raises:
      InputError: there is no such source, or it is retired already.
    """
    caller.require(Act.RETIRE_SOURCE)
    now = service.now()
    with service.database.writing() as session:
        source = known_source(session.get(SourceRow, source_id))
        source.retired_at = now
        if source.kind != "upload":  # whose place is needed until its file is deleted
            source.place = seal_place(service, source.name, "")
        record(session, "retire_source", f"source {source_id}", person_id=caller.person_id, at=now)
    return source


def known_source(source: SourceRow | None) -> SourceRow:
    """Return a source that is in use.

    Raises:
      InputError: there is none, or it is retired.
    """
    if source is None or source.retired_at is not None:
        raise InputError("there is no such source, or it is retired")
    return source


def all_sources(service: Service, caller: Caller) -> list[SourceRow]:
    """Return all sources by name, retired ones included; their places stay sealed."""
    caller.require(Act.SEE_SOURCES)
    with service.database.reading() as session:
        return list(session.scalars(select(SourceRow).order_by(SourceRow.name)))


def one_source(service: Service, caller: Caller, source_id: int) -> SourceRow:
    """Return a source that is in use.

    Raises:
      InputError: there is none, or it is retired.
    """
    caller.require(Act.SEE_SOURCES)
    with service.database.reading() as session:
        return known_source(session.get(SourceRow, source_id))

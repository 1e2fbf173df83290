"""Pages about sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.sources.places import Kind
from privsynth.service.sources.registry import (
    NewSource,
    all_sources,
    declare_schema,
    one_source,
    register_source,
    retire_source,
    shipped_schemas,
)
from privsynth.service.store.runs import SourceRow
from privsynth.service.web.api import Number, Sent, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Sources")
LONGEST_SCHEMA = 2_000_000  # characters (own): a schema of 2,000 columns has a tenth of them
Short = Annotated[str, Form(max_length=200)]
Long = Annotated[str, Form(max_length=10_000)]


def sources_answer(
    service: Service, caller: Caller, problem: Exception | None = None, *,
    told: Mapping[str, str] | None = None, sent: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """Return the page of sources, with what is wrong with a new one, if anything.

    Args:
      told, sent: what was typed in the form for a place, and in that for an upload.
    """
    found = all_sources(service, caller)
    status, said = said_of(problem)
    return page(
        "sources.html", caller, status=status, sources=found, settings=service.settings, problem=said,
        presets=shipped_schemas(), told=told or {}, sent=sent or {},
    )  # fmt: skip


def _source(
    service: Service, caller: Caller, source_id: Number, *,
    text: str = "", problem: Exception | None = None, saved: bool = False,
) -> Response:  # fmt: skip
    source = one_source(service, caller, source_id)
    status, said = said_of(problem)
    return page(
        "source.html", caller, status=status, source=source, text=text or source.schema,
        options=json.loads(source.options), problem=said, saved=saved,
    )  # fmt: skip


@router.get("/sources")
def sources_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show all sources, and forms for a new one."""
    return sources_answer(service, caller)


@router.post("/sources")
def register_form(
    service: ServiceHere,
    caller: FormVisitor,
    name: Short,
    dataset: Short,
    kind: Annotated[Kind, Form()],
    place: Long,
    table: Short = "",
    sheet: Short = "",
    columns: Long = "",
    encoding: Short = "",
    delimiter: Short = "",
    format: Short = "",
    preset: Short = "",
) -> Response:
    """Register a source, and show the draft of its schema."""
    told = {"table": table.strip(), "sheet": sheet.strip(), "columns": columns.strip()}
    told |= {"encoding": encoding.strip(), "delimiter": delimiter.strip()}
    told |= {"format": format.strip(), "preset": preset.strip()}
    options = {key: value for key, value in told.items() if value}
    new = NewSource(name=name.strip(), dataset=dataset.strip(), kind=kind, place=place.strip(), options=options)
    try:
        source = register_source(service, caller, new)
    except InputError as problem:
        typed = {**told, "name": name, "dataset": dataset, "kind": kind}  # not the place, which may hold a password
        return sources_answer(service, caller, problem, told=typed)
    return RedirectResponse(f"/sources/{source.id}", 303)


@router.get("/sources/{source_id}")
def source_page(service: ServiceHere, caller: Visitor, source_id: Number, saved: bool = False) -> Response:
    """Show a source and what is declared about it."""
    return _source(service, caller, source_id, saved=saved)


@router.post("/sources/{source_id}/schema")
def declare_form(
    service: ServiceHere,
    caller: FormVisitor,
    source_id: Number,
    declared: Annotated[str, Form(max_length=LONGEST_SCHEMA)] = "",
) -> Response:
    """Replace what is declared about a source."""
    try:
        declare_schema(service, caller, source_id, declared)
    except InputError as problem:
        return _source(service, caller, source_id, text=declared, problem=problem)
    return RedirectResponse(f"/sources/{source_id}?saved=true", 303)


@router.post("/sources/{source_id}/retire")
def retire_form(service: ServiceHere, caller: FormVisitor, source_id: Number) -> Response:
    """End the use of a source."""
    retire_source(service, caller, source_id)
    return RedirectResponse("/sources", 303)


class RegisteredSource(Sent):
    """What to say of a new source."""

    name: str = Field(min_length=1, max_length=80)
    dataset: str = Field(min_length=1, max_length=200, description="Its name in the ledger.")
    kind: Kind
    place: str = Field(max_length=10_000, description="A path in the folder for sources, or the URL of a database.")
    options: dict[str, str] = Field(
        default_factory=dict, description="How to read it: table, sheet, columns, format, preset …"
    )


class DeclaredSchema(Sent):
    """What is declared about a source, as YAML."""

    text: str = Field(max_length=LONGEST_SCHEMA)


class SourceFacts(BaseModel):
    """A source, without its place."""

    id: int
    name: str
    dataset: str
    kind: str
    options: dict[str, str]
    text: str = Field(description="What is declared about it, as YAML.")
    registered_at: datetime
    retired_at: datetime | None


@api.get("/sources", operation_id="sources")
def sourcesfacts_of(service: ServiceHere, caller: Program) -> list[SourceFacts]:
    """List all sources."""
    return [facts_of(source) for source in all_sources(service, caller)]


@api.post("/sources", operation_id="register_source", status_code=201)
def registerfacts_of(service: ServiceHere, caller: Program, new: RegisteredSource) -> SourceFacts:
    """Register a source; only the names of its columns are read."""
    return facts_of(register_source(service, caller, NewSource(**new.model_dump())))


@api.get("/sources/{source_id}", operation_id="source")
def sourcefacts_of(service: ServiceHere, caller: Program, source_id: Number) -> SourceFacts:
    """Show a source that is in use."""
    return facts_of(one_source(service, caller, source_id))


@api.put("/sources/{source_id}/schema", operation_id="declare_schema")
def declarefacts_of(service: ServiceHere, caller: Program, source_id: Number, declared: DeclaredSchema) -> SourceFacts:
    """Replace what is declared about a source."""
    return facts_of(declare_schema(service, caller, source_id, declared.text))


@api.post("/sources/{source_id}/retire", operation_id="retire_source")
def retirefacts_of(service: ServiceHere, caller: Program, source_id: Number) -> SourceFacts:
    """End the use of a source."""
    return facts_of(retire_source(service, caller, source_id))


def facts_of(source: SourceRow) -> SourceFacts:
    """Return what a program is told of a source."""
    return SourceFacts(
        id=source.id, name=source.name, dataset=source.dataset, kind=source.kind, options=json.loads(source.options),
        text=source.schema, registered_at=source.made_at, retired_at=source.retired_at,
    )  # fmt: skip

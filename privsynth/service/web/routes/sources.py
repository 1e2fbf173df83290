"""Pages about sources."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

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
)
from privsynth.service.sources.schema_text import LONGEST
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
Short = Annotated[str, Form(max_length=200)]
Long = Annotated[str, Form(max_length=10_000)]


def _sources(service: Service, caller: Caller, *, problem: str = "", status: int = 200) -> Response:
    found = all_sources(service, caller)
    settings = service.settings
    return page("sources.html", caller, status=status, sources=found, settings=settings, problem=problem)


def _source(service: Service, caller: Caller, source_id: int, *, text: str = "", problem: str = "") -> Response:
    source = one_source(service, caller, source_id)
    return page(
        "source.html", caller, status=422 if problem else 200, source=source, text=text or source.schema,
        options=json.loads(source.options), problem=problem,
    )  # fmt: skip


@router.get("/sources")
def sources_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show all sources, and forms for a new one."""
    return _sources(service, caller)


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
) -> Response:
    """Register a source, and show the draft of its schema."""
    told = {"table": table.strip(), "sheet": sheet.strip(), "columns": columns.strip()}
    options = {key: value for key, value in told.items() if value}
    new = NewSource(name=name.strip(), dataset=dataset.strip(), kind=kind, place=place.strip(), options=options)
    try:
        source = register_source(service, caller, new)
    except InputError as problem:
        return _sources(service, caller, problem=str(problem), status=422)
    return RedirectResponse(f"/sources/{source.id}", 303)


@router.get("/sources/{source_id}")
def source_page(service: ServiceHere, caller: Visitor, source_id: int) -> Response:
    """Show a source and what is declared about it."""
    return _source(service, caller, source_id)


@router.post("/sources/{source_id}/schema")
def declare_form(
    service: ServiceHere,
    caller: FormVisitor,
    source_id: int,
    declared: Annotated[str, Form(max_length=2 * LONGEST)] = "",
) -> Response:
    """Replace what is declared about a source."""
    try:
        declare_schema(service, caller, source_id, declared)
    except InputError as problem:
        return _source(service, caller, source_id, text=declared, problem=str(problem))
    return RedirectResponse(f"/sources/{source_id}", 303)


@router.post("/sources/{source_id}/retire")
def retire_form(service: ServiceHere, caller: FormVisitor, source_id: int) -> Response:
    """End the use of a source."""
    retire_source(service, caller, source_id)
    return RedirectResponse("/sources", 303)

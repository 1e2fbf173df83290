"""Declaring the columns of a source one by one: a form, with what plans say of each column, and its twin in the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from privsynth.errors import InputError, SchemaError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.runs.request import request_of
from privsynth.service.runs.submit import PlanAt, plan_release
from privsynth.service.sources.column_form import (
    FIELDS,
    HIERARCHIES,
    KIND_WORDS,
    ROLES,
    TICKS,
    about_by,
    beyond_form,
    declared_by,
    fields_of,
)
from privsynth.service.sources.columns import (
    ABOUT,
    DeclaredColumn,
    Problems,
    declare_columns,
    declared_in,
    digest_of,
    problems_of,
)
from privsynth.service.sources.registry import one_source
from privsynth.service.store.runs import SourceRow
from privsynth.service.web.api import Number, Sent, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Sources")
ON_A_PAGE = 25  # columns (own): some 500 fields, which a phone still draws at once
MAX_COLUMNS = 2_000  # of one request: what a schema may have
First = Annotated[int, Query(ge=1, le=1_000_000)]
Typed = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class _Shown:
    """What the form shows besides what is declared.

    Attributes:
      first: number of the first column on this page, from 1.
      typed: number of a column -> its fields as they were sent; of 0, those of the table.
      told: epsilon and expected rows of a plan.
    """

    first: int = 1
    typed: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    problems: Problems = field(default_factory=dict)
    saved: bool = False


def _answer(
    service: Service, caller: Caller, source_id: int, shown: _Shown, problem: Exception | None = None
) -> Response:
    source = one_source(service, caller, source_id)
    declared = declared_in(source.schema)
    plans, unplanned = _plans(service, caller, source_id, shown.told)
    here = list(enumerate(declared.columns, start=1))[shown.first - 1 :][:ON_A_PAGE]
    fields = {n: {**fields_of(one.declared), **shown.typed.get(n, {})} for n, one in here}
    about = {key: "" if value is None else str(value) for key, value in declared.about.items()}
    numbers = {("", ""): 0, **{(one.table, one.name): n for n, one in here}}
    why = {(numbers[table, name], key): said for (table, name, key), said in shown.problems.items()}
    status, said = said_of(problem)
    return page(
        "columns.html", caller, status=status, source=source, declared=declared, here=here, fields=fields, why=why,
        about={**about, **shown.typed.get(0, {})}, problem=said, saved=shown.saved, told=shown.told,
        digest=digest_of(source.schema), first=shown.first, size=ON_A_PAGE, count=len(declared.columns),
        kinds=KIND_WORDS, roles=ROLES, hierarchies=HIERARCHIES, plans=plans, unplanned=unplanned,
        outlooks=_outlooks(plans, shown.told), beyond=beyond_form,
    )  # fmt: skip


def _plans(
    service: Service, caller: Caller, source_id: int, told: Mapping[str, str]
) -> tuple[list[PlanAt], str]:  # fmt: skip
    """Return the plans that were asked for, and why there are none; only for who may see plans."""
    if not told.get("epsilon") or not caller.may(Act.PLAN):
        return [], ""
    try:
        return plan_release(service, caller, source_id, request_of(told)), ""
    except InputError as problem:
        return [], str(problem)


def _outlooks(plans: Sequence[PlanAt], told: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Return table and column -> what is expected of it at the epsilon that was asked for."""
    found: dict[tuple[str, str], Any] = {}
    for at in plans:
        if at.plan is None or at.epsilon != request_of(told).epsilon:
            continue
        parts = [("", at.plan.outlooks)] + [(table.name, table.outlooks) for table in at.plan.tables]
        found |= {(name, one.name): one for name, outlooks in parts if outlooks for one in outlooks[-1].columns}
    return found


@router.get("/sources/{source_id}/columns")
def columns_page(
    service: ServiceHere, caller: Visitor, source_id: Number, first: First = 1, epsilon: Typed = "",
    expect_rows: Typed = "", saved: bool = False,
) -> Response:  # fmt: skip
    """Show what is declared about each column, in a form for who may declare it."""
    told = {"epsilon": epsilon.strip(), "expect_rows": expect_rows.strip()}
    return _answer(service, caller, source_id, _Shown(first=first, told=told, saved=saved))


async def _sent(request: Request) -> FormData:
    return await request.form()  # what the token of the form was taken from already


@router.post("/sources/{source_id}/columns")
def declare_columns_form(
    service: ServiceHere, caller: FormVisitor, source_id: Number, sent: Annotated[FormData, Depends(_sent)]
) -> Response:
    """Replace what is declared about the columns on a page of the form, and about the table."""
    caller.require(Act.REGISTER_SOURCE)
    declared, form = declared_in(one_source(service, caller, source_id).schema), _Form(sent)
    typed = form.typed()
    columns = [
        replace(one, declared=declared_by(one, typed[n], takes=form.text(f"c{n}.take") == "true"))
        for n, one in enumerate(declared.columns, start=1)
        if n in typed
    ]
    about = about_by(declared.about, typed.get(0, {}))
    try:
        declare_columns(service, caller, source_id, about=about, columns=columns, digest=form.text("digest"))
    except SchemaError as problem:
        shown = _Shown(first=form.first, typed=typed, problems=problems_of(about, columns))
        return _answer(service, caller, source_id, shown, problem)
    except InputError as problem:  # the columns may be others by now, to which nothing of this form belongs
        return _answer(service, caller, source_id, _Shown(first=form.first), problem)
    return RedirectResponse(form.next_page(source_id), 303)


class _Form:
    """The form as it was sent: c7.kind is the kind of the seventh column, c0.unit what is declared about the table."""

    def __init__(self, sent: FormData) -> None:
        self._sent = sent
        self.first = int(told) if (told := self.text("first")).isdecimal() and len(told) < 8 else 1

    def text(self, name: str) -> str:
        """Return a field of the form; "" for a box that is not ticked."""
        return " ".join(sorted(value for value in self._sent.getlist(name) if isinstance(value, str)))

    def typed(self) -> dict[int, dict[str, str]]:
        """Return number -> fields, of the table and of the columns that were on the page."""
        on_page = [n for n in range(max(self.first, 1), self.first + ON_A_PAGE) if f"c{n}.kind" in self._sent]
        found = {n: {name: self.text(f"c{n}.{name}") for name in self._sent_of(n)} for n in on_page}
        return {0: {key: self.text(f"c0.{key}") for key in ABOUT if f"c0.{key}" in self._sent}, **found}

    def _sent_of(self, number: int) -> list[str]:
        """Return the fields of a column; boxes count as sent, and a code book only where the form showed it."""
        return [name for name in FIELDS if f"c{number}.{name}" in self._sent or name in TICKS]

    def next_page(self, source_id: int) -> str:
        """Return where who pressed a button wants to go."""
        then = self.text("then")
        told = {"first": self.first + (ON_A_PAGE if then == "next" else 0), "saved": "true"}
        if then == "plan":
            told |= {name: self.text(name) for name in ("epsilon", "expect_rows") if self.text(name)}
        return f"/sources/{source_id}/columns?{urlencode(told)}" + ("#plan" if then == "plan" else "")


class ProposalFacts(BaseModel):
    """What the name of a column alone suggests."""

    key: str
    value: str
    when: str = Field(description="What the column has to hold for it.")


class NamedColumn(Sent):
    """What to declare about one column."""

    table: str = Field("", max_length=64, description="Empty where the source is one table.")
    name: str = Field(min_length=1, max_length=1000)
    declared: dict[str, Any] = Field(description="By the keys of a schema: kind, minimum, categories …; {}: nothing.")


class DeclaredColumns(Sent):
    """What to declare about some columns, and about the table; what is not named stays."""

    columns: list[NamedColumn] = Field(default_factory=list, max_length=MAX_COLUMNS)
    about: dict[str, Any] = Field(
        default_factory=dict, description=f"Of the table: {', '.join(ABOUT)}; null takes one away."
    )
    digest: str = Field(
        "", max_length=64, description="What the source's columns had when this was decided; then it counts only so."
    )


class SourceColumn(BaseModel):
    """What is declared about one column."""

    table: str
    name: str
    declared: dict[str, Any]
    proposal: ProposalFacts | None


class SourceColumns(BaseModel):
    """What is declared about a source, column by column."""

    digest: str
    about: dict[str, Any]
    columns: list[SourceColumn]


@api.get("/sources/{source_id}/columns", operation_id="source_columns")
def columns_of(service: ServiceHere, caller: Program, source_id: Number) -> SourceColumns:
    """List what is declared about each column, and what its name alone suggests where nothing is."""
    return _facts(one_source(service, caller, source_id))


@api.put("/sources/{source_id}/columns", operation_id="declare_columns")
def declare_by_program(
    service: ServiceHere, caller: Program, source_id: Number, sent: DeclaredColumns
) -> SourceColumns:
    """Replace what is declared about some columns; the others stay as they are."""
    columns = [DeclaredColumn(one.table, one.name, one.declared) for one in sent.columns]
    return _facts(declare_columns(service, caller, source_id, about=sent.about, columns=columns, digest=sent.digest))


def _facts(source: SourceRow) -> SourceColumns:
    declared = declared_in(source.schema)
    columns = [
        SourceColumn(
            table=one.table, name=one.name, declared=dict(one.declared),
            proposal=None if one.proposal is None else ProposalFacts(**vars(one.proposal)),
        )
        for one in declared.columns
    ]  # fmt: skip
    return SourceColumns(digest=digest_of(source.schema), about=dict(declared.about), columns=columns)

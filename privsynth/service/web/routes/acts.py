"""The record of acts, for auditors."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from privsynth.service.oversight.acts import MOST, acts, check_chain, kinds_of_acts
from privsynth.service.store.runs import RecordedAct
from privsynth.service.web.api import LARGEST, api_router
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Record of acts")
About = Annotated[str, Query(max_length=200, description="The beginning of what it was done to, as `run`.")]
Kind = Annotated[str, Query(max_length=40, description="The kind of act; empty for all.")]
Before = Annotated[int | None, Query(ge=1, le=LARGEST, description="Only acts with a smaller number.")]


@router.get("/acts")
def acts_page(
    service: ServiceHere, caller: Visitor, about: About = "", act: Kind = "", before: Before = None
) -> Response:
    """Show what was done, newest first."""
    found = acts(service, caller, about=about.strip(), act=act, before=before)
    shown = [(one, json.loads(one.detail)) for one in found.acts]
    more = urlencode({"about": about, "act": act, "before": found.older or ""})
    kinds = kinds_of_acts(service, caller)
    return page(
        "acts.html", caller, shown=shown, older=found.older, more=more, about=about, act=act, kinds=kinds, chain=None
    )


@router.get("/acts/check")
def check_page(service: ServiceHere, caller: Visitor) -> Response:
    """Check the whole record, and say what to note down."""
    chain = check_chain(service, caller)
    kinds = kinds_of_acts(service, caller)
    return page("acts.html", caller, shown=[], older=None, more="", about="", act="", kinds=kinds, chain=chain)


class ActFacts(BaseModel):
    """One act. `digest` is SHA-256 of the compact JSON array [before, at, person, act, about, detail]."""

    id: int
    at: datetime
    person: int | None = Field(description="Number of the person; null for a recipient or the service itself.")
    name: str | None
    act: str
    about: str
    detail: dict[str, Any]
    before: str
    digest: str


class ActsFacts(BaseModel):
    """A part of the record, newest first; `older` goes into `before` for the next part."""

    acts: list[ActFacts]
    older: int | None


class ChainFacts(BaseModel):
    """Whether the record follows from its first act; `damaged` is the number of the first act that does not."""

    count: int
    head: str
    damaged: int | None


@api.get("/acts", operation_id="acts")
def acts_facts(
    service: ServiceHere,
    caller: Program,
    about: About = "",
    act: Kind = "",
    before: Before = None,
    most: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> ActsFacts:
    """List what was done, newest first."""
    found = acts(service, caller, about=about, act=act, before=before, most=most)
    return ActsFacts(acts=[_facts(one) for one in found.acts], older=found.older)


@api.get("/acts/check", operation_id="check_acts")
def chain_facts(service: ServiceHere, caller: Program) -> ChainFacts:
    """Check the whole record."""
    return ChainFacts(**vars(check_chain(service, caller)))


def _facts(act: RecordedAct) -> ActFacts:
    return ActFacts(
        id=act.id, at=act.at, person=act.person_id, name=act.person.display if act.person else None, act=act.act,
        about=act.about, detail=json.loads(act.detail), before=act.before, digest=act.digest,
    )  # fmt: skip

"""The page on retention, and what it says and does for programs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from privsynth.errors import PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.retention.deleting import delete_early
from privsynth.service.retention.holds import certificate, lift_hold, place_hold, retention_page
from privsynth.service.store.retention import DeletionRow, HoldRow
from privsynth.service.web.api import Number, Sent, api_router
from privsynth.service.web.pages import json_file, page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Retention")
Line = Annotated[str, Form(max_length=2_000)]


def _page(service: Service, caller: Caller, *, problem: PrivsynthError | None = None) -> Response:
    status, said = said_of(problem)
    told = retention_page(service, caller)
    return page("retention.html", caller, status=status, told=told, now=service.now(), problem=said)


@router.get("/retention")
def retention(service: ServiceHere, caller: Visitor) -> Response:
    """Show what is kept and until when, what is held, and what was deleted."""
    return _page(service, caller)


@router.post("/retention/holds")
def hold_form(service: ServiceHere, caller: FormVisitor, item: Line, reason: Line) -> Response:
    """Hold an item back from deletion."""
    try:
        place_hold(service, caller, item, reason)
    except PrivsynthError as problem:
        return _page(service, caller, problem=problem)
    return RedirectResponse("/retention", 303)


@router.post("/retention/holds/{hold_id}/lift")
def lift_form(service: ServiceHere, caller: FormVisitor, hold_id: Number, reason: Line) -> Response:
    """End a hold."""
    try:
        lift_hold(service, caller, hold_id, reason)
    except PrivsynthError as problem:
        return _page(service, caller, problem=problem)
    return RedirectResponse("/retention", 303)


@router.post("/retention/deletions")
def delete_form(service: ServiceHere, caller: FormVisitor, item: Line, reason: Line) -> Response:
    """Delete an item now."""
    try:
        delete_early(service, caller, item, reason)
    except PrivsynthError as problem:
        return _page(service, caller, problem=problem)
    return RedirectResponse("/retention", 303)


@router.get("/retention/certificates/{deletion_id}")
def certificate_page(service: ServiceHere, caller: Visitor, deletion_id: Number) -> Response:
    """Send the certificate of a deletion."""
    return json_file(*certificate(service, caller, deletion_id))


class SentHold(Sent):
    """What is held or deleted, and why."""

    item: str = Field(max_length=120)
    reason: str = Field(min_length=1, max_length=500)


class SentReason(Sent):
    """Why."""

    reason: str = Field(min_length=1, max_length=500)


class HoldFacts(BaseModel):
    """A hold."""

    id: int
    item: str
    reason: str
    placed_by: str
    placed_at: datetime
    lifted_at: datetime | None


class KeptItem(BaseModel):
    """Something that can be deleted."""

    item: str
    what: str
    dataset: str
    rule: str = Field(description="Which rule deletes it; empty for none.")
    due_at: datetime | None = Field(description="Null where no rule deletes it, or nobody knows yet when.")
    hold: int | None = Field(description="Number of the hold that keeps it.")
    busy: bool = Field(description="It is in use, and not deleted until that has ended.")


class DeletionFacts(BaseModel):
    """A deletion; `files` has SHA-256 and bytes of each file."""

    id: int
    item: str
    what: str
    dataset: str
    rule: str
    reason: str
    asked_by: str | None = Field(description="Null where a rule deleted it.")
    begun_at: datetime
    done_at: datetime | None
    files: dict[str, tuple[str, int]]
    certificate: str | None = Field(description="SHA-256 of the certificate.")


class RetentionFacts(BaseModel):
    """What is kept, held and deleted; `rules` in days, 0 for never."""

    rules: dict[str, int]
    kept: list[KeptItem]
    holds: list[HoldFacts]
    deleted: list[DeletionFacts]


@api.get("/retention", operation_id="retention")
def retention_facts(service: ServiceHere, caller: Program) -> RetentionFacts:
    """List what is kept and until when, what is held, and what was deleted."""
    told = retention_page(service, caller)
    kept = [
        KeptItem(
            item=one.name, what=one.what, dataset=one.dataset, rule=one.rule, due_at=one.due_at,
            hold=None if one.hold is None else one.hold.id, busy=one.busy,
        )
        for one in told.items
    ]  # fmt: skip
    return RetentionFacts(
        rules={name: days for name, (_, days) in told.rules.items()}, kept=kept,
        holds=[_hold(one) for one in told.holds], deleted=[_deletion(one) for one in told.deletions],
    )  # fmt: skip


@api.post("/retention/holds", operation_id="place_hold", status_code=201)
def hold_fact(service: ServiceHere, caller: Program, sent: SentHold) -> HoldFacts:
    """Hold an item back from deletion, whatever a rule says."""
    return _hold(place_hold(service, caller, sent.item, sent.reason))


@api.post("/retention/holds/{hold_id}/lift", operation_id="lift_hold")
def lift_fact(service: ServiceHere, caller: Program, hold_id: Number, sent: SentReason) -> HoldFacts:
    """End a hold."""
    return _hold(lift_hold(service, caller, hold_id, sent.reason))


@api.post("/retention/deletions", operation_id="delete_early", status_code=201)
def delete_fact(service: ServiceHere, caller: Program, sent: SentHold) -> DeletionFacts:
    """Delete an item now. This is not taken back."""
    return _deletion(delete_early(service, caller, sent.item, sent.reason))


@api.get("/retention/certificates/{deletion_id}", operation_id="certificate", response_class=Response)
def certificate_file(service: ServiceHere, caller: Program, deletion_id: Number) -> Response:
    """Send the certificate of a deletion, which `privsynth verify` checks."""
    return json_file(*certificate(service, caller, deletion_id))


def _hold(hold: HoldRow) -> HoldFacts:
    return HoldFacts(
        id=hold.id, item=hold.item, reason=hold.reason, placed_by=hold.person.display, placed_at=hold.placed_at,
        lifted_at=hold.lifted_at,
    )  # fmt: skip


def _deletion(one: DeletionRow) -> DeletionFacts:
    return DeletionFacts(
        id=one.id, item=one.item, what=one.what, dataset=one.dataset, rule=one.rule, reason=one.reason,
        asked_by=None if one.person is None else one.person.display, begun_at=one.begun_at, done_at=one.done_at,
        files=json.loads(one.files), certificate=one.digest,
    )  # fmt: skip

"""The page on requests for erasure, and the same for programs."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import Response
from pydantic import BaseModel, Field

from privsynth.approvals.notices import Notice
from privsynth.errors import InputError, PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.erasure import words
from privsynth.service.erasure.acts import (
    ErasureAnswer,
    ErasureRequest,
    answer_request,
    answers,
    datasets_of,
    statement,
)
from privsynth.service.roles import Act
from privsynth.service.store.retention import ErasureRow
from privsynth.service.web.api import Number, Sent, api_router
from privsynth.service.web.pages import json_file, page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Erasure")
Short = Annotated[str, Form(max_length=100)]


def _page(
    service: Service, caller: Caller, *, answer: ErasureAnswer | None = None, problem: PrivsynthError | None = None
) -> Response:
    status, said = said_of(problem)
    told = [(one, json.loads(one.datasets)) for one in answers(service, caller)]
    return page(
        "erasure.html", caller, status=status, answers=told, datasets=datasets_of(service, caller), answer=answer,
        words=words, problem=said,
    )  # fmt: skip


@router.get("/erasure")
def erasure_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show a form for a request, and what was answered."""
    return _page(service, caller)


@router.post("/erasure")
def erasure_form(
    service: ServiceHere,
    caller: FormVisitor,
    case: Short,
    datasets: Annotated[list[str] | None, Form()] = None,
    entered: Short = "",
    removed: Short = "",
) -> Response:
    """Answer a request, and show what was found."""
    try:
        asked = ErasureRequest(
            case=case.strip(), datasets=tuple(datasets or ()), entered=_day(entered), removed=_day(removed)
        )
        answer = answer_request(service, caller, asked)
    except PrivsynthError as problem:
        caller.require(Act.ANSWER_ERASURE)
        return _page(service, caller, problem=problem)
    return _page(service, caller, answer=answer)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise InputError("a day is written as 2026-12-31") from None


@router.get("/erasure/{number}")
def statement_page(service: ServiceHere, caller: Visitor, number: Number) -> Response:
    """Send a signed answer."""
    return json_file(*statement(service, caller, number))


class SentErasure(Sent):
    """What is said of a request; nothing that tells who the person is."""

    case: str = Field(max_length=40, description="A reference of your own files; never a name.")
    datasets: list[str] = Field(min_length=1, max_length=100)
    entered: date | None = Field(None, description="When the person's data came into the sources; null if unknown.")
    removed: date | None = Field(None, description="When it left them; null if it did not, or nobody knows.")


class ErasureFacts(BaseModel):
    """An answer that was given."""

    id: int
    case: str
    datasets: list[str]
    answered_by: str
    at: datetime
    statement: str = Field(description="SHA-256 of the signed statement.")


class NewErasure(ErasureFacts):
    """An answer, with what the statement says."""

    said: dict[str, Any]


@api.get("/erasure", operation_id="erasures")
def erasure_facts(service: ServiceHere, caller: Program) -> list[ErasureFacts]:
    """List what was answered to requests for erasure."""
    return [ErasureFacts.model_validate(_facts(one)) for one in answers(service, caller)]


@api.post("/erasure", operation_id="answer_erasure", status_code=201)
def answer_fact(service: ServiceHere, caller: Program, sent: SentErasure) -> NewErasure:
    """Say which releases a person may be in and what can be done; the answer is signed, and on record."""
    asked = ErasureRequest(case=sent.case, datasets=tuple(sent.datasets), entered=sent.entered, removed=sent.removed)
    row = answer_request(service, caller, asked).row
    return NewErasure.model_validate({**_facts(row), "said": dict(Notice.opened(row.statement)[0].said)})


@api.get("/erasure/{number}", operation_id="erasure_statement", response_class=Response)
def statement_file(service: ServiceHere, caller: Program, number: Number) -> Response:
    """Send a signed answer, which `privsynth verify` checks."""
    return json_file(*statement(service, caller, number))


def _facts(row: ErasureRow) -> dict[str, Any]:
    return {
        "id": row.id, "case": row.case, "datasets": json.loads(row.datasets), "answered_by": row.person.display,
        "at": row.at, "statement": row.digest,
    }  # fmt: skip

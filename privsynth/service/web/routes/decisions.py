"""Pages on which people read the reports of a release and decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from privsynth.approvals.deciding import SaidWords
from privsynth.errors import PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.deciding import TypedProof, decide
from privsynth.service.decisions.on_record import answers_of
from privsynth.service.decisions.reports import officer_report, public_report
from privsynth.service.decisions.sheet import decision_page
from privsynth.service.web.api import RunId
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor, address_of

router = APIRouter(include_in_schema=False)
# A report is a page of its own in a frame: it runs nothing, sends nothing and is of no origin.
REPORT_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
Text = Annotated[str, Form(max_length=4_000)]
Secret = Annotated[str, Form(max_length=1_000)]


def report_answer(text: bytes) -> Response:
    """Return a report as a sandboxed page."""
    return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})


def decision_page_answer(
    service: Service, caller: Caller, run_id: str, *, problem: Exception | None = None, comment: str = ""
) -> Response:
    """Return the page on which people decide, with what was wrong with a decision, if anything."""
    try:
        told = decision_page(service, caller, run_id)
    except PrivsynthError as unseen:
        raise (problem or unseen) from None
    status, said = said_of(problem)
    return page(
        "decide.html",
        caller,
        status=status,
        told=told,
        run=told.run,
        approvals=told.approvals,
        problem=said,
        comment=comment,
        answers=answers_of(service, told.run),
    )


@router.get("/runs/{run_id}/decide")
def decide_page(service: ServiceHere, caller: Visitor, run_id: RunId) -> Response:
    """Show what is to be known, both reports, and a form."""
    return decision_page_answer(service, caller, run_id)


@router.post("/runs/{run_id}/decide")
def decide_form(
    request: Request,
    service: ServiceHere,
    caller: FormVisitor,
    run_id: RunId,
    meaning: Annotated[str, Form(max_length=20)],
    comment: Text = "",
    against_policy: Annotated[bool, Form()] = False,
    passphrase: Secret = "",
    password: Secret = "",
) -> Response:
    """Decide; what cannot be done is said on the same page, with what was written."""
    words = SaidWords(meaning, comment.strip(), against_policy)
    try:
        decide(service, caller, run_id, words, TypedProof(passphrase, password, address_of(request)))
    except PrivsynthError as problem:
        return decision_page_answer(service, caller, run_id, problem=problem, comment=comment)
    return RedirectResponse(f"/runs/{run_id}/decide", 303)


@router.get("/runs/{run_id}/officer/report.html")
def officer_page(service: ServiceHere, caller: Visitor, run_id: RunId) -> Response:
    """Show the officer's report."""
    return report_answer(officer_report(service, caller, run_id))


@router.get("/runs/{run_id}/public/report.html")
def public_page(service: ServiceHere, caller: Visitor, run_id: RunId) -> Response:
    """Show the public report."""
    return report_answer(public_report(service, caller, run_id))

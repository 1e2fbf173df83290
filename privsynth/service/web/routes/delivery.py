"""Pages on which a release is published, offered to recipients, and revoked."""

from __future__ import annotations

from pathlib import Path as PathOnDisk
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from privsynth.errors import PrivsynthError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.decisions.deciding import TypedProof
from privsynth.service.decisions.handing_out import hand_out_page
from privsynth.service.decisions.on_record import revocation_of
from privsynth.service.decisions.publishing import publish, revoke
from privsynth.service.delivery.archive import begin_own_download, file_name
from privsynth.service.delivery.offers import LONGEST_DAYS, WantedOffer, make_offer, withdraw_offer
from privsynth.service.store.runs import RunRow
from privsynth.service.web.api import Number, RunId
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor, address_of, base_address

router = APIRouter(include_in_schema=False)
Line = Annotated[str, Form(max_length=2_000)]
Secret = Annotated[str, Form(max_length=1_000)]


def archive_answer(run: RunRow, archive: PathOnDisk) -> Response:
    """Return the archive of an edition as a file."""
    return FileResponse(archive, media_type="application/zip", filename=file_name(run))


def _page(
    service: Service, caller: Caller, run_id: str, *, problem: Exception | None = None, link: str = ""
) -> Response:
    try:
        told = hand_out_page(service, caller, run_id)
    except PrivsynthError as unseen:
        raise (problem or unseen) from None
    status, said = said_of(problem)
    return page(
        "hand_out.html", caller, status=status, told=told, run=told.run, now=service.now(), longest=LONGEST_DAYS,
        problem=said, link=link, revoked=revocation_of(service, told.run),
    )  # fmt: skip


@router.get("/runs/{run_id}/hand-out")
def hand_out(service: ServiceHere, caller: Visitor, run_id: RunId) -> Response:
    """Show where a release stands after the decision, and to whom it was offered."""
    return _page(service, caller, run_id)


@router.post("/runs/{run_id}/publish")
def publish_form(
    request: Request,
    service: ServiceHere,
    caller: FormVisitor,
    run_id: RunId,
    comments: Annotated[bool, Form()] = False,
    password: Secret = "",
) -> Response:
    """Publish the approved edition."""
    try:
        publish(service, caller, run_id, comments=comments, proof=TypedProof("", password, address_of(request)))
    except PrivsynthError as problem:
        return _page(service, caller, run_id, problem=problem)
    return RedirectResponse(f"/runs/{run_id}/hand-out", 303)


@router.post("/runs/{run_id}/revoke")
def revoke_form(
    request: Request, service: ServiceHere, caller: FormVisitor, run_id: RunId, reason: Line, password: Secret = ""
) -> Response:
    """Revoke a release."""
    try:
        revoke(service, caller, run_id, reason, TypedProof("", password, address_of(request)))
    except PrivsynthError as problem:
        return _page(service, caller, run_id, problem=problem)
    return RedirectResponse(f"/runs/{run_id}/hand-out", 303)


@router.post("/runs/{run_id}/offers")
def offer_form(
    request: Request,
    service: ServiceHere,
    caller: FormVisitor,
    run_id: RunId,
    recipient: Line,
    terms: Annotated[str, Form(max_length=40_000)],
    days: Annotated[int, Form()],
) -> Response:
    """Offer an edition, and show the link once."""
    try:
        wanted = WantedOffer(recipient=recipient, terms=terms, days=days)
        _, secret = make_offer(service, caller, run_id, wanted)
    except PrivsynthError as problem:
        return _page(service, caller, run_id, problem=problem)
    return _page(service, caller, run_id, link=f"{base_address(request, service)}/download/{secret}")


@router.get("/runs/{run_id}/edition.zip")
def download_edition(service: ServiceHere, caller: Visitor, run_id: RunId) -> Response:
    """Send the published edition to a person of the institution."""
    return archive_answer(*begin_own_download(service, caller, run_id))


@router.post("/offers/{offer_id}/withdraw")
def withdraw_form(service: ServiceHere, caller: FormVisitor, offer_id: Number) -> Response:
    """End an offer."""
    offer = withdraw_offer(service, caller, offer_id)
    return RedirectResponse(f"/runs/{offer.run_id}/hand-out", 303)

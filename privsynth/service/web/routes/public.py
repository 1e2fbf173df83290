"""Pages without signing in: of recipients who have a link, and of everybody who verifies a release."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from privsynth.errors import InputError, OutputError
from privsynth.service.context import Service
from privsynth.service.delivery.archive import archive_of
from privsynth.service.delivery.offers import accept_terms, begin_download, offered, require_accepted
from privsynth.service.delivery.public import log_file, public_keyring, public_verify_page, revocations
from privsynth.service.web.pages import page
from privsynth.service.web.routes.delivery import archive_answer
from privsynth.service.web.visitors import ServiceHere, base_address

router = APIRouter(include_in_schema=False)
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')
READ = ["GET", "HEAD"]  # a program that looks whether there is a newer file asks for its head
_FOREVER = {"cache-control": "public, max-age=31536000, immutable"}  # RFC 8246; a year is as long as caches keep it
_ATTACHED = {"content-disposition": "attachment"}


@router.get("/download/{secret}")
def offer_page(service: ServiceHere, secret: str) -> Response:
    """Show a recipient what is offered, and on which terms."""
    return page("offer.html", offer=offered(service, secret), secret=secret)


@router.post("/download/{secret}/accept")
def accept_form(service: ServiceHere, secret: str) -> Response:
    """Accept the terms."""
    accept_terms(service, secret)
    return RedirectResponse(f"/download/{secret}", 303)


@router.get("/download/{secret}/release.zip")
def download(service: ServiceHere, secret: str) -> Response:
    """Send the edition."""
    require_accepted(offer := offered(service, secret))
    archive = archive_of(service, offer.run)  # what cannot be sent is not on record as downloaded
    return archive_answer(begin_download(service, secret).run, archive)


@router.api_route("/verify.html", methods=READ)
def verify(request: Request, service: ServiceHere) -> Response:
    """Show the page on which everybody verifies a release; it makes no connection."""
    text = public_verify_page(service, f"{base_address(request, service)}/log")
    found = _POLICY.search(text)
    assert found is not None
    return HTMLResponse(text, headers={"content-security-policy": f"{found[1]}; frame-ancestors 'none'"})


@router.api_route("/keyring.json", methods=READ)
def keyring(service: ServiceHere) -> Response:
    """Send the keys that sign releases."""
    return Response(public_keyring(service).to_json(), media_type="application/json", headers=_ATTACHED)


@router.api_route("/revocations.json", methods=READ)
def revoked(service: ServiceHere) -> Response:
    """Send the signed list of revocations."""
    try:
        return Response(revocations(service), media_type="application/json", headers=_ATTACHED)
    except OutputError:
        raise  # that it cannot be read does not say that nothing was revoked
    except InputError as problem:
        raise HTTPException(404, str(problem)) from None


@router.api_route("/log/checkpoint", methods=READ)
def log_checkpoint(service: ServiceHere) -> Response:
    """Send the signed checkpoint of the log of releases."""
    return _log_answer(service, "checkpoint")


@router.api_route("/log/key", methods=READ)
def log_key(service: ServiceHere) -> Response:
    """Send the public key of the log; readers have to get it by another way, too."""
    return _log_answer(service, "key")


@router.api_route("/log/tile/{name:path}", methods=READ)
def log_tile(service: ServiceHere, name: str) -> Response:
    """Send entries of the log, or hashes of its tree (C2SP tlog-tiles)."""
    return _log_answer(service, f"tile/{name}")


def _log_answer(service: Service, name: str) -> Response:
    try:
        data, fixed = log_file(service, name)
    except InputError as problem:
        raise HTTPException(404, str(problem)) from None
    kind = "application/octet-stream" if fixed else "text/plain; charset=utf-8"
    return Response(data, media_type=kind, headers=_FOREVER if fixed else {"cache-control": "no-cache"})

"""Pages for signing in and out, and for choosing a password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import InputError, NotAllowed
from privsynth.service.context import Service
from privsynth.service.sign_in import LONGEST, accept_invitation, sign_in, sign_out
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, address_of, cookie_name

router = APIRouter(include_in_schema=False)
Password = Annotated[str, Form(max_length=4 * LONGEST)]


def _into(service: Service, secret: str) -> Response:
    """Lead into the service, with a session's cookie."""
    response = RedirectResponse("/", 303)
    response.set_cookie(
        cookie_name(service), secret, httponly=True, samesite="lax", secure=service.settings.over_tls, path="/"
    )
    return response


@router.get("/sign-in")
def sign_in_page() -> Response:
    """Ask for name and password."""
    return page("sign_in.html", problem="")


@router.post("/sign-in")
def sign_in_form(
    request: Request, service: ServiceHere, name: Annotated[str, Form(max_length=200)], password: Password
) -> Response:
    """Begin a session."""
    try:
        return _into(service, sign_in(service, name, password, address_of(request)))
    except NotAllowed as problem:
        return page("sign_in.html", status=403, problem=str(problem))


@router.post("/sign-out")
def sign_out_form(request: Request, service: ServiceHere, caller: FormVisitor) -> Response:
    """End the session."""
    del caller
    sign_out(service, request.cookies[cookie_name(service)])
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(service), path="/")
    return response


@router.get("/welcome/{secret}")
def welcome_page(secret: str) -> Response:
    """Ask who was invited for a new password; only the answer uses the link up, so that a preview does not."""
    return page("welcome.html", secret=secret, problem="")


@router.post("/welcome/{secret}")
def welcome_form(service: ServiceHere, secret: str, password: Password) -> Response:
    """Choose a password, and begin a session."""
    try:
        return _into(service, accept_invitation(service, secret, password))
    except (InputError, NotAllowed) as problem:
        return page("welcome.html", status=422, secret=secret, problem=str(problem))

"""Pages for signing in and out, and for choosing a password."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import InputError, NotAllowed, ServiceUnavailable, TooManyRequests
from privsynth.service.context import Service
from privsynth.service.sign_in import LONGEST, accept_invitation, invited_name, sign_in, sign_out
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, address_of, base_address, cookie_name

router = APIRouter(include_in_schema=False)
LOST = (
    "your session had ended when you sent the form: nothing was decided or changed, and what you typed could not be "
    "kept. Sign in, and do it again"
)
Password = Annotated[str, Form(max_length=4 * LONGEST)]


def _into(service: Service, secret: str) -> Response:
    """Lead into the service, with a session's cookie."""
    response = RedirectResponse("/", 303)
    response.set_cookie(
        cookie_name(service), secret, httponly=True, samesite="lax", secure=service.settings.over_tls, path="/"
    )
    return response


@router.get("/sign-in")
def sign_in_page(service: ServiceHere, lost: bool = False) -> Response:
    """Ask for name and password, or lead to the provider; `lost` says that a form came after its session had ended."""
    return _sign_in_page(service, LOST if lost else "")


def _sign_in_page(service: Service, problem: str = "", status: int = 200) -> Response:
    provider = urlsplit(service.settings.oidc_issuer).hostname or ""
    return page("sign_in.html", status=status, problem=problem, provider=provider)


@router.post("/sign-in")
def sign_in_form(
    request: Request, service: ServiceHere, name: Annotated[str, Form(max_length=200)], password: Password
) -> Response:
    """Begin a session."""
    try:
        return _into(service, sign_in(service, name, password, address_of(request)))
    except NotAllowed as problem:
        return _sign_in_page(service, str(problem), 403)
    except TooManyRequests as problem:
        response = _sign_in_page(service, str(problem), 429)
        response.headers["retry-after"] = str(problem.retry_after_s)
        return response


def _question_cookie(service: Service) -> str:
    return f"{cookie_name(service)}-question"


@router.get("/sign-in/provider")
def provider_page(request: Request, service: ServiceHere) -> Response:
    """Lead to the institution's provider."""
    from privsynth.service.oidc import LIFETIME, ask  # its packages take half a second to load

    if not service.settings.oidc_issuer:
        raise HTTPException(404)
    question = ask(service, f"{base_address(request, service)}/sign-in/answer")
    response = RedirectResponse(question.address, 303)
    response.set_cookie(
        _question_cookie(service), question.cookie, max_age=int(LIFETIME.total_seconds()), httponly=True,
        samesite="lax", secure=service.settings.over_tls, path="/",
    )  # fmt: skip
    return response


@router.get("/sign-in/answer")
def provider_answer(request: Request, service: ServiceHere, code: str = "", state: str = "") -> Response:
    """Take the provider's answer, and begin a session."""
    from privsynth.service.oidc import answered

    if not service.settings.oidc_issuer:
        raise HTTPException(404)
    try:
        cookie = request.cookies.get(_question_cookie(service), "")
        response = _into(service, answered(service, cookie, code[:2000], state[:200]))
    except (NotAllowed, ServiceUnavailable) as problem:
        response = _sign_in_page(service, str(problem), 403)
    response.delete_cookie(_question_cookie(service), path="/")
    return response


@router.post("/sign-out")
def sign_out_form(request: Request, service: ServiceHere, caller: FormVisitor) -> Response:
    """End the session."""
    del caller
    sign_out(service, request.cookies[cookie_name(service)])
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(cookie_name(service), path="/")
    return response


@router.get("/welcome/{secret}")
def welcome_page(service: ServiceHere, secret: str) -> Response:
    """Ask who was invited for a new password; only the answer uses the link up, so that a preview does not."""
    return page("welcome.html", secret=secret, signs_in_as=invited_name(service, secret), problem="")


@router.post("/welcome/{secret}")
def welcome_form(service: ServiceHere, secret: str, password: Password) -> Response:
    """Choose a password, and begin a session."""
    try:
        return _into(service, accept_invitation(service, secret, password))
    except InputError as problem:
        name = invited_name(service, secret)
        return page("welcome.html", status=422, secret=secret, signs_in_as=name, problem=str(problem))

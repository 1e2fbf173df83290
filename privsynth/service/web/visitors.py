"""Who sends a request: dependencies of every endpoint."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Form, Request
from fastapi.security import HTTPBearer

from privsynth.errors import NotAllowed
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.sign_in import TOKEN_PREFIX, caller_of_session, caller_of_token


class SignInFirst(Exception):
    """Nobody is known to have sent this request."""


def service_of(request: Request) -> Service:
    """Return the service that serves a request."""
    service: Service = request.app.state.service
    return service


def cookie_name(service: Service) -> str:
    """Return the name of the session's cookie; browsers take the prefix only over TLS, for this host and all paths."""
    return "__Host-privsynth" if service.settings.over_tls else "privsynth"


def address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client else "unknown"


def base_address(request: Request, service: Service) -> str:
    """Return the address of the service, without a slash at its end, for links that people follow later."""
    return service.settings.public_url or str(request.base_url).rstrip("/")


def visitor(request: Request, service: Annotated[Service, Depends(service_of)]) -> Caller:
    """Return who is at the browser.

    Raises:
      SignInFirst: nobody who is known.
    """
    secret = request.cookies.get(cookie_name(service))
    caller = caller_of_session(service, secret) if secret else None
    if caller is None:
        raise SignInFirst
    return caller


_BEARER = HTTPBearer(auto_error=False, description="A token from the page Tokens: psy_…")


def program(
    request: Request, service: Annotated[Service, Depends(service_of)], _told: Annotated[object, Depends(_BEARER)]
) -> Caller:
    """Return whose token a program sends; cookies do not open the API.

    Raises:
      SignInFirst: it sends none, or one that ended.
      TooManyRequests: the programs of this person send too many requests.
    """
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    known = kind.casefold() == "bearer" and secret.startswith(TOKEN_PREFIX)
    caller = caller_of_token(service, secret) if known else None
    if caller is None:
        raise SignInFirst
    request.app.state.person_limit.require(caller.person_id, service.now().timestamp())
    return caller


def form_visitor(
    caller: Annotated[Caller, Depends(visitor)], form_token: Annotated[str, Form(max_length=100)] = ""
) -> Caller:
    """Return who sent a form of their own session.

    Raises:
      NotAllowed: the form is not from a page of this session.
    """
    require_form(caller, form_token)
    return caller


def require_form(caller: Caller, form_token: str) -> None:
    """Return if a form is of the caller's own session.

    Raises:
      NotAllowed: it is not.
    """
    if not hmac.compare_digest(form_token.encode(), caller.form_token.encode()):
        raise NotAllowed("this form is from an earlier session: open the page again")


ServiceHere = Annotated[Service, Depends(service_of)]
Visitor = Annotated[Caller, Depends(visitor)]
FormVisitor = Annotated[Caller, Depends(form_visitor)]
Program = Annotated[Caller, Depends(program)]

"""A person's own tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.roles import Act
from privsynth.service.tokens import LONGEST_DAYS, new_token, own_tokens, revoke_token
from privsynth.service.web.api import Number, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Tokens")


def _tokens(service: Service, caller: Caller, *, secret: str = "", problem: Exception | None = None) -> Response:
    status, said = said_of(problem)
    scopes = [act for act in Act if caller.may(act)]
    tokens = own_tokens(service, caller)
    return page(
        "tokens.html", caller, status=status, tokens=tokens, scopes=scopes, longest=LONGEST_DAYS, secret=secret,
        problem=said,
    )  # fmt: skip


@router.get("/tokens")
def tokens_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show the person's tokens, and a form for a new one."""
    return _tokens(service, caller)


@router.post("/tokens")
def token_form(
    service: ServiceHere,
    caller: FormVisitor,
    label: Annotated[str, Form(max_length=200)],
    days: Annotated[int, Form()],
    scopes: Annotated[list[Act] | None, Form()] = None,
) -> Response:
    """Make a token, and show it once."""
    try:
        secret = new_token(service, caller, label, frozenset(scopes or ()), days)
    except InputError as problem:
        return _tokens(service, caller, problem=problem)
    return _tokens(service, caller, secret=secret)


@router.post("/tokens/{token_id}/revoke")
def revoke_form(service: ServiceHere, caller: FormVisitor, token_id: Number) -> Response:
    """End a token."""
    revoke_token(service, caller, token_id)
    return RedirectResponse("/tokens", 303)


class TokenFacts(BaseModel):
    """A token, without what opens the service."""

    id: int
    label: str
    prefix: str
    scopes: list[Act]
    made_at: datetime
    ends_at: datetime
    used_at: datetime | None


@api.get("/tokens", operation_id="tokens")
def token_facts(service: ServiceHere, caller: Program) -> list[TokenFacts]:
    """List the tokens of the token's person. A new one is made at a browser."""
    return [
        TokenFacts(
            id=one.id, label=one.label, prefix=one.prefix, scopes=[Act(scope) for scope in one.scopes.split()],
            made_at=one.made_at, ends_at=one.ends_at, used_at=one.used_at,
        )
        for one in own_tokens(service, caller)
    ]  # fmt: skip


@api.post("/tokens/{token_id}/revoke", operation_id="revoke_token", status_code=204)
def revoke_fact(service: ServiceHere, caller: Program, token_id: Number) -> None:
    """End one of them."""
    revoke_token(service, caller, token_id)

"""Pages about signing keys: everybody's own, and those of the institution."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.keys.people import all_keys, enter_key, make_own_key, own_key, revoke
from privsynth.service.web.pages import page
from privsynth.service.web.visitors import FormVisitor, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
Line = Annotated[str, Form(max_length=400)]
Secret = Annotated[str, Form(max_length=1_000)]


@router.get("/my-key")
def my_key_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show the person's key, and a form for a new one."""
    return page("my_key.html", caller, key=own_key(service, caller), problem="")


@router.post("/my-key")
def my_key_form(service: ServiceHere, caller: FormVisitor, passphrase: Secret, again: Secret) -> Response:
    """Make the person a key."""
    try:
        if passphrase != again:
            raise InputError("the two passphrases differ: type the same one twice")
        make_own_key(service, caller, passphrase)
    except InputError as problem:
        return page("my_key.html", caller, status=422, key=own_key(service, caller), problem=str(problem))
    return RedirectResponse("/my-key", 303)


def _keys(service: Service, caller: Caller, *, problem: str = "", status: int = 200) -> Response:
    return page("keys.html", caller, status=status, keys=all_keys(service, caller), problem=problem)


@router.get("/keys")
def keys_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show all keys."""
    return _keys(service, caller)


@router.post("/keys/enter/{person_id}")
def enter_form(service: ServiceHere, caller: FormVisitor, person_id: int, told: Line) -> Response:
    """Enter a person's key in the keyring."""
    try:
        enter_key(service, caller, person_id, told)
    except InputError as problem:
        return _keys(service, caller, problem=str(problem), status=422)
    return RedirectResponse("/keys", 303)


@router.post("/keys/revoke/{keyid}")
def revoke_form(service: ServiceHere, caller: FormVisitor, keyid: str, reason: Line) -> Response:
    """Revoke a key."""
    try:
        revoke(service, caller, keyid, reason)
    except InputError as problem:
        return _keys(service, caller, problem=str(problem), status=422)
    return RedirectResponse("/keys", 303)

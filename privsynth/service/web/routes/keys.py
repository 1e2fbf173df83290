"""Pages and API about signing keys: everybody's own, and those of the institution."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.keys.people import PersonKey, all_keys, enter_key, key_of, make_own_key, own_key, revoke
from privsynth.service.web.api import LARGEST, Number, Sent, api_router
from privsynth.service.web.pages import page, said_of
from privsynth.service.web.visitors import FormVisitor, Program, ServiceHere, Visitor

router = APIRouter(include_in_schema=False)
api = api_router("Keys")
KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
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
        status, said = said_of(problem)
        return page("my_key.html", caller, status=status, key=own_key(service, caller), problem=said)
    return RedirectResponse("/my-key", 303)


def _keys(service: Service, caller: Caller, problem: Exception | None = None) -> Response:
    status, said = said_of(problem)
    return page("keys.html", caller, status=status, keys=all_keys(service, caller), problem=said)


@router.get("/keys")
def keys_page(service: ServiceHere, caller: Visitor) -> Response:
    """Show all keys."""
    return _keys(service, caller)


@router.post("/keys/enter/{person_id}")
def enter_form(service: ServiceHere, caller: FormVisitor, person_id: Number, told: Line) -> Response:
    """Enter a person's key in the keyring."""
    try:
        enter_key(service, caller, person_id, told)
    except InputError as problem:
        return _keys(service, caller, problem)
    return RedirectResponse("/keys", 303)


@router.post("/keys/revoke/{keyid}")
def revoke_form(service: ServiceHere, caller: FormVisitor, keyid: KeyId, reason: Line) -> Response:
    """Revoke a key."""
    try:
        revoke(service, caller, keyid, reason)
    except InputError as problem:
        return _keys(service, caller, problem)
    return RedirectResponse("/keys", 303)


class SentKeyEntry(Sent):
    """Whose key goes into the keyring, and how its fingerprint begins, as that person read it out."""

    person: int = Field(ge=1, le=LARGEST)
    told: str = Field(min_length=8, max_length=40, description="The first eight digits of the fingerprint.")


class SentKeyRevocation(Sent):
    """Why a key must not be believed any more; readers of the keyring see it."""

    reason: str = Field(min_length=1, max_length=400)


class EnteredKey(BaseModel):
    """What the keyring says of a key."""

    keyid: str
    holder: str
    roles: list[str]
    status: Literal["active", "revoked"]
    ends_at: datetime


class KeyFacts(BaseModel):
    """A key, and whose it is."""

    name: str = Field(description="Of its file in the service's home; empty for a key that is elsewhere.")
    fingerprint: str
    person: int | None = Field(description="Whose it is, if it is a person's of the service.")
    problem: str = Field(description="Why it may not sign now, or empty.")
    entry: EnteredKey | None = Field(description="Null as long as it is not in the keyring.")


def _facts(key: PersonKey) -> KeyFacts:
    one = key.entry
    entry = None if one is None else EnteredKey(
        keyid=one.keyid, holder=one.holder, roles=list(one.roles), status=one.status, ends_at=one.not_after,
    )  # fmt: skip
    person = None if key.person is None else key.person.id
    return KeyFacts(name=key.name, fingerprint=key.fingerprint, person=person, problem=key.problem, entry=entry)


@api.get("/my-key", operation_id="my_key")
def my_key_facts(service: ServiceHere, caller: Program) -> KeyFacts | None:
    """Show the key of the token's person; null if there is none. It is made at a browser."""
    found = own_key(service, caller)
    return None if found is None else _facts(found)


@api.get("/keys", operation_id="keys")
def key_facts(service: ServiceHere, caller: Program) -> list[KeyFacts]:
    """List all keys."""
    return [_facts(key) for key in all_keys(service, caller)]


@api.post("/keys", operation_id="enter_key", status_code=201)
def enter_by_program(service: ServiceHere, caller: Program, sent: SentKeyEntry) -> KeyFacts:
    """Enter a person's key in the keyring, with the rights of their roles."""
    return _facts(key_of(service, caller, enter_key(service, caller, sent.person, sent.told).keyid))


@api.post("/keys/{keyid}/revocation", operation_id="revoke_key")
def revoke_by_program(service: ServiceHere, caller: Program, keyid: KeyId, sent: SentKeyRevocation) -> KeyFacts:
    """Revoke a key: nothing that it signed verifies any more."""
    return _facts(key_of(service, caller, revoke(service, caller, keyid, sent.reason).keyid))

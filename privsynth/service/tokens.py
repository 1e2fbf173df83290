"""Tokens: by which a program acts for a person, within the scopes that the person chose, for a while."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from privsynth.errors import InputError, NotAllowed
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.secret_texts import digest_of, new_secret
from privsynth.service.sign_in import TOKEN_PREFIX
from privsynth.service.store.people import ApiToken

LONGEST_DAYS = 366  # (own) a program that nobody looks after for a year should stop


def new_token(service: Service, caller: Caller, label: str, scopes: frozenset[Act], days: int) -> str:
    """Return a new token of the caller's own; it is shown once.

    A token cannot make another one: whoever found it could outlive its end.

    Raises:
      InputError: it has no label, no scope, a scope that the person may not use, or no end within a year.
      NotAllowed: a program asks.
    """
    caller.require(Act.MANAGE_OWN_TOKENS)
    if caller.scopes is not None:
        raise NotAllowed("a token cannot make another one: sign in at a browser")
    if not label.strip() or not 1 <= days <= LONGEST_DAYS:
        raise InputError("a token needs a label, and an end within a year")
    if not scopes or not all(caller.may(scope) for scope in scopes):
        raise InputError("a token needs at least one scope, and only those that you have yourself")
    secret, now = TOKEN_PREFIX + new_secret(), service.now()
    with service.database.writing() as session:
        token = ApiToken(
            person_id=caller.person_id, label=label.strip()[:200], prefix=secret[:10], digest=digest_of(secret),
            scopes=" ".join(sorted(scopes)), made_at=now, ends_at=now + timedelta(days=days),
        )  # fmt: skip
        session.add(token)
        session.flush()
        record(
            session, "new_token", f"token {token.id}", person_id=caller.person_id, at=now, label=token.label, days=days,
            scopes=sorted(scopes),
        )  # fmt: skip
    return secret


def own_tokens(service: Service, caller: Caller) -> list[ApiToken]:
    """Return the caller's tokens that still open something, newest first."""
    caller.require(Act.MANAGE_OWN_TOKENS)
    with service.database.reading() as session:
        found = session.scalars(
            select(ApiToken).where(
                ApiToken.person_id == caller.person_id, ApiToken.revoked_at.is_(None), ApiToken.ends_at > service.now()
            ).order_by(ApiToken.id.desc())
        )  # fmt: skip
        return list(found)


def revoke_token(service: Service, caller: Caller, token_id: int) -> None:
    """End a token of the caller's own at once.

    Raises:
      InputError: the caller has no such token.
    """
    caller.require(Act.MANAGE_OWN_TOKENS)
    now = service.now()
    with service.database.writing() as session:
        token = session.get(ApiToken, token_id)
        if token is None or token.person_id != caller.person_id or token.revoked_at is not None:
            raise InputError("you have no such token")
        token.revoked_at = now
        record(session, "revoke_token", f"token {token_id}", person_id=caller.person_id, at=now)

"""People of the institution: who they are, which roles they have, and who leaves."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from privsynth.errors import InputError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import APART, Act, Role
from privsynth.service.sign_in import invite, is_invited_by
from privsynth.service.store.people import ApiToken, Person, PersonRole, SignedIn

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,78}[a-z0-9])?")


def add_person(
    service: Service, caller: Caller | None, name: str, display: str, roles: AbstractSet[Role], *, once: str = ""
) -> tuple[Person, str]:
    """Add a person, and return the secret of the link by which they choose a password.

    Args:
      caller: None for the first person, whom `privsynth serve` adds.
      once: a text that the caller chose for this request: sent again, it is the same person with the same link.
    Raises:
      InputError: the name is taken or has other characters, or the roles do not go together.
    """
    if caller is not None:
        caller.require(Act.MANAGE_PEOPLE)
    name, display, now = name.strip().casefold(), display.strip(), service.now()
    if not _NAME.fullmatch(name) or not 1 <= len(display) <= 200:
        raise InputError("a name for signing in has letters a to z, digits and . _ @ -; a person has a full name, too")
    check_roles(roles)
    by = None if caller is None else caller.person_id
    secret = service.vault.link_secret(f"invitation of {name} by {by}", once)
    with service.database.writing() as session:
        before = session.scalars(select(Person).where(Person.name == name)).first()
        if before is not None:
            if (before.display, before.roles) == (display, roles) and is_invited_by(session, before.id, secret):
                return before, secret
            raise InputError(f"there is already somebody who signs in as '{name}'")
        person = Person(name=name, display=display, made_at=now)
        person.give(roles)
        session.add(person)
        session.flush()
        record(session, "add_person", f"person {person.id}", person_id=by, at=now, name=name, roles=sorted(roles))
        return person, invite(session, person.id, secret, now)


def check_roles(roles: AbstractSet[Role]) -> None:
    """Return if one person may hold these roles.

    Raises:
      InputError: two of them are kept apart, or there is none.
    """
    if not roles:
        raise InputError("a person needs at least one role")
    for pair in APART:
        if pair <= roles:
            one, other = sorted(role.replace("_", " ") for role in pair)
            raise InputError(f"one person cannot be {one} and {other}: give the second role to somebody else")


def change_roles(service: Service, caller: Caller, person_id: int, roles: AbstractSet[Role]) -> None:
    """Give a person these roles, and no others; their tokens end, which may have had wider scopes.

    Raises:
      InputError: there is no such person, the roles do not go together, or nobody would be left to manage people.
    """
    caller.require(Act.MANAGE_PEOPLE)
    check_roles(roles)
    now = service.now()
    with service.database.writing() as session:
        person = _known(session.get(Person, person_id))
        if Role.ADMINISTRATOR not in roles:
            _require_another(session, person)
        person.give(roles)
        session.execute(delete(ApiToken).where(ApiToken.person_id == person_id))
        about = f"person {person_id}"
        record(session, "change_roles", about, person_id=caller.person_id, at=now, roles=sorted(roles))


def deactivate(service: Service, caller: Caller, person_id: int) -> None:
    """End a person's access at once: sessions, tokens and password. What they did stays on record.

    Raises:
      InputError: there is no such person, or nobody would be left to manage people.
    """
    caller.require(Act.MANAGE_PEOPLE)
    now = service.now()
    with service.database.writing() as session:
        person = _known(session.get(Person, person_id))
        _require_another(session, person)
        person.active, person.password = False, None
        session.execute(delete(SignedIn).where(SignedIn.person_id == person_id))
        session.execute(delete(ApiToken).where(ApiToken.person_id == person_id))
        record(session, "deactivate_person", f"person {person_id}", person_id=caller.person_id, at=now)


def reinvite(service: Service, caller: Caller, person_id: int, *, once: str = "") -> str:
    """Return the secret of a new link for a person who lost the password or the first link.

    Args:
      once: a text that the caller chose for this request: sent again, it is the same link.
    Raises:
      InputError: there is no such person.
    """
    caller.require(Act.MANAGE_PEOPLE)
    now = service.now()
    secret = service.vault.link_secret(f"invitation of person {person_id} by {caller.person_id}", once)
    with service.database.writing() as session:
        person = _known(session.get(Person, person_id))
        if is_invited_by(session, person_id, secret):
            return secret
        record(session, "invite_person", f"person {person.id}", person_id=caller.person_id, at=now)
        return invite(session, person.id, secret, now)


def everybody(service: Service, caller: Caller) -> list[Person]:
    """Return all people, by name."""
    caller.require(Act.MANAGE_PEOPLE)
    with service.database.reading() as session:
        return list(session.scalars(select(Person).order_by(Person.name)))


def one_person(service: Service, caller: Caller, person_id: int) -> Person:
    """Return a person, also one who left.

    Raises:
      InputError: there is none of that number.
    """
    caller.require(Act.MANAGE_PEOPLE)
    with service.database.reading() as session:
        found = session.get(Person, person_id)
    if found is None:
        raise InputError("there is no such person")
    return found


def _known(person: Person | None) -> Person:
    if person is None or not person.active:
        raise InputError("there is no such person")
    return person


def _require_another(session: Session, person: Person) -> None:
    others = session.scalars(
        select(Person).join(PersonRole).where(
            PersonRole.role == Role.ADMINISTRATOR, Person.active, Person.id != person.id
        )
    ).first()  # fmt: skip
    if Role.ADMINISTRATOR in person.roles and others is None:
        raise InputError("somebody has to stay an administrator: give the role to another person first")

"""Keys of people: each makes their own, a key admin compares its fingerprint and enters it in the keyring."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.approvals.decisions import person_named
from privsynth.errors import InputError, KeyFileError
from privsynth.service.caller import Caller
from privsynth.service.context import Service, disk_error
from privsynth.service.record import record
from privsynth.service.roles import Act, Role
from privsynth.service.store.people import Person
from privsynth.signing._files import atomic_write
from privsynth.signing.devices.files import is_taken, read_public
from privsynth.signing.keyring import APPROVER, REVIEWER, KeyEntry
from privsynth.signing.keys import PublicKey, SigningKey
from privsynth.signing.store import key_path, keyring_path, load_keyring, names, revoke_key
from privsynth.workspace import open_locked

KEY_ROLES = {Role.REVIEWER: REVIEWER, Role.APPROVER: APPROVER}  # who decides -> what their key may sign


@dataclass(frozen=True)
class PersonKey:
    """A key of the institution, and whose it is.

    Attributes:
      name: of its file.
      fingerprint: of the public key, in groups of eight.
      entry: of the keyring; None as long as nobody entered it.
      person: whose it is, if it is a person's of the service.
      problem: why it may not sign now, or "".
    """

    name: str
    fingerprint: str
    entry: KeyEntry | None
    person: Person | None
    problem: str


def make_own_key(service: Service, caller: Caller, passphrase: str) -> PersonKey:
    """Make the caller a signing key under a passphrase that nobody else knows and that is stored nowhere.

    A key that was there before is kept: what it signed still verifies, and a key admin retires it.

    Raises:
      KeyFileError: the passphrase is too weak, or the file cannot be written.
    """
    caller.require(Act.REVIEW)
    now = service.now()
    with keys_alone(service):
        name, key = next_name(service, caller.person_id), SigningKey.generate()
        path = key_path(service.home, name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            key.save(path, passphrase.encode())
            atomic_write(path.with_suffix(".pub"), f"{key.public.to_base64()}\n".encode("ascii"), mode=0o600)
        except OSError as problem:
            raise KeyFileError(f"the key cannot be written: {problem.strerror}") from None
        with service.database.writing() as session:
            session.get_one(Person, caller.person_id).key = name
            record(
                session, "make_own_key", f"person {caller.person_id}", person_id=caller.person_id, at=now,
                keyid=key.public.keyid,
            )  # fmt: skip
    return PersonKey(name, key.public.fingerprint, None, None, "it is not in the keyring yet")


def next_name(service: Service, person_id: int) -> str:
    """Return the name of the next key of a person; the caller holds `keys_alone`."""
    number = 1
    while is_taken(key_path(service.home, name := f"person{person_id}-{number}")):
        number += 1
    return name


def own_key(service: Service, caller: Caller) -> PersonKey | None:
    """Return the caller's key; None if there is none yet."""
    caller.require(Act.REVIEW)
    with service.database.reading() as session:
        person = session.get_one(Person, caller.person_id)
    return None if person.key is None else _told(service, person.key, person, service.now())


def all_keys(service: Service, caller: Caller) -> list[PersonKey]:
    """Return all keys that have a file in the service's home, or are in its keyring."""
    caller.require(Act.MANAGE_KEYS)
    now = service.now()
    with service.database.reading() as session:
        people = {person.key: person for person in session.scalars(select(Person).where(Person.key.is_not(None)))}
    known = names(service.home)
    found = [_told(service, name, people.get(name), now) for name in sorted(known.values())]
    others = [entry for entry in load_keyring(service.home).keys if entry.keyid not in known]
    return found + [PersonKey("", entry.fingerprint, entry, None, entry.problem(now)) for entry in others]


def key_of(service: Service, caller: Caller, keyid: str) -> PersonKey:
    """Return a key of the keyring.

    Raises:
      InputError: it has none of that name.
    """
    found = [key for key in all_keys(service, caller) if key.entry is not None and key.entry.keyid == keyid]
    if not found:
        raise InputError("the keyring has no such key")
    return found[0]


def enter_key(service: Service, caller: Caller, person_id: int, told: str) -> KeyEntry:
    """Enter a person's key in the keyring, with the rights of their roles; a key that it replaces ends now.

    Args:
      told: the first eight digits of its fingerprint, as the person read them out: a page that was tampered with shows
        another key.
    Raises:
      InputError: the person has no key, the digits do not fit, the role needs none, or somebody else has that name.
      KeyFileError: the keyring cannot be read or written, or has the key.
    """
    caller.require(Act.MANAGE_KEYS)
    now = service.now()
    with keys_alone(service), service.database.writing() as session:
        person = _person(session, person_id)
        if person.key is None:
            raise InputError(f"{person.display} has no key yet: each makes their own, on the page 'Your key'")
        public = read_public(key_path(service.home, person.key).with_suffix(".pub"))
        if "".join(told.split()).lower() != public.keyid[:8]:
            raise InputError(f"these are not the first eight digits of that key: ask {person.display} to read them out")
        roles = [KEY_ROLES[role] for role in sorted(person.roles) if role in KEY_ROLES]
        if not roles:
            raise InputError(f"{person.display} neither reviews nor approves: that needs no key")
        _enter(service, person, public, roles, now)
        record(
            session, "enter_key", f"person {person_id}", person_id=caller.person_id, at=now, keyid=public.keyid,
            roles=roles,
        )  # fmt: skip
        session.flush()
    return load_keyring(service.home).get(public.keyid)


def revoke(service: Service, caller: Caller, keyid: str, reason: str) -> KeyEntry:
    """Mark a key as revoked: nothing that it signed verifies any more.

    Raises:
      KeyFileError: it is unknown or revoked already, or the reason is not one line.
    """
    caller.require(Act.MANAGE_KEYS)
    if not reason.strip():
        raise InputError("say in one line why the key is revoked; readers of the keyring see it")
    now = service.now()
    with keys_alone(service), service.database.writing() as session:
        entry = load_keyring(service.home).get(keyid)
        record(session, "revoke_key", f"key {entry.keyid}", person_id=caller.person_id, at=now, reason=reason)
        session.flush()
        return revoke_key(service.home, entry.keyid, at=now, reason=reason)


def _enter(service: Service, person: Person, public: PublicKey, roles: list[str], now: datetime) -> None:
    keyring, known = load_keyring(service.home), names(service.home)
    entry = KeyEntry.for_key(public, holder=person.display, not_before=now, roles=roles)
    for other in keyring.keys:
        own = known.get(other.keyid, "").startswith(f"person{person.id}-")
        if own and not other.problem(now):
            keyring = keyring.retire(other.keyid, at=now)
        elif not own and person_named(other.holder) == person_named(person.display):
            raise InputError(
                f"the keyring has a key of somebody else called {other.holder}, and people are told apart by their "
                "names: give this person a fuller name"
            )
    keyring.add(entry).save(keyring_path(service.home))


def _told(service: Service, name: str, person: Person | None, now: datetime) -> PersonKey:
    public = read_public(key_path(service.home, name).with_suffix(".pub"))
    found = [entry for entry in load_keyring(service.home).keys if entry.keyid == public.keyid]
    entry = found[0] if found else None
    problem = "it is not in the keyring yet" if entry is None else entry.problem(now)
    return PersonKey(name, public.fingerprint, entry, person, problem)


def _person(session: Session, person_id: int) -> Person:
    person = session.get(Person, person_id)
    if person is None or not person.active:
        raise InputError("there is no such person")
    return person


@contextmanager
def keys_alone(service: Service) -> Iterator[None]:
    """Hold others off who change keys or the keyring."""
    try:
        lock = open_locked(service.folder / "keys.lock", wait=True)
    except OSError as error:
        raise disk_error(error) from None
    try:
        yield
    finally:
        os.close(lock)

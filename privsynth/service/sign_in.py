"""Signing in: passwords, sessions and tokens. Every refusal reads the same, and takes the same work."""

from __future__ import annotations

from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Executable, delete, func, select, update
from sqlalchemy.orm import Session

from privsynth.errors import InputError, NotAllowed, TooManyRequests
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.secret_texts import digest_of, new_secret
from privsynth.service.store.people import ApiToken, Invitation, Person, SignedIn, SignInAttempt

HASHER = PasswordHasher()  # argon2id with the package's defaults, which are RFC 9106's for little memory
SHORTEST = 12  # characters of a password: NIST SP 800-63B asks for 8 at least, and for 15 where it stands alone
LONGEST = 200  # characters (own): no phrase is longer, and hashing it costs no more than the others
# Guesses of one name, and of all names from one address, within the window. A hospital may be behind one address.
WINDOW = timedelta(minutes=15)
# (own) when somebody was seen is written so often at most: most requests only read, and wait for no writer
SEEN_AGAIN = timedelta(minutes=1)
WRONG_OF_NAME, WRONG_OF_ADDRESS = 10, 100  # (own)
TOKEN_PREFIX = "psy_"  # a mark by which scanners of leaked secrets know it
_NOBODY = HASHER.hash(new_secret())  # checked where a name has no password, so that the answer takes as long
_REFUSED = "wrong name or password"


def sign_in(service: Service, name: str, password: str, address: str) -> str:
    """Return the secret of a new session, for a cookie.

    Raises:
      NotAllowed: a wrong name or password.
      TooManyRequests: there were too many guesses.
    """
    now, hidden = service.now(), digest_of(name.strip().casefold())
    with service.database.writing() as session:
        _require_few_guesses(session, hidden, address, now)
        attempt = SignInAttempt(name=hidden, address=address, at=now, succeeded=False)
        session.add(attempt)  # before the password is looked at: guesses side by side all count
    with service.database.reading() as session:
        person = _person_named(session, name)
    fits = _fits(password, person)
    if person is None or not fits:
        raise NotAllowed(_REFUSED)
    with service.database.writing() as session:
        session.merge(attempt).succeeded = True
        return new_session(session, person.id, now, how="password")


def _person_named(session: Session, name: str) -> Person | None:
    found = session.scalars(select(Person).where(Person.name == name.strip().casefold())).first()
    return found if found is not None and found.active and found.password else None


def _fits(password: str, person: Person | None) -> bool:
    stored = _NOBODY if person is None else person.password or _NOBODY
    try:
        return HASHER.verify(stored, password[: LONGEST + 1]) and person is not None
    except (VerificationError, InvalidHashError):
        return False


def _require_few_guesses(session: Session, name: str, address: str, now: datetime) -> None:
    wrong = select(func.count()).select_from(SignInAttempt).where(
        SignInAttempt.at > now - WINDOW, SignInAttempt.succeeded.is_(False)
    )  # fmt: skip
    of_name = session.scalar(wrong.where(SignInAttempt.name == name)) or 0
    of_address = session.scalar(wrong.where(SignInAttempt.address == address)) or 0
    if of_name >= WRONG_OF_NAME or of_address >= WRONG_OF_ADDRESS:
        raise TooManyRequests(
            "there were too many attempts to sign in: try again in a quarter of an hour",
            retry_after_s=int(WINDOW.total_seconds()),
        )


def new_session(session: Session, person_id: int, now: datetime, *, how: str) -> str:
    """Begin a session of a person who has shown who they are, and return its secret, for a cookie."""
    secret = new_secret()
    session.add(
        SignedIn(
            digest=digest_of(secret), person_id=person_id, form_token=new_secret(), made_at=now, seen_at=now,
            confirmed_at=now,
        )
    )  # fmt: skip
    record(session, "sign_in", f"person {person_id}", person_id=person_id, at=now, how=how)
    return secret


def sign_out(service: Service, secret: str) -> None:
    """End a session."""
    _change(service, delete(SignedIn).where(SignedIn.digest == digest_of(secret)))


def confirm(service: Service, caller: Caller, password: str, address: str) -> None:
    """Return if the person who is signed in knows the password: asked again before a decision.

    Raises:
      NotAllowed: it is wrong, or the person has none here and signs in elsewhere.
      TooManyRequests: there were too many guesses.
    """
    with service.database.reading() as session:
        if session.get_one(Person, caller.person_id).password is None:
            raise NotAllowed("you signed in too long ago for a decision: sign out, sign in again, and decide then")
    sign_out(service, sign_in(service, caller.name, password, address))


def caller_of_session(service: Service, secret: str) -> Caller | None:
    """Return who a cookie stands for; None where the session ended, or the person left."""
    now, settings = service.now(), service.settings
    with service.database.reading() as session:
        found = session.get(SignedIn, digest_of(secret))
        if found is None:
            return None
        person = session.get_one(Person, found.person_id)
    idle = now - found.seen_at > timedelta(minutes=settings.idle_minutes)
    if idle or now - found.made_at > timedelta(hours=settings.session_hours) or not person.active:
        sign_out(service, secret)
        return None
    if now - found.seen_at > SEEN_AGAIN:
        _change(service, update(SignedIn).where(SignedIn.digest == found.digest).values(seen_at=now))
    return Caller(
        person.id, person.name, person.display, person.roles, person.key,
        form_token=found.form_token, confirmed_at=found.confirmed_at,
    )  # fmt: skip


def caller_of_token(service: Service, secret: str) -> Caller | None:
    """Return who a token stands for; None where it ended, was revoked, or the person left."""
    now = service.now()
    with service.database.reading() as session:
        found = session.scalars(select(ApiToken).where(ApiToken.digest == digest_of(secret))).first()
        if found is None or found.revoked_at is not None or found.ends_at <= now:
            return None
        person = session.get_one(Person, found.person_id)
    if not person.active:
        return None
    if found.used_at is None or now - found.used_at > SEEN_AGAIN:
        _change(service, update(ApiToken).where(ApiToken.id == found.id).values(used_at=now))
    scopes = frozenset(Act(one) for one in found.scopes.split())
    return Caller(person.id, person.name, person.display, person.roles, person.key, scopes)


def _change(service: Service, statement: Executable) -> None:
    with service.database.writing() as session:
        session.execute(statement)


def invite(session: Session, person_id: int, secret: str, now: datetime, hours: float = 72.0) -> str:
    """Let a person choose a password by the link with a secret, once, and return that; earlier links of theirs end."""
    session.execute(delete(Invitation).where(Invitation.person_id == person_id))
    session.add(
        Invitation(digest=digest_of(secret), person_id=person_id, made_at=now, ends_at=now + timedelta(hours=hours))
    )
    return secret


def is_invited_by(session: Session, person_id: int, secret: str) -> bool:
    """Say whether the link with this secret is the last that was made for a person, used or not."""
    found = session.get(Invitation, digest_of(secret))
    return found is not None and found.person_id == person_id


def invited_name(service: Service, secret: str) -> str:
    """Return the name with which a person who was invited will sign in.

    Raises:
      NotAllowed: the link was used, has ended, or never was.
    """
    with service.database.reading() as session:
        return _invited(session, secret, service.now())[1].name


def _invited(session: Session, secret: str, now: datetime) -> tuple[Invitation, Person]:
    found = session.get(Invitation, digest_of(secret))
    person = None if found is None else session.get(Person, found.person_id)
    if found is None or found.used_at is not None or found.ends_at <= now or person is None or not person.active:
        raise NotAllowed("this link was used or has ended: ask an administrator for a new one")
    return found, person


def accept_invitation(service: Service, secret: str, password: str) -> str:
    """Choose the password of the person who was invited, end their sessions, and return a new session's secret.

    Raises:
      NotAllowed: the link was used, has ended, or never was.
      InputError: the password is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"a password has {SHORTEST} to {LONGEST} characters")
    now = service.now()
    hashed = HASHER.hash(password)
    with service.database.writing() as session:
        found, person = _invited(session, secret, now)
        found.used_at, person.password = now, hashed
        session.execute(delete(SignedIn).where(SignedIn.person_id == person.id))
        record(session, "choose_password", f"person {person.id}", person_id=person.id, at=now)
        return new_session(session, person.id, now, how="invitation")

"""Tables of people, and of how they sign in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from privsynth.service.roles import Role
from privsynth.service.store.columns import Base

_ROLES = ", ".join(f"'{role}'" for role in Role)
DIGEST = String(64)  # SHA-256 in hex: of secrets only the digest is stored
NAME = String(80)  # characters (own)


class Person(Base):
    """A person of the institution.

    Attributes:
      name: what is typed to sign in; `display` is what others read.
      password: argon2id, in its own text form; None for who signs in elsewhere or never has yet.
      issuer, subject: of OpenID Connect.
      key: name of the person's signing key in the service's home; its passphrase is stored nowhere.
    """

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(NAME, unique=True)
    display: Mapped[str] = mapped_column(String(200))
    password: Mapped[str | None] = mapped_column(String(200))
    issuer: Mapped[str | None] = mapped_column(String(300))
    subject: Mapped[str | None] = mapped_column(String(300))
    key: Mapped[str | None] = mapped_column(NAME)
    active: Mapped[bool] = mapped_column(default=True)
    made_at: Mapped[datetime]
    held: Mapped[list[PersonRole]] = relationship(cascade="all, delete-orphan", lazy="selectin")

    @property
    def roles(self) -> frozenset[Role]:
        """What the person is."""
        return frozenset(Role(one.role) for one in self.held)

    def give(self, roles: Iterable[Role]) -> None:
        """Give the person these roles, and no others."""
        self.held = [PersonRole(role=role) for role in sorted(roles)]


class PersonRole(Base):
    """A role that a person has."""

    __tablename__ = "person_roles"
    __table_args__ = (CheckConstraint(f"role IN ({_ROLES})", name="known"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)


class SignedIn(Base):
    """A session of a browser.

    Attributes:
      digest: of the random text in the cookie.
      form_token: what every form of the session carries.
      confirmed_at: when the person last typed the password; an approval asks for it anew.
    """

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    form_token: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    confirmed_at: Mapped[datetime]


class ApiToken(Base):
    """A token of a program that acts for a person; `prefix` is what the person recognises it by."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(12))
    digest: Mapped[str] = mapped_column(DIGEST, unique=True)
    scopes: Mapped[str] = mapped_column(String(400))  # acts, separated by blanks
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    """A link that lets a person choose a password, once."""

    __tablename__ = "invitations"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """That somebody tried to sign in, so that guesses can be slowed down; names that nobody has count as well."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(DIGEST, index=True)  # of the name: people type passwords into the wrong field
    address: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    succeeded: Mapped[bool]

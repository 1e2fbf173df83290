"""Keyrings: the public keys that a reader trusts, with holder, period and revocation, in one JSON file.

A keyring is public but not to be taken from the sender of a release: whoever can replace it can sign as
anyone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from privsynth.errors import KeyFileError, Option
from privsynth.signing._algorithms import ED25519
from privsynth.signing._files import anyone_may_write, atomic_write
from privsynth.signing.keys import PublicKey, fingerprint
from privsynth.strict.complaints import in_plain_words
from privsynth.strict.json import dumps, loads
from privsynth.strict.time import from_text, to_text

MAX_KEYRING_BYTES = 10_000_000  # (own) thousands of keys
MAKER, REVIEWER, APPROVER, KEY_ADMIN = "maker", "reviewer", "approver", "key-admin"
ROLES = {  # role -> what a key with it may do, for sentences
    MAKER: "make releases",
    REVIEWER: "review",
    APPROVER: "approve",
    KEY_ADMIN: "revoke keys",
}
DEFAULT_DAYS = 730  # for which a new key is valid (own): two years, within the one to three of NIST SP 800-57, 5.3.6


def _moment(value: Any) -> Any:
    return from_text(value) if isinstance(value, str) else value


def _line(value: Any) -> Any:
    """Refuse text that would reshape a terminal or a message when it is printed."""
    if isinstance(value, str) and not value.isprintable():
        raise ValueError("must be one line of printable text")
    return value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Role = Literal["maker", "reviewer", "approver", "key-admin"]
Moment = Annotated[datetime, BeforeValidator(_moment), PlainSerializer(to_text)]
Line = Annotated[str, BeforeValidator(_line), Field(max_length=200)]


class KeyEntry(BaseModel):
    """One trusted key.

    Attributes:
      keyid: SHA-256 of the public key's SubjectPublicKeyInfo, checked against it.
      algorithm: "ed25519" or "ecdsa-p256", that of the key; nothing is negotiated from the file that is verified.
      public_key: SubjectPublicKeyInfo in base64.
      holder: the person or office, as the owner of this keyring knows them.
      roles: what the key may sign: at least one of "maker", "reviewer", "approver" and "key-admin", in this order.
      not_before, not_after: period in which a signature may be made, both ends included.
      status: "active" or "revoked".
      revoked_at, reason: when and why; None and "" while active.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keyid: str
    algorithm: Literal["ed25519", "ecdsa-p256"] = "ed25519"
    public_key: str
    holder: Annotated[Line, Field(min_length=1)]
    roles: Annotated[tuple[Role, ...], BeforeValidator(_tuple), Field(min_length=1)]
    not_before: Moment
    not_after: Moment
    status: Literal["active", "revoked"] = "active"
    revoked_at: Moment | None = None
    reason: Line = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            public = PublicKey.from_base64(self.public_key)
        except KeyFileError as problem:
            raise ValueError(str(problem)) from None
        if public.keyid != self.keyid:
            raise ValueError("keyid is not the digest of public_key")
        if public.algorithm != self.algorithm:
            raise ValueError("algorithm is not that of public_key")
        if list(self.roles) != [role for role in ROLES if role in self.roles]:
            raise ValueError(f"roles must stand once each and in the order {', '.join(ROLES)}")
        for moment in (self.not_before, self.not_after, self.revoked_at):
            if moment is not None:
                to_text(moment)
        if not self.not_before < self.not_after:
            raise ValueError("not_before must be earlier than not_after")
        if (self.status == "revoked") != (self.revoked_at is not None):
            raise ValueError("revoked_at must be given for a revoked key and for no other")
        return self

    @classmethod
    def for_key(
        cls,
        public: PublicKey,
        *,
        holder: str,
        not_before: datetime,
        days: int = DEFAULT_DAYS,
        roles: Collection[str] = (MAKER,),
    ) -> KeyEntry:
        """Return an active entry that is valid for `days` days from `not_before`, with roles in any order.

        Raises:
          KeyFileError: if the holder is empty or not one printable line, or `days` is not above 0.
        """
        start = not_before.replace(microsecond=0)
        try:
            return cls.model_validate(
                {
                    "keyid": public.keyid,
                    "algorithm": public.algorithm,
                    "public_key": public.to_base64(),
                    "holder": holder,
                    "roles": [role for role in ROLES if role in roles],
                    "not_before": start,
                    "not_after": start + timedelta(days=days),
                }
            )
        except ValidationError as problem:
            raise KeyFileError(f"the key cannot be entered: {_first(problem)}") from None
        except OverflowError:
            raise KeyFileError(f"{days} days lie beyond the calendar; give fewer") from None

    @property
    def public(self) -> PublicKey:
        """The key itself."""
        return PublicKey.from_base64(self.public_key)

    @property
    def fingerprint(self) -> str:
        """The key id in groups of eight."""
        return fingerprint(self.keyid)

    def problem(self, at: datetime, roles: Collection[str] = ()) -> str:
        """Return a sentence why the key may not sign at that time, or "" if it may.

        With `roles`, the key needs one of them.

        A revoked key may not at any time: neither the clock of a reader nor the time that a signer claims can be
        relied on to tell a signature from before the theft.
        """
        name = f"key {self.fingerprint} of {self.holder}"
        if self.revoked_at is not None:
            reason = f" ({self.reason})" if self.reason else ""
            return f"{name} was revoked on {to_text(self.revoked_at)}{reason}"
        if at < self.not_before:
            return f"{name} is not valid before {to_text(self.not_before)}"
        if at > self.not_after:
            return f"{name} expired on {to_text(self.not_after)}"
        if roles and not set(roles) & set(self.roles):
            may = " and ".join(ROLES[role] for role in self.roles)
            return f"{name} may {may}, and not {' or '.join(ROLES[role] for role in ROLES if role in roles)}"
        return ""

    def require_valid(self, at: datetime, roles: Collection[str] = ()) -> None:
        """Return if the key may sign at that time, in one of these roles.

        Raises:
          KeyFileError: if it is revoked, expired, not valid yet or of another role; the message says which.
        """
        problem = self.problem(at, roles)
        if problem:
            role = f" {Option('role', next(iter(roles))).in_shell()}" if roles else ""
            raise KeyFileError(f"{problem}; make a new key with 'privsynth keys init{role}'")


class Keyring(BaseModel):
    """Keys by id, in the order they were added. Frozen: `add` and `revoke` return a new keyring."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[2] = 2
    keys: Annotated[tuple[KeyEntry, ...], BeforeValidator(_tuple)] = ()

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [entry.keyid for entry in self.keys]
        if len(ids) != len(set(ids)):
            raise ValueError("a key is listed twice")
        return self

    @classmethod
    def from_json(cls, data: bytes, *, what: str = "the keyring") -> Keyring:
        """Parse a keyring, of version 2 or of version 1, which knew makers only.

        Raises:
          KeyFileError: not JSON, a repeated or unknown field, an entry that contradicts itself, or a keyring that a
            root signed, which `privsynth.signing.roots` opens.
        """
        if data.startswith(b'{"payload":'):
            raise KeyFileError(
                f"{what} is a keyring that a root signed: whoever reads it gives that root, with ", Option("root")
            )
        try:
            document = loads(data, what=what, max_bytes=MAX_KEYRING_BYTES, error=KeyFileError)
        except KeyFileError as problem:
            is_public_key = f"{what} is a public key, as a root has one, and no keyring"
            told = is_public_key if _is_public_key(data) else str(problem)
            raise KeyFileError(f"{told}; a keyring is what 'privsynth keys export NAME' prints") from None
        return cls.of_document(document, what=what)

    @classmethod
    def of_document(cls, document: Any, *, what: str) -> Keyring:
        """Return the keyring in a parsed document.

        Raises:
          KeyFileError: a missing or unknown field, or an entry that contradicts itself.
        """
        if (
            not isinstance(document, dict)
            or set(document) != {"version", "keys"}
            or type(document["version"]) is not int
        ):
            raise KeyFileError(f"{what} is not a keyring of version 1 or 2; ask the signer for one")
        try:
            return cls.model_validate(_of_version_1(document) if document["version"] == 1 else document)
        except ValidationError as problem:
            raise KeyFileError(f"{what} is not a keyring of version 1 or 2: {_first(problem)}") from None

    def to_json(self) -> bytes:
        """Return the keyring as indented JSON."""
        return dumps(self.model_dump(mode="python"), indent=2) + b"\n"

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read a keyring file.

        Raises:
          KeyFileError: missing, unreadable, over 10 MB, not a keyring, or a file that anybody may change.
        """
        try:
            if anyone_may_write(path):
                raise KeyFileError(
                    f"the keyring {path} can be changed by everybody on this machine, who could then sign as anyone; "
                    f"look through it, then run 'chmod 600 {path}'"
                )
            with path.open("rb") as file:
                data = file.read(MAX_KEYRING_BYTES + 1)
        except FileNotFoundError:
            raise KeyFileError(f"there is no keyring at {path}; ask the signer for one") from None
        except OSError as problem:
            raise KeyFileError(f"the keyring {path} cannot be read: {problem.strerror}") from None
        return cls.from_json(data, what=str(path))

    def save(self, path: Path) -> None:
        """Write the keyring in one step, for its owner alone: a reader sees the old file or the new one.

        Raises:
          KeyFileError: if it cannot be written.
        """
        try:
            atomic_write(path, self.to_json(), mode=0o600)
        except OSError as problem:
            raise KeyFileError(f"the keyring {path} cannot be written: {problem.strerror}") from None

    def add(self, entry: KeyEntry) -> Keyring:
        """Return the keyring with one more key.

        Raises:
          KeyFileError: if the key is there already.
        """
        if any(known.keyid == entry.keyid for known in self.keys):
            raise KeyFileError(f"key {entry.fingerprint} is in the keyring already")
        return Keyring(keys=(*self.keys, entry))

    def get(self, keyid: str) -> KeyEntry:
        """Return the entry of a key id.

        Raises:
          KeyFileError: if there is none.
        """
        for entry in self.keys:
            if entry.keyid == keyid:
                return entry
        raise KeyFileError(f"key {fingerprint(keyid)} is not in the keyring; see 'privsynth keys list'")

    def revoke(self, keyid: str, *, at: datetime, reason: str) -> Keyring:
        """Return the keyring with one key revoked.

        Raises:
          KeyFileError: if the key is unknown or revoked already, or the reason is not one printable line.
        """
        entry = self.get(keyid)
        if entry.status == "revoked":
            raise KeyFileError(f"{entry.problem(at)} already")
        return self._with(entry, status="revoked", revoked_at=at.replace(microsecond=0), reason=reason)

    def retire(self, keyid: str, *, at: datetime) -> Keyring:
        """Return the keyring with the validity of one key ended: what it signed until then still verifies.

        Raises:
          KeyFileError: if the key is unknown, or is not valid at that time.
        """
        entry = self.get(keyid)
        entry.require_valid(at)
        return self._with(entry, not_after=at.replace(microsecond=0))

    def _with(self, entry: KeyEntry, **changes: Any) -> Keyring:
        try:
            changed = KeyEntry.model_validate({**dict(entry), **changes})
        except ValidationError as problem:
            raise KeyFileError(f"the entry of the key cannot be changed: {_first(problem)}") from None
        return Keyring(keys=tuple(changed if known.keyid == entry.keyid else known for known in self.keys))


def entries_by_key(keyrings: Sequence[Keyring]) -> dict[PublicKey, list[KeyEntry]]:
    """Return all entries of several keyrings, by key."""
    found: dict[PublicKey, list[KeyEntry]] = {}
    for entry in (entry for keyring in keyrings for entry in keyring.keys):
        found.setdefault(entry.public, []).append(entry)
    return found


def _of_version_1(document: dict[str, Any]) -> dict[str, Any]:
    """Return a keyring of version 1 as one of version 2; whatever is wrong in it stays wrong."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        return document
    upgraded = []
    for entry in entries:
        right = (
            isinstance(entry, dict) and entry.get("role", "report-signer") == "report-signer" and "roles" not in entry
        )
        if not right or entry.get("algorithm", ED25519) != ED25519:
            return document
        upgraded.append({**{name: value for name, value in entry.items() if name != "role"}, "roles": [MAKER]})
    return {**document, "version": 2, "keys": upgraded}


def _is_public_key(data: bytes) -> bool:
    try:
        PublicKey.from_base64(data.decode("ascii").strip())
    except (UnicodeError, KeyFileError):
        return False
    return True


def _first(problem: ValidationError) -> str:
    """Return the first thing that pydantic found, as 'where: what'."""
    error = problem.errors(include_url=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    said = "it is missing" if error["type"] == "missing" else in_plain_words(error)
    return f"{where}: {said}" if where else said

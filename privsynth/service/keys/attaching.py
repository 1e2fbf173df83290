"""Attaching a key that a person made elsewhere: they show that they hold it, and only its public half comes here."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import datetime, timedelta

from privsynth.approvals.offline import KeyChallenge
from privsynth.errors import ConfigError, InputError, KeyFileError, VerificationError
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.keys.people import PersonKey, keys_alone, next_name
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.store.people import Person
from privsynth.signing._files import atomic_write
from privsynth.signing.devices.files import is_in_device
from privsynth.signing.store import key_path, load_keyring, names

GOOD_FOR = timedelta(hours=24)  # (own) a key may be on another machine, in another building
_ABOUT = "a challenge for a key"


def challenge(service: Service, caller: Caller) -> KeyChallenge:
    """Return what a person signs to show that they hold a key; it is stored nowhere, and good for a day."""
    caller.require(Act.REVIEW)
    told = {"person": caller.person_id, "at": service.now().isoformat(), "nonce": secrets.token_hex(16)}
    sealed = base64.b64encode(service.vault.seal(json.dumps(told), _ABOUT)).decode("ascii")
    return KeyChallenge(sealed, caller.display, service.settings.public_url)


def attach_key(service: Service, caller: Caller, proof: str) -> PersonKey:
    """Attach the key that signed a challenge to the caller, in the place of an earlier one; a key admin enters it.

    Args:
      proof: what `privsynth keys sign` wrote.
    Raises:
      VerificationError: it is no proof, or was changed.
      InputError: it answers another challenge, an old one or somebody else's, or the key is known here already.
      KeyFileError: it cannot be kept.
    """
    caller.require(Act.REVIEW)
    try:
        found, key = KeyChallenge.opened(proof.strip().encode(errors="replace") + b"\n")
    except VerificationError as problem:
        raise VerificationError(f"this is not the content of key-proof.json, as it was written: {problem}") from None
    now = service.now()
    _require_answers(service, caller, found, now)
    with keys_alone(service):
        if key.keyid in names(service.home) or any(one.keyid == key.keyid for one in load_keyring(service.home).keys):
            raise InputError("this key is known here already: a key belongs to one person or office")
        name = next_name(service, caller.person_id)
        path = key_path(service.home, name).with_suffix(".pub")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(path, f"{key.to_base64()}\n".encode("ascii"), mode=0o600)
        except OSError as problem:
            raise KeyFileError(f"the key cannot be kept: {problem.strerror}") from None
        with service.database.writing() as session:
            session.get_one(Person, caller.person_id).key = name
            about = f"person {caller.person_id}"
            record(session, "attach_key", about, person_id=caller.person_id, at=now, keyid=key.keyid)
    return PersonKey(name, key.fingerprint, None, None, "it is not in the keyring yet")


def is_elsewhere(service: Service, name: str | None) -> bool:
    """Say whether only the public half of a person's key is here."""
    if name is None:
        return False
    path = key_path(service.home, name)
    return not path.exists() and not is_in_device(path)


def _require_answers(service: Service, caller: Caller, found: KeyChallenge, now: datetime) -> None:
    wrong = "this proof answers another challenge than the page's: download the challenge again, and sign that"
    try:
        told = json.loads(service.vault.open(base64.b64decode(found.challenge, validate=True), _ABOUT))
        asked_at = datetime.fromisoformat(told["at"])
    except (ConfigError, ValueError, KeyError):
        raise InputError(wrong) from None
    if told["person"] != caller.person_id or (found.person, found.service) != (
        caller.display, service.settings.public_url,
    ):  # fmt: skip
        raise InputError(wrong)
    if now - asked_at > GOOD_FOR:
        raise InputError("this challenge is older than a day: download a new one, and sign that")

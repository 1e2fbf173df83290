"""What a service asks a person to sign elsewhere, where their key is: that they hold it, or a decision.

The service writes a file that is not signed; `privsynth keys sign` shows what it asks for, and signs it. A key is never
used on bytes that the service chose alone: a proof has a payload type of its own, and a decision is written anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from privsynth.approvals.statement import Approval
from privsynth.approvals.verdict import PolicyVerdict
from privsynth.errors import ConfigError, KeyFileError, VerificationError
from privsynth.signing._files import read_limited
from privsynth.signing.envelope import Envelope, Signer, sign
from privsynth.signing.keys import PublicKey
from privsynth.strict.json import dumps, loads

PROOF_TYPE = "application/vnd.privsynth.key-proof+json"
MAX_BYTES = 100_000  # of a request or a proof (own): a comment and some digests take a few kilobytes
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_REQUEST = "it is no request of a service to sign something: download it again"


@dataclass(frozen=True)
class KeyChallenge:
    """A service asks a person to show that they hold a key.

    Attributes:
      challenge: a text that nobody could foresee. person, service: to whom the key will belong, and where.
    """

    challenge: str
    person: str
    service: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {"ask": "key", "challenge": self.challenge, "person": self.person, "service": self.service}

    def signed(self, signer: Signer) -> Envelope:
        """Return the proof that who holds this key answers this challenge."""
        return sign(dumps({**self.to_json(), "public_key": signer.public.to_base64()}), PROOF_TYPE, signer)

    @classmethod
    def opened(cls, data: bytes) -> tuple[KeyChallenge, PublicKey]:
        """Return what a proof answers, and the key that signed it.

        Raises:
          VerificationError: it is no proof, was changed, or the key that it names did not sign it.
        """
        envelope = Envelope.from_json(data)
        if envelope.payload_type != PROOF_TYPE or len(envelope.signatures) != 1:
            raise VerificationError("it is no proof that somebody holds a key; sign the file from the page")
        told = loads(envelope.payload, what="the proof", max_bytes=MAX_BYTES, error=VerificationError)
        try:
            key = PublicKey.from_base64(told.pop("public_key"))
            found = request_from(told)
        except (AttributeError, KeyError, TypeError, KeyFileError):
            raise VerificationError("the proof lacks a part that every proof has, or has it wrong") from None
        if not isinstance(found, cls) or not key.fits(envelope.signatures[0].sig, envelope.pae()):
            raise VerificationError("the signature of the proof does not fit: it was changed, or another key signed it")
        return found, key


@dataclass(frozen=True)
class DecisionRequest:
    """A service asks a person to sign a decision that they chose there.

    Attributes:
      meaning, comment, release, policy: as in `Approval`.
      dataset: of the release, to be shown.
    """

    meaning: str
    comment: str
    release: tuple[str, str]
    policy: PolicyVerdict | None
    dataset: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        policy = None if self.policy is None else self.policy.to_json()
        return {
            "ask": "decision", "meaning": self.meaning, "comment": self.comment, "release": list(self.release),
            "policy": policy, "dataset": self.dataset,
        }  # fmt: skip

    def approval(self, now: datetime) -> Approval:
        """Return the decision, signed at this time.

        Raises:
          ConfigError: meaning or comment make no decision.
        """
        return Approval(self.meaning, self.comment, now, self.release, self.policy)


def request_from(told: Any) -> KeyChallenge | DecisionRequest:
    """Return what `to_json` wrote.

    Raises:
      VerificationError: it is nothing of the kind.
    """
    try:
        texts = {name: value for name, value in told.items() if name not in ("release", "policy")}
        if not all(isinstance(text, str) and text.isprintable() for text in texts.values()):
            raise ValueError("text")
        if told["ask"] == "key" and set(told) == {"ask", "challenge", "person", "service"}:
            return KeyChallenge(told["challenge"], told["person"], told["service"])
        public, officer = told["release"]
        if told["ask"] != "decision" or set(told) != {"ask", "meaning", "comment", "release", "policy", "dataset"}:
            raise ValueError("fields")
        if not all(isinstance(one, str) and _SHA256.fullmatch(one) for one in (public, officer)):
            raise ValueError("digest")
        policy = None if told["policy"] is None else PolicyVerdict.from_json(told["policy"])
        return DecisionRequest(told["meaning"], told["comment"], (public, officer), policy, told["dataset"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise VerificationError(_NO_REQUEST) from None


def read_request(path: Path) -> KeyChallenge | DecisionRequest:
    """Return what a file asks to be signed.

    Raises:
      ConfigError: it cannot be read.
      VerificationError: it is no request.
    """
    try:
        data = read_limited(path, MAX_BYTES)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}") from None
    return request_from(loads(data, what="the request", max_bytes=MAX_BYTES, error=VerificationError))

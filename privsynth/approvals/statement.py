"""One decision as a signed in-toto Statement: who says what of which release.

A second signature on the release could not say what it means; 21 CFR 11.50 asks for name, time and meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privsynth.approvals.verdict import PolicyVerdict
from privsynth.errors import ConfigError
from privsynth.signing.envelope import Envelope, Signer
from privsynth.signing.keyring import APPROVER, REVIEWER
from privsynth.signing.keys import PublicKey
from privsynth.signing.statement import StatementWords, open_statement, sign_statement
from privsynth.strict.time import from_text, to_text

APPROVAL_TYPE = "https://privsynth.org/attestation/approval/v1"
# Meaning -> the roles of which the key needs one. Rejecting needs the right to approve, or nobody could take it back.
MEANINGS = {"reviewed": (REVIEWER, APPROVER), "approved": (APPROVER,), "rejected": (APPROVER,)}
PARTS = ("public/manifest.json", "officer/manifest.json")
MAX_BYTES = 100_000  # of a statement (own): a comment and two digests take some kilobytes
MAX_COMMENT = 2_000  # characters (own): a page; more belongs into a file of its own
_WORDS = StatementWords(
    what="the statement", max_bytes=MAX_BYTES, no_statement="it is no statement with one signature",
    lacks="it lacks a part that every decision has, or has it wrong",
    changed="its signature does not fit: it was changed, or another key signed it",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Approval:
    """A person's decision.

    Attributes:
      meaning: "reviewed", "approved" or "rejected".
      comment: in the person's words; one paragraph of printable text, or "".
      signed_at: when, as the person says.
      release: SHA-256 of the manifests of the public and of the officer's folder.
      policy: what the policy of the release said of it, as the person saw it; None without a policy.
    """

    meaning: str
    comment: str
    signed_at: datetime
    release: tuple[str, str]
    policy: PolicyVerdict | None = None

    def __post_init__(self) -> None:
        if self.meaning not in MEANINGS:
            raise ConfigError(f"the meaning of a decision is one of {', '.join(MEANINGS)}")
        if not self.comment.isprintable() or len(self.comment) > MAX_COMMENT:
            raise ConfigError(f"a comment is one paragraph of at most {MAX_COMMENT:,} printable characters")

    def signed(self, signer: Signer, holder: str) -> Envelope:
        """Return the decision as an envelope with one signature."""
        predicate = {
            "meaning": self.meaning,
            "comment": self.comment,
            "signed_at": to_text(self.signed_at),
            **({} if self.policy is None else {"policy": self.policy.to_json()}),
        }
        return sign_statement(list(zip(PARTS, self.release, strict=True)), APPROVAL_TYPE, predicate, signer, holder)


def opened(data: bytes) -> tuple[Approval, PublicKey]:
    """Return the decision in the bytes of an envelope, and the key that signed it; whose key it is, a keyring says.

    Raises:
      VerificationError: it is no decision, was changed, or the key that it names did not sign it.
    """
    return open_statement(data, _WORDS, _parsed)


def _parsed(document: Mapping[str, Any]) -> Approval:
    if document["predicateType"] != APPROVAL_TYPE:
        raise ValueError("type")
    told = document["predicate"]
    if set(told) - {"policy"} != {"meaning", "comment", "signed_at", "signer"} or not isinstance(told["comment"], str):
        raise ValueError("predicate")
    policy = PolicyVerdict.from_json(told["policy"]) if "policy" in told else None
    digests = [item["digest"]["sha256"] for item in document["subject"]]
    names = [item["name"] for item in document["subject"]]
    if tuple(names) != PARTS or not all(_SHA256.fullmatch(digest) for digest in digests):
        raise ValueError("subject")
    public, officer = digests
    return Approval(told["meaning"], told["comment"], from_text(told["signed_at"]), (public, officer), policy)

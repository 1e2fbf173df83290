"""What is left to people: hazards of the claim, and their decision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from privsynth.report.records.checked import one_of

HazardStatus = Literal["addressed", "partly", "open"]
Meaning = Literal["reviewed", "approved", "rejected"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A way in which a claim of differential privacy can mislead, and what was done about it."""

    name: str
    addressed: str
    evidence: str
    residual: str
    status: HazardStatus

    def __post_init__(self) -> None:
        one_of(f"status of the hazard {self.name}", self.status, HazardStatus)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision; blank fields are printed as lines to fill in by hand."""

    name: str = ""
    role: str = ""
    date: str = ""
    decision: str = ""
    conditions: str = ""


@dataclass(frozen=True, kw_only=True)
class SignOff:
    """What a person decided on a release, for page one.

    Attributes:
      meaning: "reviewed", "approved" or "rejected".
      name: the person, as the reader's keyring names the key. at: ISO 8601 with its offset.
      comment: in the person's words.
    """

    meaning: Meaning
    name: str
    at: str
    comment: str = ""

    def __post_init__(self) -> None:
        one_of("meaning of a decision", self.meaning, Meaning)
        if datetime.fromisoformat(self.at).tzinfo is None:
            raise ValueError("the time of a decision must carry its offset from UTC")


@dataclass(frozen=True, kw_only=True)
class ApprovedEdition:
    """What an approved edition says of itself; what the report says of its signature stays that of the draft.

    Attributes:
      draft: SHA-256 of the public manifest of the draft, on which people decided.
      published_by: name and fingerprint of the key that signs the edition. published_at: ISO 8601 with its offset.
      policy: by which it was published. needed: people who had to approve.
    """

    draft: str
    published_by: str
    published_at: str
    policy: str
    needed: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.draft):
            raise ValueError("the draft of an edition is named by 64 lower-case hex digits")
        if datetime.fromisoformat(self.published_at).tzinfo is None:
            raise ValueError("the time of an edition must carry its offset from UTC")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What one recipient may and must not do with the table, from the policy; words of a person, no verdicts."""

    name: str
    may: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()

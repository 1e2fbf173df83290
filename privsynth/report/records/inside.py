"""What only the officer may see, besides exact findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """The dataset's budget around this release; `delta_*` are None where the ledger caps epsilon alone.

    Attributes:
      releases_before: completed releases. unreleased_before: runs that cost something and released nothing.
    """

    cap_epsilon: float
    spent_before_epsilon: float
    spent_after_epsilon: float
    cap_delta: float | None = None
    spent_before_delta: float | None = None
    spent_after_delta: float | None = None
    releases_before: int | None = None
    unreleased_before: int = field(default=0, metadata={"omit_empty": True})


@dataclass(frozen=True, kw_only=True)
class AuditRun:
    """How much the officer's audit did.

    Attributes:
      level: "quick", "standard", "deep", or "none".
      left_out: audit -> what it leaves out at this level, as a sentence.
      thinned: how long tables were thinned, as a sentence; "" if they were not.
      unfinished: audits that a person stopped before they had finished.
      not_compared: columns of the real table that the synthetic one lacks.
    """

    level: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    thinned: str = ""
    unfinished: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OfficerPart:
    """What only the officer may see: exact, and outside every guarantee.

    Attributes:
      skipped: kind of bad cell or row -> how many.
      durations: stage -> seconds.
      pool: part of the audit's pool ("training", "holdout", "outside") -> units.
      source_commitment: keyed digest of the source, fresh key for each release; "" if none was made.
      release: SHA-256 of the manifest of the public folder, which stands for all of its files; "" outside a release.
      ledger: the dataset's budget before and after; None outside a ledger.
      audit: how much the audit did; None if that is not known.
    """

    skipped: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    pool: Mapping[str, int] = field(default_factory=dict)
    source_commitment: str = ""
    release: str = ""
    ledger: LedgerState | None = None
    audit: AuditRun | None = None

"""The life of a run, from its submission to the end of its release."""

from __future__ import annotations

from enum import StrEnum

from privsynth.service.roles import Act


class RunState(StrEnum):
    """Where a run is. The words are those of pages and of the API."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLED = "cancelled"  # by a person, before or while it ran
    FAILED = "failed"  # with a sentence
    INTERRUPTED = "interrupted"  # the worker was lost; what was reserved stays spent if noise was drawn
    TO_DECIDE = "to_decide"  # a release is there, and nobody may have it yet
    CHANGES_ASKED = "changes_asked"
    REJECTED = "rejected"
    APPROVED = "approved"
    PUBLISHED = "published"
    REVOKED = "revoked"


# A state -> the states that may follow. What is not here does not happen.
NEXT: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED}),
    RunState.RUNNING: frozenset({RunState.TO_DECIDE, RunState.FAILED, RunState.CANCELLED, RunState.INTERRUPTED}),
    RunState.TO_DECIDE: frozenset({RunState.CHANGES_ASKED, RunState.REJECTED, RunState.APPROVED, RunState.REVOKED}),
    RunState.CHANGES_ASKED: frozenset({RunState.TO_DECIDE, RunState.REJECTED, RunState.APPROVED, RunState.REVOKED}),
    RunState.REJECTED: frozenset({RunState.TO_DECIDE, RunState.CHANGES_ASKED, RunState.APPROVED, RunState.REVOKED}),
    RunState.APPROVED: frozenset({RunState.REJECTED, RunState.PUBLISHED, RunState.REVOKED}),
    RunState.PUBLISHED: frozenset({RunState.REVOKED}),
    RunState.CANCELLED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.INTERRUPTED: frozenset(),
    RunState.REVOKED: frozenset(),
}
BUSY = frozenset({RunState.QUEUED, RunState.RUNNING})
HAS_RELEASE = frozenset(
    {
        RunState.TO_DECIDE,
        RunState.CHANGES_ASKED,
        RunState.REJECTED,
        RunState.APPROVED,
        RunState.PUBLISHED,
        RunState.REVOKED,
    }
)
DECIDABLE = frozenset({RunState.TO_DECIDE, RunState.CHANGES_ASKED, RunState.REJECTED, RunState.APPROVED})
# An act on a run -> the states in which it can be done, by who may do it (`roles.ALLOWED`).
WHEN: dict[Act, frozenset[RunState]] = {
    Act.SEE_RUNS: frozenset(RunState),
    Act.CANCEL: BUSY,
    Act.ANSWER_CHANGES: frozenset({RunState.CHANGES_ASKED}),
    Act.SEE_OFFICER_REPORT: HAS_RELEASE,
    Act.SEE_OFFERS: HAS_RELEASE,
    Act.REVIEW: DECIDABLE,
    Act.APPROVE: DECIDABLE,
    Act.PUBLISH: frozenset({RunState.APPROVED}),
    Act.OFFER: frozenset({RunState.PUBLISHED}),
    Act.REVOKE: HAS_RELEASE - {RunState.REVOKED},
}

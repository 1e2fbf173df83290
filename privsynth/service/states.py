"""The life of a run, from its submission to the end of its release."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
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
NEXT: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.TO_DECIDE, State.FAILED, State.CANCELLED, State.INTERRUPTED}),
    State.TO_DECIDE: frozenset({State.CHANGES_ASKED, State.REJECTED, State.APPROVED, State.REVOKED}),
    State.CHANGES_ASKED: frozenset({State.TO_DECIDE, State.REJECTED, State.APPROVED, State.REVOKED}),
    State.REJECTED: frozenset({State.TO_DECIDE, State.CHANGES_ASKED, State.APPROVED, State.REVOKED}),
    State.APPROVED: frozenset({State.REJECTED, State.PUBLISHED, State.REVOKED}),
    State.PUBLISHED: frozenset({State.REVOKED}),
    State.CANCELLED: frozenset(),
    State.FAILED: frozenset(),
    State.INTERRUPTED: frozenset(),
    State.REVOKED: frozenset(),
}
BUSY = frozenset({State.QUEUED, State.RUNNING})
HAS_RELEASE = frozenset(
    {State.TO_DECIDE, State.CHANGES_ASKED, State.REJECTED, State.APPROVED, State.PUBLISHED, State.REVOKED}
)
DECIDABLE = frozenset({State.TO_DECIDE, State.CHANGES_ASKED, State.REJECTED, State.APPROVED})

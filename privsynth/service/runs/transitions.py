"""The state of a run changes here and nowhere else, so that whoever is to be told of it is, in the same transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow
from privsynth.service.webhooks.events import tell


def add_run(session: Session, run: RunRow) -> None:
    """Add a run in its first state."""
    session.add(run)
    session.flush()
    session.refresh(run)  # with its source and its submitter
    _tell(session, run, run.made_at)


def to_state(session: Session, run: RunRow, state: RunState, at: datetime) -> None:
    """Change the state of a run; where it is the same, nothing happens."""
    if run.state != state:
        run.state = state
        _tell(session, run, at)


def _tell(session: Session, run: RunRow, at: datetime) -> None:
    tell(session, f"run.{run.state}", {"run": run.id, "state": run.state}, at)

"""The release that another one starts from: the newest of the same dataset that is published."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.ledger.names import identity
from privsynth.service.context import Service
from privsynth.service.decisions.release import edition_of
from privsynth.service.runs.request import ReleaseRequest
from privsynth.service.states import RunState
from privsynth.service.store.runs import RunRow


def prior_of(service: Service, request: ReleaseRequest, dataset: str) -> Path | None:
    """Return the folder of the edition that a release of a dataset starts from; None where it starts from nothing.

    What is published may be known to anybody, so that it is a prior that needs no budget; what is revoked is none.
    """
    if not request.from_last_release:
        return None
    with service.database.reading() as session:
        newest = newest_published(session, dataset)
    return None if newest is None else edition_of(service, newest.id)


def newest_published(session: Session, dataset: str) -> RunRow | None:
    """Return the run of the newest published release of a dataset, by any spelling of its name."""
    published = select(RunRow).where(RunRow.state == RunState.PUBLISHED).order_by(RunRow.made_at.desc(), RunRow.id)
    return next((run for run in session.scalars(published) if identity(run.dataset) == identity(dataset)), None)

"""Reading the record of acts, for auditors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.record import FIRST, damaged
from privsynth.service.roles import Act
from privsynth.service.store.runs import RecordedAct

MOST = 500  # acts in one answer


@dataclass(frozen=True, kw_only=True)
class ActsPage:
    """A part of the record, newest first; `older` is the number to go on from, None at its beginning."""

    acts: list[RecordedAct]
    older: int | None


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Whether the whole record follows from its first act.

    Attributes:
      count: acts in it.
      head: the digest of the last; who notes count and digest elsewhere can tell later whether the end was cut off.
      damaged: the number of the first act that does not follow; None where all do.
    """

    count: int
    head: str
    damaged: int | None


def acts(
    service: Service, caller: Caller, *, about: str = "", act: str = "", before: int | None = None, most: int = 100
) -> ActsPage:
    """Return what was done, newest first.

    Args:
      about: the beginning of what it was done to, as `run`, or `person 7`.
      act: the kind of act; "" for all.
      before: only acts with a smaller number.
    """
    caller.require(Act.SEE_ACTS)
    wanted = select(RecordedAct).order_by(RecordedAct.id.desc()).limit(min(max(most, 1), MOST) + 1)
    if about:
        wanted = wanted.where(RecordedAct.about.startswith(about, autoescape=True))
    if act:
        wanted = wanted.where(RecordedAct.act == act)
    if before is not None:
        wanted = wanted.where(RecordedAct.id < before)
    with service.database.reading() as session:
        found = list(session.scalars(wanted))
    shown = found[: min(max(most, 1), MOST)]
    return ActsPage(acts=shown, older=shown[-1].id if len(found) > len(shown) else None)


def kinds_of_acts(service: Service, caller: Caller) -> list[str]:
    """Return every kind of act that was ever done."""
    caller.require(Act.SEE_ACTS)
    with service.database.reading() as session:
        return list(session.scalars(select(RecordedAct.act).distinct().order_by(RecordedAct.act)))


def check_chain(service: Service, caller: Caller) -> Chain:
    """Compute every digest of the record anew, and compare."""
    caller.require(Act.SEE_ACTS)
    with service.database.reading() as session:
        broken = damaged(_in_order(session))
        count = session.scalar(select(func.count()).select_from(RecordedAct)) or 0
        last = session.scalars(select(RecordedAct.digest).order_by(RecordedAct.id.desc()).limit(1)).first()
    return Chain(count=count, head=last or FIRST, damaged=broken)


def _in_order(session: Session) -> Iterator[RecordedAct]:
    for act in session.scalars(select(RecordedAct).order_by(RecordedAct.id).execution_options(yield_per=1000)):
        yield act
        session.expunge(act)

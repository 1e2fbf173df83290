"""Acts on requests for erasure: answer one, and read what was answered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from privsynth.approvals.notices import ROLES, Notice
from privsynth.errors import InputError
from privsynth.ledger.names import identity
from privsynth.service.caller import Caller
from privsynth.service.context import Service
from privsynth.service.erasure import words
from privsynth.service.erasure.answer import DatasetOfPerson, look_up
from privsynth.service.maker_key import own_maker_key
from privsynth.service.record import record
from privsynth.service.roles import Act
from privsynth.service.store.retention import ErasureRow
from privsynth.service.store.runs import RunRow, SourceRow
from privsynth.signing.statement import Subject

# A reference of the institution's own files. No blank and no @: neither a name nor an address fits.
_CASE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,38}[A-Za-z0-9])?")
MOST = 500  # answers on one page (own)


@dataclass(frozen=True, kw_only=True)
class ErasureRequest:
    """What is said of a request; nothing that tells who the person is.

    Attributes:
      case: a reference of the institution's own files.
      datasets: that the person is or was in.
      entered, removed: when their data came into the sources, and left them; None where nobody knows.
    """

    case: str
    datasets: tuple[str, ...]
    entered: date | None = None
    removed: date | None = None


@dataclass(frozen=True, kw_only=True)
class ErasureAnswer:
    """What was found for a request; `row` is the signed statement."""

    row: ErasureRow
    found: list[DatasetOfPerson]


def datasets_of(service: Service, caller: Caller) -> list[str]:
    """Return the datasets of which the service has or had a source, by name."""
    caller.require(Act.SEE_ERASURES)
    return sorted(_datasets(service).values())


def _datasets(service: Service) -> dict[str, str]:
    with service.database.reading() as session:
        names = [*session.scalars(select(SourceRow.dataset)), *session.scalars(select(RunRow.dataset))]
    return {identity(name): name for name in names}


def answer_request(service: Service, caller: Caller, asked: ErasureRequest) -> ErasureAnswer:
    """Look up what a request for erasure is about, sign the answer, and put it on record.

    Raises:
      InputError: the case is no reference, a dataset is unknown, or the dates contradict each other.
      KeyFileError, ConfigError: the service's key does not open.
    """
    caller.require(Act.ANSWER_ERASURE)
    _check(asked, _datasets(service))
    now = service.now().replace(microsecond=0)
    with service.database.reading() as session:
        found = [
            look_up(service, session, name, entered=asked.entered, removed=asked.removed)
            for name in dict.fromkeys(asked.datasets)
        ]
    key, entry = own_maker_key(service)(roles=ROLES)
    case = hashlib.sha256(asked.case.encode()).hexdigest()
    subjects = {"case": case} | {
        f"releases/{one.run_id}/public/manifest.json": one.manifest for each in found for one in each.releases
    }
    notice = Notice("erasure", tuple(Subject(*one) for one in subjects.items()), _said(asked, found), now)
    data = notice.signed(key, entry.holder).to_json()
    row = ErasureRow(
        case=asked.case, datasets=json.dumps(list(asked.datasets)), person_id=caller.person_id, at=now, statement=data,
        digest=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    with service.database.writing() as session:
        session.add(row)
        session.flush()
        session.refresh(row)
        record(
            session, "answer_erasure", f"erasure {row.id}", person_id=caller.person_id, at=now, case=asked.case,
            datasets=list(asked.datasets), releases=sum(len(one.releases) for one in found), statement=row.digest,
        )  # fmt: skip
    return ErasureAnswer(row=row, found=found)


def answers(service: Service, caller: Caller) -> list[ErasureRow]:
    """Return what was answered, the newest first."""
    caller.require(Act.SEE_ERASURES)
    with service.database.reading() as session:
        return list(session.scalars(select(ErasureRow).order_by(ErasureRow.id.desc()).limit(MOST)))


def statement(service: Service, caller: Caller, number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a signed answer.

    Raises:
      InputError: there is none.
    """
    caller.require(Act.SEE_ERASURES)
    with service.database.reading() as session:
        found = session.get(ErasureRow, number)
    if found is None:
        raise InputError("there is no such answer")
    return f"erasure-{found.id}.dsse.json", found.statement


def _check(asked: ErasureRequest, known: Mapping[str, str]) -> None:
    if not _CASE.fullmatch(asked.case):
        raise InputError(
            "a case is a reference of your own files, of at most 40 letters, digits and . _ / -; never a name or a "
            "number by which the person is known"
        )
    if not asked.datasets:
        raise InputError("name the datasets that the person is or was in")
    if unknown := [name for name in asked.datasets if identity(name) not in known]:
        raise InputError(f"the service knows no dataset called '{unknown[0][:80]}'")
    if asked.entered is not None and asked.removed is not None and asked.removed < asked.entered:
        raise InputError("the person's data cannot have left before it came in: look at the two dates again")


def _said(asked: ErasureRequest, found: list[DatasetOfPerson]) -> dict[str, object]:
    return {
        "case": asked.case,
        "entered": None if asked.entered is None else asked.entered.isoformat(),
        "removed": None if asked.removed is None else asked.removed.isoformat(),
        "datasets": [
            {
                "dataset": one.dataset,
                "releases": [release.to_json() for release in one.releases],
                "releases_without_the_person": one.excluded,
                "other_releases": one.outside,
                "can_be_deleted_here": [item.what for item in one.deletable],
                "sources_elsewhere": one.sources,
            }
            for one in found
        ],
        "why_no_search": list(words.NOT_SEARCHED),
        "what_can_be_deleted": list(words.CAN),
        "what_cannot": list(words.CANNOT),
        "revocation": list(words.REVOCATION),
        "not_said": words.LEGAL,
    }

"""The record of acts: everything that somebody did, in a chain of digests that nobody can shorten in the middle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from privsynth.service.store.runs import RecordedAct

FIRST = "0" * 64  # stands before the first act


def record(
    session: Session, act: str, about: str, *, person_id: int | None, at: datetime, **detail: Any
) -> RecordedAct:
    """Add an act in the transaction that does it, so that neither is there without the other.

    Args:
      about: what it was done to, as `run run-0123`.
      detail: facts without a secret and without a private value.
    """
    last = session.scalars(select(RecordedAct).order_by(RecordedAct.id.desc()).limit(1)).first()
    before = FIRST if last is None else last.digest
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    new = RecordedAct(at=at, person_id=person_id, act=act, about=about, detail=text, before=before, digest="")
    new.digest = digest_of_act(new)
    session.add(new)
    session.flush()
    return new


def digest_of_act(act: RecordedAct) -> str:
    """Return SHA-256 of the digest before and of all that the row says."""
    told = [act.before, act.at.isoformat(), act.person_id, act.act, act.about, act.detail]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def damaged(acts: Iterator[RecordedAct]) -> int | None:
    """Return the number of the first act that does not follow from the one before; None where all do."""
    before = FIRST
    for act in acts:
        if act.before != before or act.digest != digest_of_act(act):
            return act.id
        before = act.digest
    return None

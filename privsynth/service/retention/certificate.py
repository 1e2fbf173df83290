"""The words of a certificate of deletion: what was done, what that does and does not mean, and what remains."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from privsynth.approvals.notices import Notice
from privsynth.service.store.retention import DeletionRow
from privsynth.service.store.runs import Offer
from privsynth.signing.statement import Subject
from privsynth.strict.time import from_text, to_text

UNLINKED = (
    "Each file was unlinked: its name was removed from the file system, and the system frees its blocks. The blocks "
    "were not overwritten: on SSDs and on file systems that journal or copy on write, overwriting does not reliably "
    "reach them. Until they are used again, the content may be recovered from the raw medium, unless that is encrypted."
)
ROW_DELETED = (
    "The row was deleted from the service's database, which may keep its bytes in free pages and in its own logs until "
    "they are used again."
)
NOT_COVERED = (
    "Backups, snapshots and replicas of the service were not touched. `privsynth service restore` deletes again what "
    "certificates in its home name; other copies are the institution's to delete.",
    "Copies that people downloaded, and the original from which a file was uploaded, were not touched.",
)
_SPENT = "The entry in the ledger: what a release spent stays spent, whatever happens to its files."
_RECORD = "The record of acts, in which each act carries the digest of the one before: a gap would break the chain."
_LOG = "The entries in the log of releases: they hold digests and times, and cannot be taken out."
_DECISIONS = "The signed decisions on the release: they say who answers for it, and hold no row."
# Kind -> what remains, and why.
REMAINS: dict[str, tuple[str, ...]] = {
    "upload": ("The releases that were made of it, which were decided on by themselves.", _SPENT, _RECORD),
    "officer": ("The public part, which has been decided on by itself and may be with recipients.", _DECISIONS, _SPENT,
                _LOG, _RECORD),
    "draft": (_DECISIONS, _SPENT, _LOG, _RECORD),
    "left": (_SPENT, _RECORD),
    "offer": ("The release itself.", "The record of acts, which names the recipient: it is only ever added to."),
}  # fmt: skip


def certificate_of(row: DeletionRow, files: dict[str, tuple[str, int]], asked_by: str | None, now: datetime) -> Notice:
    """Return the certificate of a deletion that was just completed.

    Args:
      files: name below the service's folder -> SHA-256 and bytes, as they were before; a row of the database has an
        entry whose name is that of the item.
      asked_by: the name of the person who asked for it; None where a rule did.
    """
    kind = row.item.partition("-")[0]
    said: dict[str, Any] = {
        "item": row.item,
        "what": row.what,
        "dataset": row.dataset,
        "run": row.run_id,
        "rule": row.rule,
        "due_at": None if row.due_at is None else to_text(row.due_at),
        "asked_by": asked_by or "a rule of the service's settings",
        "reason": row.reason,
        "begun_at": to_text(row.begun_at),
        "deleted_at": to_text(now),
        "bytes": {name: size for name, (_, size) in files.items()},
        "how": ROW_DELETED if kind == "offer" else UNLINKED,
        "not_covered": list(NOT_COVERED),
        "remains": list(REMAINS[kind]),
    }
    return Notice("deletion", tuple(Subject(name, digest) for name, (digest, _) in files.items()), said, now)


def row_of(notice: Notice, data: bytes) -> DeletionRow:
    """Return the row of a deletion that a certificate is left of, as after the database was brought back."""
    said = notice.said
    sizes = said["bytes"]
    return DeletionRow(
        item=said["item"], what=said["what"], dataset=said["dataset"], run_id=said["run"], rule=said["rule"],
        reason=said["reason"], person_id=None, due_at=None if said["due_at"] is None else from_text(said["due_at"]),
        begun_at=from_text(said["begun_at"]), done_at=from_text(said["deleted_at"]), certificate=data,
        digest=hashlib.sha256(data).hexdigest(),
        files=json.dumps({one.name: [one.sha256, sizes[one.name]] for one in notice.subjects}),
    )  # fmt: skip


def digest_of_offer(offer: Offer) -> tuple[str, int]:
    """Return SHA-256 of an offer as JSON, and its length; the digest of the link in it cannot be guessed."""
    told = [offer.id, offer.run_id, offer.recipient, offer.terms, offer.digest, to_text(offer.made_at)]
    data = json.dumps(told, ensure_ascii=False).encode()
    return hashlib.sha256(data).hexdigest(), len(data)

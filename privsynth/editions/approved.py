"""From the copy of a draft to its approved edition: report.json gains two fields, page one gains lines, no more.

The lines go where `render` left a place for them, between two comments that are found by bytes and never by an HTML
parser. Text that comes from people is escaped, so it can hold neither of them, and the template writes each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from privsynth.approvals.decisions import Standing
from privsynth.errors import InputError, OutputError, VerificationError
from privsynth.report.records.as_json import as_json
from privsynth.report.records.judgement import ApprovedEdition, SignOff
from privsynth.report.render import DEEDS_END, DEEDS_START, render_deeds
from privsynth.report.report_data import json_text
from privsynth.report.sheet.decision_sheet import deeds_of
from privsynth.signing._embedding import MAX_REPORT_BYTES, Page
from privsynth.signing._files import atomic_write, read_limited
from privsynth.signing.checks.promise import MAX_REPORT_JSON_BYTES
from privsynth.signing.release import REPORT, REPORT_JSON
from privsynth.strict.json import loads
from privsynth.strict.time import to_text
from privsynth.wording.words import ENGLISH, LANGUAGES

_START, _END = DEEDS_START.encode(), DEEDS_END.encode()


@dataclass(frozen=True)
class EditionFacts:
    """What an edition says beyond its draft.

    Attributes:
      sign_offs: who decided what, in the order of time.
      edition: of which draft, by whom and when.
    """

    sign_offs: tuple[SignOff, ...]
    edition: ApprovedEdition

    @classmethod
    def of(cls, found: Standing, signer: str, now: datetime, *, policy: str, comments: bool) -> EditionFacts:
        """Return them for a draft that stands so.

        Args:
          signer: name and fingerprint of the key that will sign the edition.
          now: when, with a zone.
          policy: by which it is published.
          comments: whether what people wrote is shown too; recipients will read it.
        """
        told = tuple(
            SignOff(
                meaning=approval.meaning,  # type: ignore[arg-type]  # an `Approval` has no other than these
                name=entry.holder,
                at=to_text(approval.signed_at),
                comment=approval.comment if comments else "",
            )
            for approval, entry in found.named
        )
        edition = ApprovedEdition(
            draft=found.release.manifest,
            published_by=signer,
            published_at=to_text(now),
            policy=policy,
            needed=found.needed,
        )
        return cls(told, edition)


@dataclass(frozen=True)
class _Told:
    """What the lines of page one are made of; see `ToldDeeds`."""

    language: str
    created: str
    tool_version: str
    unsigned: bool
    signer: str
    sign_offs: tuple[SignOff, ...]
    edition: ApprovedEdition


def write_edition(folder: Path, facts: EditionFacts) -> None:
    """Write report.json and report.html of a copy of a draft anew; its signature no longer fits then.

    Args:
      folder: a copy of the draft's public folder, verified.
      facts: what it says beyond the draft.
    Raises:
      InputError: its report is of an earlier version, which left no place for decisions, or is an edition already.
      OutputError: the folder cannot be read or written.
    """
    try:
        report = read_limited(folder / REPORT_JSON, MAX_REPORT_JSON_BYTES)
        page = read_limited(folder / REPORT, MAX_REPORT_BYTES)
        text, html = edited(report, page, facts)
        atomic_write(folder / REPORT_JSON, text)
        atomic_write(folder / REPORT, html)
    except OSError as problem:
        raise OutputError(f"the edition cannot be written: {problem.strerror}") from None


def edited(report: bytes, page: bytes, facts: EditionFacts) -> tuple[bytes, bytes]:
    """Return report.json and report.html of an edition, with no signature, from those of its draft.

    Raises:
      InputError: as `write_edition`.
    """
    try:
        data = loads(report, what=REPORT_JSON, max_bytes=MAX_REPORT_JSON_BYTES, error=VerificationError)
        parts = Page.split(page)
        told = data.get("language", ENGLISH)
        known = {name: data[name] for name in ("created", "tool_version", "unsigned", "signer")}
    except (AttributeError, KeyError, TypeError, VerificationError):
        raise InputError("the report of this release is not one that privsynth writes") from None
    if not {"sign_offs", "edition"}.isdisjoint(data):
        raise InputError("this is an approved edition already; publish the draft that it was made of")
    added = {"sign_offs": as_json(facts.sign_offs, "sign_offs"), "edition": as_json(facts.edition, "edition")}
    language = told if told in LANGUAGES else ENGLISH
    lines = deeds_of(_Told(**known, language=language, sign_offs=facts.sign_offs, edition=facts.edition))
    block = b"\n" + render_deeds(lines).encode()
    return json_text({**data, **added}).encode(), _filled(parts.with_envelope(b""), block)


def _filled(page: bytes, block: bytes) -> bytes:
    before, start, rest = page.partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end or page.count(_START) != 1 or page.count(_END) != 1:
        raise InputError(
            "the page of this release was made by an earlier version of privsynth, which left no place for decisions; "
            "hand out the draft itself, and say who approved it"
        )
    return before + start + block + end + after

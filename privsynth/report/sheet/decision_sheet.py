"""`DecisionSheet`: the ten answers of page one, as texts; a function of the report alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from privsynth.report.report_data import ReportData
from privsynth.report.sheet.promise_words import OneNumber, promised, protected, together
from privsynth.report.sheet.reasons import Reason, reasons
from privsynth.report.sheet.untested import untested
from privsynth.report.sheet.uses import Uses, policy_words, uses
from privsynth.report.titles import Titles

NOBODY = "nobody yet"
KEY_GROUPS = 2  # of the fingerprint, eight digits each, to recognise a key by (own); the annex has all


@dataclass(frozen=True)
class Deed:
    """One line of who did what, and when; `by` says so where nobody did.

    Attributes:
      key: the beginning of the fingerprint of the key, if one is known.
    """

    what: str
    by: str
    at: str
    comment: str = ""
    key: str = ""


@dataclass(frozen=True)
class DecisionSheet:
    """The answers of page one.

    Attributes:
      protected: whose privacy; () without a promise.
      promise: the promise as one number; None without one.
      releases: how many there have been, and what they promise together.
      reasons: at most three, worst first.
      untested: what was not tested.
      uses: what it may and must not be used for.
      policy: which policy was applied, and what it says.
      deeds: who made, reviewed, approved and signed it, and when.
    """

    protected: tuple[str, ...]
    promise: OneNumber | None
    releases: tuple[str, ...]
    reasons: tuple[Reason, ...]
    untested: tuple[str, ...]
    uses: Uses
    policy: tuple[str, ...]
    deeds: tuple[Deed, ...]


def decision_sheet(report: ReportData, title: Titles) -> DecisionSheet:
    """Return the answers of page one."""
    return DecisionSheet(
        protected=protected(report),
        promise=None if report.guarantee is None else promised(report.guarantee),
        releases=together(report),
        reasons=reasons(report, title),
        untested=untested(report),
        uses=uses(report),
        policy=policy_words(report, title),
        deeds=_deeds(report),
    )


def _deeds(report: ReportData) -> tuple[Deed, ...]:
    """Return the lines in the order of the work; what people did, as the edition of this file knows it."""
    lines = [Deed("Made", f"with privsynth {report.tool_version}", moment(report.created)), _signed(report)]
    for meaning, what in (("reviewed", "Reviewed"), ("approved", "Approved"), ("rejected", "Rejected")):
        own = [one for one in report.sign_offs if one.meaning == meaning]
        lines += [Deed(what, one.name, moment(one.at), one.comment) for one in own]
        if not own and meaning != "rejected":
            lines.append(Deed(what, NOBODY, ""))
    return tuple(lines)


def _signed(report: ReportData) -> Deed:
    if report.unsigned:
        return Deed("Signed", "nobody: UNSIGNED", "")
    holder, sign, fingerprint = report.signer.rpartition(", key ")
    key = " ".join(fingerprint.split()[:KEY_GROUPS]) + " …" if sign else ""
    return Deed("Signed", (holder if sign else report.signer) or "a key", moment(report.created), key=key)


def moment(text: str) -> str:
    """Return an ISO time as a person writes it, in UTC."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return f"{at.day} {at:%B %Y}, {at:%H:%M} UTC"

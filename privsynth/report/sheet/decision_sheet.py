"""`DecisionSheet`: the ten answers of page one, as texts; a function of the report alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from privsynth.report.records.judgement import ApprovedEdition, SignOff
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.promise_words import OneNumber, promised, protected, together
from privsynth.report.sheet.reasons import Reason, reasons
from privsynth.report.sheet.untested import untested
from privsynth.report.sheet.uses import Uses, policy_words, uses
from privsynth.report.titles import Titles
from privsynth.wording.words import Words, words

KEY_GROUPS = 2  # of the fingerprint, eight digits each, to recognise a key by (own); the annex has all


@dataclass(frozen=True)
class Deed:
    """One line of who did what, and when; `by` says so where nobody did.

    Attributes:
      key: the beginning of the fingerprint of the key, if one is known; of an edition, the digest of its draft.
    """

    what: str
    by: str
    at: str
    comment: str = ""
    key: str = ""


class ToldDeeds(Protocol):
    """What the lines of who did what are a function of; a `ReportData` has it."""

    @property
    def language(self) -> str: ...
    @property
    def created(self) -> str: ...
    @property
    def tool_version(self) -> str: ...
    @property
    def unsigned(self) -> bool: ...
    @property
    def signer(self) -> str: ...
    @property
    def sign_offs(self) -> tuple[SignOff, ...]: ...
    @property
    def edition(self) -> ApprovedEdition | None: ...


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
    """Return the answers of page one, in the language of the report."""
    say = words(report.language)
    return DecisionSheet(
        protected=protected(report, say),
        promise=None if report.guarantee is None else promised(report.guarantee, say),
        releases=together(report, say),
        reasons=reasons(report, title, say),
        untested=untested(report, say),
        uses=uses(report, say),
        policy=policy_words(report, title, say),
        deeds=deeds_of(report),
    )


def deeds_of(told: ToldDeeds) -> tuple[Deed, ...]:
    """Return the lines in the order of the work; what people did, as the edition of this file knows it."""
    say = words(told.language)
    made = say.say("deeds.tool", version=told.tool_version)
    lines = [Deed(say.say("deeds.made"), made, say.date(told.created)), _signed(told, say)]
    for meaning in ("reviewed", "approved", "rejected"):
        own = [one for one in told.sign_offs if one.meaning == meaning]
        lines += [Deed(say.say(f"deeds.{meaning}"), one.name, say.date(one.at), one.comment) for one in own]
        if not own and meaning != "rejected":
            nobody = say.say("deeds.nobody_yet" if told.edition is None else "deeds.nobody")
            lines.append(Deed(say.say(f"deeds.{meaning}"), nobody, ""))
    if told.edition is not None:
        asked = say.some("deeds.people", told.edition.needed, policy=told.edition.policy)
        lines.append(Deed(say.say("deeds.needed"), asked, ""))
        by, key = _hand(told.edition.published_by, say)
        lines.append(Deed(say.say("deeds.published"), by, say.date(told.edition.published_at), key=key))
        lines.append(Deed(say.say("deeds.edition"), say.say("deeds.draft"), "", key=told.edition.draft))
    return tuple(lines)


def _signed(told: ToldDeeds, say: Words) -> Deed:
    if told.unsigned:
        return Deed(say.say("deeds.signed"), say.say("deeds.unsigned"), "")
    by, key = _hand(told.signer, say)
    return Deed(say.say("deeds.signed"), by, say.date(told.created), key=key)


def _hand(signer: str, say: Words) -> tuple[str, str]:
    """Return who signed, and the beginning of the fingerprint of the key if that is told."""
    holder, sign, fingerprint = signer.rpartition(", key ")
    key = " ".join(fingerprint.split()[:KEY_GROUPS]) + " …" if sign else ""
    return (holder if sign else signer) or say.say("deeds.a_key"), key

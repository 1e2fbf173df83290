"""The strongest reasons against releasing: what was found, worst first, as sentences with their figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.sentences import sentence
from privsynth.findings.severity import strongest
from privsynth.policy.definition import PROMISES
from privsynth.report.explain_epsilon import percent
from privsynth.report.format_numbers import power, tidy
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.nouns import capital, unit_noun
from privsynth.report.titles import Titles
from privsynth.wording.words import Words

# What `privsynth.policy.definition.Check.demand` is made of, beside numbers.
DEMANDS = (
    "the finding's own threshold",
    "away from what it is compared with, ",
    "above what it is compared with, ",
    "at most ",
    "at least ",
    " (estimate alone)",
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
MOST = 3  # reasons on page one (own): more are not remembered


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
      text: a sentence or two, with the figure.
      verdict: of the finding; "info" for a fact that no threshold judged.
      place: the section that has more.
    """

    text: str
    verdict: Verdict
    place: str


def reasons(report: ReportData, title: Titles, say: Words) -> tuple[Reason, ...]:
    """Return at most three reasons: a promise that the policy refuses, findings that failed or ask for a look, then
    what public facts say.

    A public report holds public findings only, so that its reasons are public too.
    """
    found = [
        Reason(_worded(finding, title, say), finding.verdict, finding.family)
        for finding in strongest(report.findings, MOST)
    ]
    return (*_refused(report, title, say), *found, *_known(report, say))[:MOST]


def _worded(finding: Finding, title: Titles, say: Words) -> str:
    """Return the sentence of a finding; a name of a column at its beginning stays as it is written."""
    told = sentence(finding, title, say)
    names = [part for group in finding.group.split(" · ") for part in group.split(" × ")]
    begins_with_a_name = any(name and told.startswith(name.split()[0]) for name in names)
    return told if begins_with_a_name else capital(told)


def _refused(report: ReportData, title: Titles, say: Words) -> Iterator[Reason]:
    """Yield what the policy demands of the promise, and the release does not keep: no finding says so."""
    if report.policy is None:
        return
    for outcome in report.policy.outcomes:
        if outcome.metric in PROMISES and outcome.verdict == "fail":
            values = {"metric": say.of(title(outcome.metric)), "demand": demand_words(outcome.demand, say)}
            if outcome.value is None:
                yield Reason(say.say("reasons.refused_none", **values), "fail", "policy")
            else:
                is_ = say.figure(power(outcome.value))
                yield Reason(say.say("reasons.refused", value=is_, **values), "fail", "policy")


def demand_words(demand: str, say: Words) -> str:
    """Return what a check of a policy demands, in the language."""
    for phrase in DEMANDS:
        demand = demand.replace(phrase, say.of(phrase))
    return _NUMBER.sub(lambda found: say.figure(tidy(found[0])), demand)


def _known(report: ReportData, say: Words) -> Iterator[Reason]:
    """Yield what no threshold judged, most serious first."""
    use, g = report.usability, report.guarantee
    if use is not None and use.lost:
        told = say.some("reasons.lost", len(use.lost), of=use.count, names=say.listed(use.lost))
        yield Reason(told, "info", "usability")
    if use is not None and use.empty:
        told = say.some("reasons.empty", len(use.empty), of=use.count, names=say.listed(use.empty))
        yield Reason(told, "info", "usability")
    if use is not None and use.missed:
        ties = _ties([use.tie_text(tie) for tie in use.missed], say)
        yield Reason(say.say("reasons.missed", ties=ties), "info", "usability")
    if g is not None and g.left_out is not None and g.left_out.sentences(g.unit, g.max_rows_per_unit or 1):
        told = say.say(
            "reasons.left_out",
            share=say.figure(percent(g.left_out.rows)),
            rows=g.rows_noun or say.say("rows_noun"),
            unit=say.unit(unit_noun(g)),
            n=g.max_rows_per_unit or 1,
            moved=say.figure(percent(g.left_out.most_moved, up=True).removesuffix(" %")),
        )
        yield Reason(told, "info", "promise")
    if use is not None and use.coarse:
        yield Reason(say.say("reasons.coarse", names=say.listed(use.coarse)), "info", "usability")
    without = sum(finding.verdict == "insufficient" for finding in report.findings)
    if without:
        yield Reason(say.some("reasons.without", without), "insufficient", "checks")


def _ties(names: Sequence[str], say: Words) -> str:
    told = [say.say("reasons.tie", one=one, other=other) for one, _, other in (tie.partition(" × ") for tie in names)]
    ties, more = "; ".join(told[:MOST]), len(told) - MOST
    return say.say("reasons.more_ties", ties=ties, n=more) if more > 0 else ties

"""What the table may and must not be used for, and what the policy says of it."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.report_data import ReportData
from privsynth.report.sheet.doubts import doubts
from privsynth.report.sheet.nouns import listed, unit_noun, with_article
from privsynth.report.titles import VERDICTS, Titles

_NAMED = 3  # failed checks that the sheet names; the section has all (own)


@dataclass(frozen=True)
class Uses:
    """What it may and must not be used for.

    Attributes:
      may, must_not: sentences or short phrases.
      by: whom they are for: the recipients of the policy, each with what holds for it, or what follows for all.
    """

    may: tuple[tuple[str, tuple[str, ...]], ...]
    must_not: tuple[tuple[str, tuple[str, ...]], ...]


def uses(report: ReportData) -> Uses:
    """Return what the policy allows and forbids to each recipient, beside what follows from the release itself."""
    whoever = "By anyone" if report.recipients else ""
    may = [(f"By {one.name}", one.may) for one in report.recipients if one.may]
    must_not = [(f"By {one.name}", one.must_not) for one in report.recipients if one.must_not]
    return Uses(may=(*may, *_resolved(report)), must_not=(*must_not, (whoever, _never(report))))


def _resolved(report: ReportData) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if report.recipients:
        return ()
    use, doubtful, said = report.usability, doubts(report.findings), []
    if use is not None:
        sound = [name for name in use.resolved if name not in doubtful.failed]
        said.append(f"Counts and shares in {len(sound)} of {use.count} columns.")
        if kept := [tie.replace(" × ", " by ") for tie in use.kept if not doubtful.of(tie)]:
            said.append(f"Two columns at a time: {listed(kept, most=3)}.")
    said.append("Building and testing software, teaching, and preparing analyses of the real table.")
    said.append("By whom it may be used was not said: no policy names recipients.")
    return (("", tuple(said)),)


def _never(report: ReportData) -> tuple[str, ...]:
    g, use = report.guarantee, report.usability
    if g is None and not report.generator.private:
        return ("Outside the place that may hold the real rows: no promise covers these.",)
    noun = "person" if g is None or unit_noun(g) == "row" else unit_noun(g)
    said = [
        f"To learn or decide anything about {with_article(noun)}: no row is a real {noun}’s.",
        "As a proof: check what matters on the real rows.",
    ]
    if use is not None and use.lost:
        said.append(f"For anything with {listed(use.lost)}: noise.")
    if use is not None and use.empty:
        said.append(f"For anything with {listed(use.empty)}: empty.")
    if use is not None and use.missed:
        ties = listed([tie.replace(" × ", " by ") for tie in use.missed], most=3)
        said.append(f"For {ties}: not tied as in the real table.")
    said += _doubted(report)
    return tuple(said)


def _doubted(report: ReportData) -> list[str]:
    """Return what to leave alone, although the paid figures alone would allow it."""
    use, doubtful, said = report.usability, doubts(report.findings), []
    if use is None:
        return []
    if failed := [name for name in use.resolved if name in doubtful.failed]:
        said.append(f"For {listed(failed)}, until somebody has looked: a check failed.")
    if ties := [tie.replace(" × ", " by ") for tie in doubted_ties(report)]:
        said.append(f"For {listed(ties, most=3)}, until somebody has looked: a check failed or asks for it.")
    return said


def doubted_ties(report: ReportData) -> list[str]:
    """Return the ties that the paid figures show, and a figure of the report casts doubt on."""
    doubtful = doubts(report.findings)
    return [] if report.usability is None else [tie for tie in report.usability.kept if doubtful.of(tie)]


def policy_words(report: ReportData, title: Titles) -> tuple[str, ...]:
    """Return which policy was applied, for whom, and what it says."""
    judged = report.policy
    if judged is None and report.policy_inside:
        return ("One was applied. It also judges exact figures, so its verdicts stay with the officer.",)
    if judged is None:
        return ("None was given, so nobody said beforehand what is good enough, and for whom.",)
    whom = f" For {listed([r.name for r in report.recipients])}." if report.recipients else ""
    counts = ", ".join(
        f"{judged.count(verdict)} {VERDICTS[verdict].lower()}"
        for verdict in ("fail", "review", "insufficient", "pass")
        if judged.count(verdict)
    )
    failed = [f"{title(o.metric)} ({o.demand})" for o in judged.outcomes if o.verdict == "fail"]
    named = f" Failed: {listed(failed, most=_NAMED)}." if failed else ""
    return (
        f"“{judged.policy}”, version {judged.version}.{whom}",
        f"Of {len(judged.outcomes)} checks: {counts}.{named}",
    )

"""What the table may and must not be used for, and what the policy says of it."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.report_data import ReportData
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
    use, said = report.usability, ["Nobody has said for whom and for what: no policy names recipients."]
    if use is not None:
        count = len(use.lost) + len(use.coarse) + len(use.resolved)
        said.append(f"What it can serve: counts and shares in {len(use.resolved)} of {count} columns.")
        if use.kept:
            said.append(f"Two columns at a time: {listed([tie.replace(' × ', ' by ') for tie in use.kept], most=3)}.")
    said.append("Building and testing software, teaching, and preparing analyses of the real table.")
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
    if use is not None and use.missed:
        ties = listed([tie.replace(" × ", " by ") for tie in use.missed], most=3)
        said.append(f"For {ties}: not tied as in the real table.")
    return tuple(said)


def policy_words(report: ReportData, title: Titles) -> tuple[str, ...]:
    """Return which policy was applied, for whom, and what it says."""
    judged = report.policy
    if judged is None and report.kind == "public":
        return ("None that rests on public figures alone; verdicts on exact figures would stay with the officer.",)
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

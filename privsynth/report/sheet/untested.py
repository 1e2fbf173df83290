"""What nobody tested, said as plainly as what was found."""

from __future__ import annotations

from privsynth.report.report_data import ReportData
from privsynth.report.sections import unmeasured
from privsynth.report.sheet.nouns import capital, listed

SHOWN_AUDITS = 2  # of those that left something out (own): the sheet keeps to one screen
EVERYTHING = "Everything: "  # begins what a level says of an audit that it leaves out
ALWAYS = "Attacks that nobody thought of: only the promise covers them."
NO_PROMISE = "Attacks that nobody thought of, and no promise covers them."


def untested(report: ReportData) -> tuple[str, ...]:
    """Return what was not tested, most important first."""
    said: list[str] = []
    if report.officer is None:
        said.append("Attacks on the real rows are not told here: what they found is exact and stays with the officer.")
    said += _of_the_audit(report)
    missing = [name.split(":")[0].lower() for name in unmeasured(report)]
    missing = [name for name in missing if not _said_to_be_left_out(report, name)]
    if missing:
        said.append(f"{'Also no' if said else 'No'} figure on: {listed(missing, most=8)}.")
    said.append(ALWAYS if report.guarantee is not None else NO_PROMISE)
    return tuple(said)


def _of_the_audit(report: ReportData) -> list[str]:
    audit = None if report.officer is None else report.officer.audit
    if audit is None:
        return []
    if audit.level == "none":
        return ["Nothing was audited: the audit was switched off, and no attack was tried."]
    said = []
    if audit.unfinished:
        said.append(f"Stopped before they had finished: {listed([_plain(name) for name in audit.unfinished])}.")
    if audit.not_compared:
        said.append(f"Columns that the synthetic table lacks: {listed(audit.not_compared)}.")
    if audit.thinned:
        said.append(audit.thinned)
    left_out = sorted(audit.left_out.items(), key=lambda one: not one[1].startswith(EVERYTHING))
    said += [_left_out(capital(_plain(name)), what) for name, what in left_out[:SHOWN_AUDITS]]
    if (more := len(left_out) - SHOWN_AUDITS) > 0:
        said.append(f"{more} more {'audit' if more == 1 else 'audits'} did less at this level: see At a glance.")
    return said


def _left_out(name: str, what: str) -> str:
    what = what.removeprefix(EVERYTHING)
    return f"{name}: {what[:1].lower()}{what[1:]}"


def _said_to_be_left_out(report: ReportData, name: str) -> bool:
    audit = None if report.officer is None else report.officer.audit
    if audit is None or audit.level == "none":
        return False
    wholly = [_plain(one) for one, what in audit.left_out.items() if what.startswith(EVERYTHING)]
    return name in wholly[:SHOWN_AUDITS]


def _plain(name: str) -> str:
    return name.replace("_", " ")

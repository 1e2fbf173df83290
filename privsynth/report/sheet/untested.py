"""What nobody tested, said as plainly as what was found."""

from __future__ import annotations

from privsynth.report.report_data import ReportData
from privsynth.report.sections import unmeasured
from privsynth.report.sheet.nouns import capital
from privsynth.wording.words import ENGLISH, Foreign, Words

SHOWN_AUDITS = 2  # of those that left something out (own): the sheet keeps to one screen
EVERYTHING = "Everything: "  # begins what a level says of an audit that it leaves out


def untested(report: ReportData, say: Words) -> tuple[str, ...]:
    """Return what was not tested, most important first."""
    said: list[str] = []
    if report.officer is None:
        said.append(say.say("untested.inside"))
    said += _of_the_audit(report, say)
    missing = [name.split(":")[0] for name in unmeasured(report)]
    missing = [name for name in missing if not _said_to_be_left_out(report, name.lower())]
    if missing:
        names = say.listed([_inside(say.of(name), say) for name in missing], most=8)
        said.append(say.say("untested.also_no_figure" if said else "untested.no_figure", names=names))
    said.append(say.say("untested.always" if report.guarantee is not None else "untested.no_promise"))
    return tuple(said)


def _inside(name: str, say: Words) -> str:
    """Return a heading as it is written within a sentence: German nouns keep their capital."""
    return name.lower() if say.language == ENGLISH else name


def _of_the_audit(report: ReportData, say: Words) -> list[str]:
    audit = None if report.officer is None else report.officer.audit
    if audit is None:
        return []
    if audit.level == "none":
        return [say.say("untested.nothing")]
    said = []
    if audit.unfinished:
        names = [_inside(say.of(capital(_plain(name))), say) for name in audit.unfinished]
        said.append(say.say("untested.stopped", names=say.listed(names)))
    if audit.not_compared:
        said.append(say.say("untested.lacking", names=say.listed(audit.not_compared)))
    if audit.thinned:
        said.append(say.of(audit.thinned))
    left_out = sorted(audit.left_out.items(), key=lambda one: not one[1].startswith(EVERYTHING))
    said += [_left_out(capital(_plain(name)), what, say) for name, what in left_out[:SHOWN_AUDITS]]
    if (more := len(left_out) - SHOWN_AUDITS) > 0:
        said.append(say.some("untested.more", more))
    return said


def _left_out(name: str, what: str, say: Words) -> str:
    """Return what a level leaves out of an audit; of one that nobody translated, the sentence is foreign as a whole."""
    what = what.removeprefix(EVERYTHING)
    told = say.of(what)
    english = f"{what[:1].lower()}{what[1:]}"
    if isinstance(told, Foreign):
        return Foreign(f"{name}: {english}")
    return say.say("untested.audit", name=say.of(name), what=english if say.language == ENGLISH else told)


def _said_to_be_left_out(report: ReportData, name: str) -> bool:
    audit = None if report.officer is None else report.officer.audit
    if audit is None or audit.level == "none":
        return False
    wholly = [_plain(one) for one, what in audit.left_out.items() if what.startswith(EVERYTHING)]
    return name in wholly[:SHOWN_AUDITS]


def _plain(name: str) -> str:
    return name.replace("_", " ")

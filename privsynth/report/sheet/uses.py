"""What the table may and must not be used for, and what the policy says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

from privsynth.findings.usability import JOIN, JoinedCodes, Usability
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.doubts import Doubts, doubts
from privsynth.report.sheet.nouns import unit_noun
from privsynth.report.sheet.reasons import demand_words
from privsynth.report.titles import Titles
from privsynth.wording.words import Words

_NAMED = 3  # failed checks that the sheet names; the section has all (own)
_TIES = 3  # ties in a sentence (own)


@dataclass(frozen=True)
class Uses:
    """What it may and must not be used for.

    Attributes:
      may, must_not: sentences or short phrases.
      by: whom they are for: the recipients of the policy, each with what holds for it, or what follows for all.
    """

    may: tuple[tuple[str, tuple[str, ...]], ...]
    must_not: tuple[tuple[str, tuple[str, ...]], ...]


def uses(report: ReportData, say: Words) -> Uses:
    """Return what the policy allows and forbids to each recipient, beside what follows from the release itself."""
    whoever = say.say("uses.by_anyone") if report.recipients else ""
    may = [(say.say("uses.by", name=one.name), one.may) for one in report.recipients if one.may]
    must_not = [(say.say("uses.by", name=one.name), one.must_not) for one in report.recipients if one.must_not]
    return Uses(may=(*may, *_resolved(report, say)), must_not=(*must_not, (whoever, _never(report, say))))


def _resolved(report: ReportData, say: Words) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if report.recipients:
        return ()
    use, doubtful, said = report.usability, doubts(report.findings), []
    if use is not None:
        sound = [name for name in use.resolved if name not in doubtful.failed]
        said.append(say.say("uses.counts", n=len(sound), of=use.count))
        if kept := [tie for tie in use.kept if not doubtful.of(tie, level=use.levels(tie))]:
            said.append(say.say("uses.pairs", ties=_ties(kept, use, say)))
        if report.officer is None and (sound or kept):
            said.append(say.say("uses.paid"))
    said += [say.say("uses.software"), say.say("uses.nobody")]
    return (("", tuple(said)),)


def _never(report: ReportData, say: Words) -> tuple[str, ...]:
    g, use = report.guarantee, report.usability
    if g is None and not report.generator.private:
        return (say.say("uses.not_private"),)
    noun = say.say("uses.person") if g is None or unit_noun(g) == "row" else unit_noun(g)
    said = [say.say("uses.decide", unit=say.unit(noun)), say.say("uses.proof")]
    if use is not None and use.lost:
        said.append(say.say("uses.noise", names=say.listed(use.lost)))
    if use is not None and use.empty:
        said.append(say.say("uses.empty", names=say.listed(use.empty)))
    if use is not None and use.pairs_hidden:
        key = "uses.hidden_parts" if use.pairs > comb(use.count, 2) else "uses.hidden"
        said.append(say.say(key, n=use.pairs_hidden, of=use.pairs))
    if use is not None and use.missed:
        said.append(say.say("uses.missed", ties=_ties(use.missed, use, say)))
    return (*said, *_doubted(report, say))


def _doubted(report: ReportData, say: Words) -> list[str]:
    """Return what to leave alone, although the paid figures alone would allow it."""
    use, doubtful, said = report.usability, doubts(report.findings), []
    if use is None:
        return []
    if failed := [name for name in use.resolved if name in doubtful.failed]:
        said.append(say.say("uses.failed", names=say.listed(failed)))
    if ties := doubted_ties(report):
        said.append(say.say("uses.doubted", ties=_ties(ties, use, say)))
    said += _finer(use, doubtful, ties, say)
    return said


def _finer(use: Usability, doubtful: Doubts, doubted: Sequence[str], say: Words) -> list[str]:
    """Return a warning of the single codes of ties that are allowed in groups of codes alone.

    The public page says it as well: what it allows in groups, the officer's may forbid code by code.
    """
    finer = [tie for tie in use.kept if use.levels(tie) and tie not in doubted]
    failed = [tie for tie in finer if doubtful.of(tie)]
    calm = [tie for tie in finer if tie not in failed]
    said = [say.say("uses.finer", ties=_codes(calm, use, say))] if calm else []
    return said + ([say.say("uses.finer_doubted", ties=_codes(failed, use, say))] if failed else [])


def _ties(names: Sequence[str], use: Usability, say: Words) -> str:
    """Return ties in words, each at the level at which it was judged."""
    return say.listed([_pair(tie, use, say, _level) for tie in names], most=_TIES)


def _codes(names: Sequence[str], use: Usability, say: Words) -> str:
    """Return ties in words, below the level at which they were judged."""
    return say.listed([_pair(tie, use, say, _single) for tie in names], most=_TIES)


def _pair(tie: str, use: Usability, say: Words, told: Callable[[str, JoinedCodes, Words], str]) -> str:
    levels = use.levels(tie)
    one, _, other = tie.partition(JOIN)
    one, other = (told(name, levels[at], say) if at in levels else name for at, name in enumerate((one, other)))
    return say.say("uses.pair", one=one, other=other)


def _level(name: str, joined: JoinedCodes, say: Words) -> str:
    key = "groups.of_level" if joined.level else "groups.plain"
    return say.say(key, name=name, n=joined.groups, level=joined.level)


def _single(name: str, joined: JoinedCodes, say: Words) -> str:
    return say.say("uses.codes", name=name)


def doubted_ties(report: ReportData) -> list[str]:
    """Return the ties that the paid figures show, and a figure at the same level casts doubt on."""
    use, doubtful = report.usability, doubts(report.findings)
    return [] if use is None else [tie for tie in use.kept if doubtful.of(tie, level=use.levels(tie))]


def policy_words(report: ReportData, title: Titles, say: Words) -> tuple[str, ...]:
    """Return which policy was applied, for whom, and what it says."""
    judged = report.policy
    approvals = (say.some("policy.approvals", report.approvals),) if report.approvals else ()
    if judged is None:
        return (say.say("policy.inside" if report.policy_inside else "policy.none"), *approvals)
    named = {"name": judged.policy, "version": judged.version}
    name = say.say("policy.name", **named)
    if report.recipients:
        name = say.say("policy.name_for", recipients=say.listed([r.name for r in report.recipients]), **named)
    counts = ", ".join(
        say.say("policy.count", n=judged.count(verdict), verdict=say.say(f"counted.{verdict}"))
        for verdict in ("fail", "review", "insufficient", "pass")
        if judged.count(verdict)
    )
    said = say.say("policy.counts", n=len(judged.outcomes), counts=counts)
    failed = [
        say.say("policy.check", metric=say.of(title(o.metric)), demand=demand_words(o.demand, say))
        for o in judged.outcomes
        if o.verdict == "fail"
    ]
    if failed:
        said += " " + say.say("policy.failed", checks=say.listed(failed, most=_NAMED))
    return (name, said, *approvals)

"""Whose privacy is protected, what was promised as one number, and what all releases promise together."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.explain_epsilon import highest_accuracy, percent
from privsynth.report.format_numbers import number, power
from privsynth.report.records.promise import EarlierReleases, Guarantee
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.nouns import capital, unit_noun
from privsynth.report.sheet.together import all_together
from privsynth.wording.words import Words


@dataclass(frozen=True)
class OneNumber:
    """The promise as one number: how often the best possible attack is right, from even odds.

    Attributes:
      number: in percent, rounded up. sentence: what it is.
      rest: what no protection and no release would give, and epsilon and delta.
    """

    number: str
    sentence: str
    rest: str


def protected(report: ReportData, say: Words) -> tuple[str, ...]:
    """Return whose privacy the promise protects; () without a promise."""
    g = report.guarantee
    if g is None:
        return ()
    unit, rows = say.unit(unit_noun(g)), g.rows_noun or say.say("rows_noun")
    if report.tables:
        limits = [say.say("protected.limit", n=t.max_children, table=t.name) for t in report.tables if t.max_children]
        if not limits:
            return (capital(say.say("protected.tables", unit=unit)),)
        return (capital(say.say("protected.tables_most", unit=unit, limits=say.listed(limits))),)
    if g.unit == "row":
        return (capital(say.say("protected.row_of", unit=unit)) if g.unit_noun else say.say("protected.row"),)
    if not g.max_rows_per_unit:
        return (capital(say.say("protected.all", unit=unit, rows=rows)),)
    said = [capital(say.say("protected.most", unit=unit, rows=rows, n=g.max_rows_per_unit))]
    if g.left_out is not None and g.left_out.sentences(g.unit, g.max_rows_per_unit or 1):
        said.append(say.say("protected.left_out", share=say.figure(percent(g.left_out.units)), rows=rows))
    return tuple(said)


def promised(g: Guarantee, say: Words) -> OneNumber:
    """Return the promise in odds, by the tightest conversion that holds for every attack."""
    chance = highest_accuracy(epsilon=g.epsilon, delta=g.delta, mu=g.mu, mu_delta=g.mu_delta)
    text = say.figure(percent(chance, up=True))
    return OneNumber(
        number=text,
        sentence=say.say("promise.sentence", unit=say.unit(unit_noun(g)), chance=text),
        rest=say.say("promise.rest", epsilon=say.figure(number(g.epsilon)), delta=say.figure(power(g.delta))),
    )


def together(report: ReportData, say: Words) -> tuple[str, ...]:
    """Return how many releases of the dataset there were before, and what they and this one promise together."""
    g, earlier = report.guarantee, report.earlier
    if g is None:
        return (say.say("releases.not_made"),)
    beyond = say.say("releases.beyond")
    if earlier is None:
        return (say.say("releases.no_ledger"), beyond)
    if not earlier.releases and not earlier.epsilon:
        return (say.say("releases.first"), beyond)
    count = say.say("releases.before", n=earlier.releases) if earlier.releases else say.say("releases.before_none")
    if earlier.stopped:
        count += " " + say.some("releases.stopped", earlier.stopped)
    if any(unit != g.unit for unit in earlier.units):
        return (count, say.say("releases.units"), beyond)
    return (f"{count} {_sum(g, earlier, say)}", beyond)


def _sum(g: Guarantee, earlier: EarlierReleases, say: Words) -> str:
    """Return what all releases promise together, in the measure of the one."""
    bounds = all_together(g, earlier)
    return say.say(
        "releases.together_sum" if bounds["mu"] is None and g.mu is not None else "releases.together",
        chance=say.figure(percent(highest_accuracy(**bounds), up=True)),
        epsilon=say.figure(number(bounds["epsilon"])),
        delta=say.figure(power(bounds["delta"])),
    )

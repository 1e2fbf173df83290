"""Whose privacy is protected, what was promised as one number, and what all releases promise together."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.explain_epsilon import highest_accuracy, percent
from privsynth.report.format_numbers import number, power
from privsynth.report.records.promise import EarlierReleases, Guarantee
from privsynth.report.report_data import ReportData
from privsynth.report.sheet.nouns import capital, listed, rows_noun, unit_noun, with_article


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


def protected(report: ReportData) -> tuple[str, ...]:
    """Return whose privacy the promise protects; () without a promise."""
    g = report.guarantee
    if g is None:
        return ()
    noun = unit_noun(g)
    if report.tables:
        limits = [f"{t.max_children} of {t.name}" for t in report.tables if t.max_children]
        most = f" (at most {listed(limits)})" if limits else ""
        return (f"{capital(with_article(noun))}, with all their rows in every table{most}.",)
    if g.unit == "row":
        if not g.unit_noun:
            return ("One row. Whoever has several rows is protected in each of them alone, not as a person.",)
        return (f"{capital(with_article(noun))}, as one row. With several rows, each is protected alone.",)
    rows, most = rows_noun(g), f"{g.max_rows_per_unit:,}" if g.max_rows_per_unit else ""
    if not most:
        return (f"{capital(with_article(noun))}, with all of their {rows}.",)
    said = [f"{capital(with_article(noun))}, with at most {most} of their {rows}."]
    if g.left_out is not None and g.left_out.sentences(g.unit, g.max_rows_per_unit or 1):
        said.append(f"About {percent(g.left_out.units)} of them have more {rows}; their other {rows} were not used.")
    return tuple(said)


def promised(g: Guarantee) -> OneNumber:
    """Return the promise in odds, by the tightest conversion that holds for every attack."""
    chance = highest_accuracy(epsilon=g.epsilon, delta=g.delta, mu=g.mu, mu_delta=g.mu_delta)
    text = percent(chance, up=True)
    whom = with_article(unit_noun(g))
    return OneNumber(
        number=text,
        sentence=f"Someone who gives even odds that {whom} is in the data can get to at most {text}: so often is the "
        "best possible attack right, whatever else its author knows.",
        rest="Without the release it is 50 %; with the real table, 100 %. "
        f"(ε = {number(g.epsilon)}, δ = {power(g.delta)})",
    )


def together(report: ReportData) -> tuple[str, ...]:
    """Return how many releases of the dataset there were before, and what they and this one promise together."""
    g, earlier = report.guarantee, report.earlier
    if g is None:
        return ("Not known: privsynth did not make this release.",)
    beyond = "Releases by other tools, or under another name, are not counted."
    if earlier is None:
        return ("Not known: no ledger was asked.", beyond)
    if not earlier.releases and not earlier.epsilon:
        return ("This is the first in the ledger of its maker, so that no earlier one adds to its promise.", beyond)
    count = f"{earlier.releases} before this one" if earlier.releases else "None that was completed before this one"
    if any(unit != g.unit for unit in earlier.units):
        words = "They protect different units, so that nothing can be promised of them together."
        return (f"{count}.", words, beyond)
    return (f"{count}. {_sum(g, earlier)}", beyond)


def _sum(g: Guarantee, earlier: EarlierReleases) -> str:
    epsilon, delta = g.epsilon + earlier.epsilon, min(g.delta + earlier.delta, 1.0)
    chance = percent(highest_accuracy(epsilon=epsilon, delta=delta), up=True)
    return (
        f"Whoever has all of them can get from even odds to at most {chance} (ε = {number(epsilon)}, "
        f"δ = {power(delta)})."
    )

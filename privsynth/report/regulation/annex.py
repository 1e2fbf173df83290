"""The regulatory annex of one report: which sentences are said, and in which language."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.report.regulation.facts import Facts, facts_of
from privsynth.report.regulation.texts import Headings, Instrument, Question, Sentence, texts
from privsynth.report.report_data import ReportData


@dataclass(frozen=True)
class Answer:
    """What a release says to one question; `shows` has a sentence at least."""

    asks: str
    shows: tuple[str, ...]
    open: str
    decides: str


@dataclass(frozen=True)
class InstrumentAnswers:
    """A law or guideline with its answers; `id` is unique in a page."""

    id: str
    name: str
    region: str
    status: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Annex:
    """What stands in the report."""

    language: str
    title: str
    lead: str
    headings: Headings
    entries: tuple[InstrumentAnswers, ...]


def annex(report: ReportData, language: str = "en") -> Annex:
    """Return what a report says to the laws and guidelines: a function of the report and of public texts.

    It says what a release shows and leaves open, and who must decide. It never says that data is anonymous, or that a
    law is complied with.
    Raises:
      ValueError: there is no annex in the language.
    """
    said, facts = texts(language), facts_of(report)
    return Annex(
        language=said.language,
        title=said.title,
        lead=said.lead.format(read_on=said.read_on),
        headings=said.headings,
        entries=tuple(_entry(instrument, facts, said.nothing) for instrument in said.instruments),
    )


def _entry(instrument: Instrument, facts: Facts, nothing: str) -> InstrumentAnswers:
    return InstrumentAnswers(
        id=f"law-{instrument.id.replace('_', '-')}",
        name=instrument.name,
        region=instrument.region,
        status=instrument.status,
        answers=tuple(_answer(question, facts, nothing) for question in instrument.questions),
    )


def _answer(question: Question, facts: Facts, nothing: str) -> Answer:
    shows = tuple(said.text.format_map(facts.values) for said in question.shows if _holds(said, facts))
    return Answer(asks=question.asks, shows=shows or (nothing,), open=question.open, decides=question.decides)


def _holds(said: Sentence, facts: Facts) -> bool:
    return facts.conditions.issuperset(said.when) and facts.conditions.isdisjoint(said.unless)

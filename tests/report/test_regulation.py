"""The regulatory annex: two languages that say the same, and sentences that a report can bear out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from string import Formatter

import pytest

from privsynth.errors import ConfigError
from privsynth.pages.templates import templates_dir
from privsynth.report.regulation.annex import Annex, annex
from privsynth.report.regulation.facts import CONDITIONS, FAMILIES, facts_of
from privsynth.report.regulation.texts import LANGUAGES, Question, read, texts

# Which conditions bring which values: a sentence may use a value only under one of them.
BRINGS = {
    "promise": {"unit", "rows_per_unit", "epsilon", "delta", "odds"},
    "grouped": {"unit", "rows_per_unit", "epsilon", "delta", "odds"},
    "rows_alone": {"unit", "rows_per_unit", "epsilon", "delta", "odds"},
    "identifiers": {"identifiers"},
    "columns": {"columns"},
    "policy": {"policy", "purpose"},
}
# The two conclusions that no report may draw, in both languages.
CONCLUSIONS = ("anonym", "complian", "compliant", "konform")


def questions(language: str) -> Iterator[tuple[str, Question]]:
    for instrument in texts(language).instruments:
        for question in instrument.questions:
            yield f"{instrument.id}.{question.id}", question


def said(entries: Annex) -> str:
    return " ".join(sentence for e in entries.entries for answer in e.answers for sentence in answer.shows)


def test_the_second_language_has_the_same_questions_conditions_and_values():
    english, german = dict(questions("en")), dict(questions("de"))
    assert list(english) == list(german)
    for name, question in english.items():
        other = german[name]
        shape = [(s.when, s.unless, names_in(s.text)) for s in question.shows]
        assert shape == [(s.when, s.unless, names_in(s.text)) for s in other.shows], name


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_uses_a_value_that_its_conditions_do_not_bring(language):
    for name, question in questions(language):
        for statement in question.shows:
            brought = set().union(*(BRINGS.get(condition, set()) for condition in statement.when))
            assert names_in(statement.text) <= brought, f"{name}: {statement.text}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_release_shows_is_never_a_conclusion(language):
    for name, question in questions(language):
        for statement in question.shows:
            assert not any(word in statement.text.lower() for word in CONCLUSIONS), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_is_answered_and_names_who_decides(language, public_report, officer_report):
    for report in (public_report, officer_report, replace(officer_report, guarantee=None)):
        entries = annex(report, language)
        assert len(entries.entries) == len(texts(language).instruments)
        for entry in entries.entries:
            assert entry.answers
            for answer in entry.answers:
                assert all((answer.shows, answer.open, answer.decides))
        assert "{" not in said(entries)


def test_a_measured_family_is_referred_to_and_a_missing_one_is_said_to_be_missing(public_report):
    bare = replace(public_report, findings=())
    measured = replace(public_report, findings=tuple(f for f in public_report.findings if f.family == "bias"))
    assert "No group was compared in this report." in said(annex(bare))
    assert "No group was compared in this report." not in said(annex(measured))


def test_the_odds_are_those_of_the_promise_and_nothing_is_promised_without_one(public_report, officer_report):
    promised = facts_of(public_report)
    assert promised.values["odds"] in said(annex(public_report))
    without = annex(replace(officer_report, guarantee=None))
    assert "bound for every means" not in said(without)
    assert "Treat the table like the real one" in said(without)


def test_each_family_and_fact_is_a_condition_that_some_sentence_uses():
    used = {c for _, q in questions("en") for s in q.shows for c in (*s.when, *s.unless)}
    assert used == set(CONDITIONS)
    assert used >= FAMILIES


def test_a_file_with_an_unknown_fact_value_or_key_is_refused_with_its_line(tmp_path):
    whole = (templates_dir() / "regulation" / "en.yaml").read_text(encoding="utf-8")
    for old, new, why in (
        ("when: [promise]", "when: [promised]", "no such fact: promised"),
        ("{odds}", "{chances}", "no such value: chances"),
        ("language: en", "language: en\nextra: 1", "Extra inputs"),
    ):
        path = tmp_path / "en.yaml"
        path.write_text(whole.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ConfigError, match=why) as refused:
            read(path)
        assert "line " in str(refused.value)


def test_an_unknown_language_is_refused(public_report):
    with pytest.raises(ValueError, match="there is no annex in 'fr'"):
        annex(public_report, "fr")


@pytest.mark.parametrize(("language", "when"), list(product(LANGUAGES, (True, False))))
def test_a_unit_of_rows_is_never_called_a_person_with_rows(language, when, public_report):
    guarantee = replace(
        public_report.guarantee, unit="row" if when else "patient", max_rows_per_unit=None if when else 4
    )
    holds = facts_of(replace(public_report, guarantee=guarantee)).conditions
    assert ("rows_alone" in holds) == when
    assert ("grouped" in holds) != when

"""The sentences of page one: every language has all of them, with the same places, and writes as it does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report.conftest import officer, public
from titled import TITLES, title

from privsynth.audit.common.settings import AuditSettings
from privsynth.audit.linked.registry import linked_left_out
from privsynth.audit.registry import left_out
from privsynth.errors import ConfigError
from privsynth.findings.families import FAMILIES
from privsynth.report.render import render
from privsynth.report.sheet.decision_sheet import decision_sheet
from privsynth.report.sheet.reasons import DEMANDS, demand_words
from privsynth.report.sheet.untested import EVERYTHING
from privsynth.wording.words import ENGLISH, LANGUAGES, Foreign, places, read, words

OTHERS = [language for language in LANGUAGES if language != ENGLISH]


@pytest.mark.parametrize("language", OTHERS)
def test_each_language_has_the_same_sentences_with_the_same_places(language):
    ours, english = words(language).messages, words().messages
    assert list(ours) == list(english)
    assert {key: places(text) for key, text in ours.items()} == {key: places(text) for key, text in english.items()}
    assert words(language).language == language
    assert all(text for key, text in ours.items() if key != "language.note")


@pytest.mark.parametrize("language", OTHERS)
def test_what_comes_from_elsewhere_is_translated(language):
    say = words(language)
    levels = [
        found
        for level in ("quick", "standard", "deep")
        for found in (left_out(AuditSettings(level=level)), linked_left_out(level))
    ]
    texts = [
        *TITLES.values(),
        *DEMANDS,
        *(about.title.split(":")[0] for about in FAMILIES.values()),
        *(name.replace("_", " ").capitalize() for found in levels for name in found),
        *(what.removeprefix(EVERYTHING) for found in levels for what in found.values()),
        title("promised_epsilon"),
        title("promised_delta"),
    ]
    assert [text for text in texts if isinstance(say.of(text), Foreign)] == []
    assert isinstance(say.of("a figure from another package"), Foreign)


def test_numbers_dates_and_lists_are_written_as_the_language_does():
    english, german = words("en"), words("de")
    assert (english.figure("1,234.5 %"), german.figure("1,234.5 %")) == ("1,234.5 %", "1.234,5 %")
    assert german.say("rows", n=19742) == "19.742 synthetische Zeilen"
    assert english.date("2026-03-01T10:05:00+01:00") == "1 March 2026, 09:05 UTC"
    assert german.date("2026-03-01T10:05:00+01:00") == "1. März 2026, 09:05 UTC"
    assert german.listed(["a", "b", "c"]) == "a, b und c"
    assert german.listed(list("abcdef")) == "a, b, c, d und 2 weitere"
    assert demand_words("away from what it is compared with, at most 0.05 (estimate alone)", german) == (
        "entfernt vom Vergleichswert, höchstens 0,05 (der Schätzwert allein)"
    )
    assert demand_words("at most 1e-06", german) == "höchstens 10⁻⁶"


def test_a_german_page_says_which_part_of_it_is_german():
    report = replace(officer(), language="de")
    page = render(report, TITLES)
    assert '<html lang="en">' in page
    sheet = page[page.index('<header class="sheet"') : page.index("</header>")]
    assert sheet.startswith('<header class="sheet" lang="de">')
    assert "alles Übrige ist auf Englisch" in sheet
    assert 'lang="de">Gesetze und Leitlinien' in page
    german = re.sub(r"<[^>]*>", " ", re.sub(r'<bdi lang="en">.*?</bdi>', "", sheet))
    assert not re.search(r"\b(the|of|and|with|not|were)\b", german)
    assert report.to_json()["language"] == "de"
    assert "alles Übrige" not in render(officer(), TITLES)


def test_what_nobody_translated_stands_there_as_english(make_thinned):
    report = make_thinned("Long tables were thinned.")
    assert '<bdi lang="en">Long tables were thinned.</bdi>' in render(report, TITLES)
    assert '<bdi lang="en">' not in render(replace(report, language="en"), TITLES)


@pytest.fixture
def make_thinned():
    def make(thinned):
        found = officer()
        audit = replace(found.officer.audit, thinned=thinned)
        return replace(found, language="de", officer=replace(found.officer, audit=audit))

    return make


def test_no_other_language():
    with pytest.raises(ConfigError, match="'fr'"):
        words("fr")
    with pytest.raises(ValueError, match="language must be one of"):
        replace(public(), language="fr")


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "xx.yaml"
    for text in ("language: xx\nmessages: {}\n", "language: xx\nmessages: {a: 1}\ntranslations: {}\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"xx\.yaml"):
            read(path)


def test_a_promise_in_german():
    report = replace(public(), language="de")
    found = decision_sheet(report, title)
    assert re.fullmatch(r"\d+,\d %", found.promise.number)
    assert found.promise.number in found.promise.sentence
    assert found.deeds[0].at == "22. November 2026, 10:00 UTC"

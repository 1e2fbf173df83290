"""One name has one budget, however it is spelt; names that only look alike are refused."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime

import pytest
from pipeline.admissions import run

from privsynth.errors import BudgetExceeded, ConfigError
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.names import check_dataset, identity, skeleton

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MUELLER = "Müller"
SPELLINGS = [
    (MUELLER, unicodedata.normalize("NFD", MUELLER)),
    ("adm", "adm "),
    ("adm", "Adm"),
    ("adm 2024", " ADM  2024"),
    ("STRASSE", "straße"),
    ("adm", "ａｄｍ"),
]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "home", clock=lambda: NOW)


def reserve(ledger, dataset, run_id="run-1", *, epsilon=6.0, unit="row"):
    return ledger.reserve(dataset, epsilon=epsilon, delta=1e-6, unit=unit, run_id=run_id)


@pytest.mark.parametrize(("first", "second"), SPELLINGS)
def test_spellings_of_one_name_share_one_budget(ledger, first, second):
    reserve(ledger, first)
    with pytest.raises(BudgetExceeded):
        reserve(ledger, second, "run-2")
    assert reserve(ledger, second, "run-3", epsilon=1).dataset == first
    (account,) = ledger.accounts()
    assert (account.dataset, account.spent_epsilon_units) == (first, 7 * 10**12)
    assert ledger.account(second) == account
    assert [event.run_id for event in ledger.history(second)] == ["run-1", "run-3"]
    ledger.set_cap(second, 8, None)
    assert ledger.account(first).cap_epsilon_units == 8 * 10**12


def test_the_same_content_under_another_spelling_is_the_same_dataset(ledger):
    reserve(ledger, "adm", epsilon=1).bind(b"a" * 32)
    reserve(ledger, "ADM", "run-2", epsilon=1).bind(b"a" * 32)
    assert [event.kind for event in ledger.history("adm")] == ["reserved", "bound"] * 2


@pytest.mark.parametrize("name", ["\u0430dm", "ad\u043c", "\u03b1dm", "ICU\u0430 2024"])
def test_a_word_of_two_alphabets_is_refused(ledger, name):
    with pytest.raises(ConfigError, match="letters in one word"):
        reserve(ledger, name)
    with pytest.raises(ConfigError, match="letters in one word"):
        ledger.set_cap(name, 1)
    assert not ledger.home.exists()


@pytest.mark.parametrize("name", ["adm\ufe0f", "adm\u034f", "adm\u3164", "adm\U000e0100"])
def test_an_invisible_character_is_refused(name):
    with pytest.raises(ConfigError):
        check_dataset(name)


NAMES = ["пациенты ICU 2024", "μελέτη-A", "入院データ", "Ümit_ñandú", "études", "adm1l0", "日本語abc"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_languages_are_names(ledger, name):
    assert reserve(ledger, name).dataset == name


@pytest.mark.parametrize(("first", "second"), [("ace", "\u0430\u0441\u0435"), ("\u0445\u0430\u0442", "xat")])
def test_a_whole_word_that_looks_like_a_known_name_is_refused(ledger, first, second):
    assert identity(first) != identity(second)
    assert skeleton(first) == skeleton(second)
    reserve(ledger, first)
    with pytest.raises(ConfigError, match="another alphabet"):
        reserve(ledger, second, "run-2")
    with pytest.raises(ConfigError, match="another alphabet"):
        ledger.set_cap(second, 1)


def old_ledger(ledger, monkeypatch, names):
    """Write as versions did that took every spelling for a name of its own."""
    with monkeypatch.context() as patch:
        patch.setattr("privsynth.ledger.events.identity", lambda name: name)
        patch.setattr("privsynth.ledger.stores.head.identity", lambda name: name)
        patch.setattr("privsynth.ledger.ledger.check_dataset", lambda name: None)
        patch.setattr("privsynth.ledger.ledger._refuse_lookalike", lambda state, name: None)
        for number, name in enumerate(names):
            reserve(ledger, name, f"old-{number}")


def test_an_old_ledger_with_several_spellings_is_read_as_one_account(ledger, monkeypatch):
    old_ledger(ledger, monkeypatch, ["adm", "Adm"])
    (account,) = ledger.accounts()
    assert (account.dataset, account.spent_epsilon_units, account.left_epsilon_units) == ("adm", 12 * 10**12, 0)
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "ADM", epsilon=0.1)


def test_an_old_ledger_with_a_name_that_is_refused_now_is_read(ledger, monkeypatch):
    old_ledger(ledger, monkeypatch, ["\u0430dm"])
    assert ledger.account("\u0430dm").spent_epsilon_units == 6 * 10**12
    with pytest.raises(ConfigError):
        reserve(ledger, "\u0430dm")


def test_what_an_old_head_knew_of_two_spellings_is_charged_again(ledger, monkeypatch):
    old_ledger(ledger, monkeypatch, ["adm", "Adm"])
    old_ledger_head = (ledger.home / "ledger.head").read_bytes()
    assert json.loads(old_ledger_head)["spent"].keys() == {"adm", "Adm"}
    (ledger.home / "ledger.db").unlink()
    ledger.accept_restored("the table was lost")
    assert ledger.account("adm").spent_epsilon_units == 12 * 10**12


def test_releases_of_several_units_are_told_loudly(privsynth_home, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("account,ward\n" + "".join(f"a{i // 2},{'AB'[i % 2]}\n" for i in range(60)))
    line = ("synthesize", table, "--dataset", "t", "--epsilon", 1, "--audit", "none", "--generator", "marginal")
    line = (*line, "--anyway")
    first = run(*line, "--unit", "row", "--out", tmp_path / "one")
    assert (first.exit_code, "protect different units" in first.stderr) == (0, False)
    second = run(*line, "--unit", "account", "--max-rows-per-unit", 2, "--out", tmp_path / "two")
    assert second.exit_code == 0, second.output
    assert "Warning: The releases of dataset 't' protect different units ('row', 'account')" in second.stderr
    shown = run("budget", "show", "t")
    assert "a promise about none of these units" in shown.stderr

"""`privsynth budget`: what it shows, sets and refuses."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from privsynth.cli import main
from privsynth.errors import BudgetError
from privsynth.ledger.ledger import Ledger


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)
    return tmp_path / "home"


@pytest.fixture
def used(home):
    """Epsilon 2.5 of the default 10 is spent on `admissions`, by one release."""
    ledger = Ledger(home, clock=lambda: datetime(2026, 5, 1, 12, tzinfo=UTC))
    with ledger.reserve("admissions", epsilon=2.5, delta=1e-6, unit="patient_id", run_id="r1") as reservation:
        reservation.bind(b"p" * 32)
        reservation.mark_drawn()
        reservation.complete()
    return ledger


def budget(*args, **more):
    return CliRunner().invoke(main, ["budget", *args], **more)


def test_an_empty_ledger_says_so(home):
    result = budget("show")
    assert result.exit_code == 0
    assert "Nothing has been spent" in result.stdout
    assert json.loads(budget("show", "--json").stdout) == {"accounts": []}


def test_a_name_that_was_refused_is_not_listed_and_the_right_one_is_named(used):
    with (
        pytest.raises(BudgetError) as error,
        used.reserve("hospital2", epsilon=1, delta=0, unit="patient_id", run_id="r2") as reservation,
    ):
        reservation.bind(b"p" * 32)
    assert error.value.in_shell().endswith("Nothing was spent. Run again with --dataset admissions.")
    assert "hospital2" not in budget("show").stdout
    assert [one["dataset"] for one in json.loads(budget("show", "--json").stdout)["accounts"]] == ["admissions"]
    assert "given back" in budget("history", "hospital2").stdout
    budget("set", "hospital2", "--epsilon", 3)
    assert "hospital2" in budget("show").stdout


def test_show_says_cap_spent_left_and_unit(used):
    text = budget("show").stdout
    for word in ("admissions", "patient_id", "ε 10", "ε 2.5", "ε 7.5", "δ 9e-6", "25%", "███░"):
        assert word in text


def test_show_without_unicode_prints_ascii(used):
    result = CliRunner(charset="ascii").invoke(main, ["budget", "show"])
    assert result.exit_code == 0
    assert "###.." in result.stdout
    assert result.stdout.isascii()


def test_show_json_is_exact(used):
    (account,) = json.loads(budget("show", "admissions", "--json").stdout)["accounts"]
    assert account == {
        "dataset": "admissions", "units": ["patient_id"],
        "cap_epsilon": 10.0, "spent_epsilon": 2.5, "left_epsilon": 7.5,
        "cap_delta": 1e-5, "spent_delta": 1e-6, "left_delta": 9e-6,
        "releases": 1, "completed": 1, "released_nothing": 0,
    }  # fmt: skip


@pytest.mark.parametrize("command", ["show", "history"])
def test_an_unknown_dataset_is_refused_by_name(used, command):
    result = budget(command, "admission", "--json")
    assert result.exit_code == 2
    assert "It knows: 'admissions'" in json.loads(result.stdout)["error"]


def test_set_changes_one_half_and_keeps_the_other(used):
    result = budget("set", "admissions", "--epsilon", "3")
    assert result.stdout == ("The cap of 'admissions' is epsilon 3, delta 1e-5; left: epsilon 0.5, delta 9e-6.\n")


def test_set_below_what_is_spent_is_refused_with_the_budgets_exit_code(used):
    before = len(used.history("admissions"))
    result = budget("set", "admissions", "--epsilon", "2")
    assert result.exit_code == 4
    assert "spent already" in result.stderr
    assert len(used.history("admissions")) == before


@pytest.mark.parametrize("args", [[], ["--epsilon", "nan"], ["--epsilon", "-1"], ["--delta", "1"], ["--epsilon", "x"]])
def test_set_refuses_what_is_no_cap(used, args):
    assert budget("set", "admissions", *args).exit_code == 2
    assert used.account("admissions").to_json()["cap_epsilon"] == 10


def test_history_tells_the_story_in_order(used):
    text = budget("history", "admissions").stdout
    places = [text.index(word) for word in ("reserved", "content recognised", "noise drawn: spent", "released")]
    assert places == sorted(places)
    assert "2026-05-01 12:00:00" in text
    events = json.loads(budget("history", "admissions", "--json").stdout)["events"]
    assert [event["kind"] for event in events] == ["reserved", "bound", "drawn", "completed"]


def test_a_restored_copy_is_refused_until_a_person_accepts_it(used, home):
    shutil.copy(home / "ledger.db", home / "backup.db")
    used.reserve("admissions", epsilon=4, delta=1e-6, unit="patient_id", run_id="r2")
    shutil.copy(home / "backup.db", home / "ledger.db")
    refused = budget("show")
    assert refused.exit_code == 4
    assert "older copy" in refused.stderr
    assert "accept-restored" in refused.stderr
    accepted = budget("accept-restored", input="the disk was replaced\n")
    assert accepted.exit_code == 0, accepted.output
    assert "Charged again, because the ledger had lost it: 'admissions'" in accepted.stdout
    assert json.loads(budget("show", "--json").stdout)["accounts"][0]["spent_epsilon"] == 6.5
    assert "the disk was replaced" in budget("history", "admissions").stdout


def test_a_whole_ledger_cannot_be_accepted(used):
    result = budget("accept-restored", "--reason", "just so")
    assert result.exit_code == 4
    assert "nothing to accept" in result.stderr

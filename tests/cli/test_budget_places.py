"""`privsynth budget` on where the ledger is: SQL, joining, backup, restore and move."""

from __future__ import annotations

import json
import stat

import pytest
from click.testing import CliRunner
from ledger.shared import ANALYST, administer, empty, server  # noqa: F401

from privsynth.cli import main
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.definition import DEFINITION


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVSYNTH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PRIVSYNTH_DEBUG", raising=False)
    monkeypatch.setenv("PGPASSWORD", ANALYST)
    return tmp_path / "home"


def budget(*args, **env):
    return CliRunner().invoke(main, ["budget", *map(str, args)], env=env)


def url_of(port):
    return f"postgresql://ben@127.0.0.1:{port}/postgres"


def test_the_sql_is_printed_as_it_is_run(home):
    assert budget("sql").stdout == DEFINITION


def test_a_ledger_is_moved_shared_backed_up_and_restored(home, tmp_path, empty):  # noqa: F811
    url, backup, key = url_of(empty), tmp_path / "ledger.json", tmp_path / "ledger.key"
    assert budget("set", "adm", "--epsilon", 3).exit_code == 0
    moved = budget("move", url)
    assert moved.exit_code == 0, moved.output
    assert "set PRIVSYNTH_LEDGER to that URL" in moved.stdout
    refused = budget("set", "adm", "--epsilon", 4)
    assert (refused.exit_code, "was moved to PostgreSQL" in refused.stderr) == (4, True)
    assert budget("set", "adm", "--epsilon", 5, PRIVSYNTH_LEDGER=url).exit_code == 0
    history = budget("history", "adm", PRIVSYNTH_LEDGER=url).stdout
    assert "ledger moved to another place" in history
    assert "ledger moved to this place" in history
    for command, file in (("copy-key", key), ("backup", backup)):
        made = budget(command, file, PRIVSYNTH_LEDGER=url)
        assert made.exit_code == 0, made.output
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert budget(command, file, PRIVSYNTH_LEDGER=url).exit_code == 2  # it is there already
    second = {"PRIVSYNTH_HOME": str(tmp_path / "second"), "PRIVSYNTH_LEDGER": url}
    missing = budget("show", **second)
    assert (missing.exit_code, "budget join" in missing.stderr) == (4, True)
    assert budget("join", **second).exit_code == 2
    joined = budget("join", "--key", key, **second)
    assert "events so far: 4" in joined.stdout, joined.output
    (account,) = json.loads(budget("show", "--json", **second).stdout)["accounts"]
    assert account["cap_epsilon"] == 5
    administer(empty, "DROP SCHEMA privsynth_ledger CASCADE", DEFINITION)
    stopped = budget("show", **second)
    assert (stopped.exit_code, "older copy" in stopped.stderr) == (4, True)
    restored = budget("restore", backup, **second)
    assert "4 event(s) were added" in restored.stdout, restored.output
    assert budget("show", **second).exit_code == 0


def test_plan_says_what_the_shared_ledger_would_say(home, tmp_path, empty):  # noqa: F811
    env = {"PRIVSYNTH_LEDGER": url_of(empty)}
    assert budget("join", "--new-key", **env).exit_code == 0
    assert budget("set", "adm", "--epsilon", 0.5, **env).exit_code == 0
    table = tmp_path / "adm.csv"
    table.write_text("a,b\n1,2\n")
    line = ["plan", str(table), "--unit", "row", "--dataset", "adm", "--epsilon", "1"]
    assert "ledger would refuse" in CliRunner().invoke(main, line, env=env).output
    assert "ledger would refuse" not in CliRunner().invoke(main, line).output


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (("move", "postgresql://ben:s3cret@127.0.0.1/db"), 2, "PGPASSWORD"),
        (("move", "nowhere://x"), 2, "cannot be read"),
        (("move", "folder"), 4, "no ledger"),
        (("join", "--new-key"), 2, "Set PRIVSYNTH_LEDGER"),
        (("copy-key", "key"), 4, "no ledger"),
        (("restore", __file__), 2, "no backup"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(home, line, code, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = budget(*line)
    assert (result.exit_code, says in result.stderr) == (code, True), result.output
    assert "s3cret" not in result.output
    assert not (tmp_path / "key").exists()


def test_a_url_in_the_environment_is_named_without_its_password(home):
    result = budget("show", PRIVSYNTH_LEDGER="postgresql://ben:s3cret@127.0.0.1/a/b")
    assert result.exit_code == 2
    assert "s3cret" not in result.output
    assert Ledger.chosen(home).store.place.startswith("folder ")

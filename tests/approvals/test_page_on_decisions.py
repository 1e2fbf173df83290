"""The page on decisions, run as it stands: from keys in homes of their own to an edition that a recipient verifies."""

import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from pipeline.admissions import FAST, RELEASED, admissions, schema, write
from test_docs import TEXTS, blocks

from privsynth.cli import main

POLICY = {
    "policy": "ward statistics",
    "version": "1",
    "purpose": "Planning.",
    "approvals": 2,
    "checks": [{"metric": "promised_epsilon", "at_most": 3, "source": "own"}],
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Return a folder with what the page starts from; what people hand to each other is in it too."""
    write(tmp_path, "admissions.csv", admissions())
    write(tmp_path, "schema.yaml", schema())
    write(tmp_path, "wards.yaml", POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRIVSYNTH_PASSPHRASE", "a passphrase for the test only")
    return tmp_path


def ran(line, home):
    """Run one line of the page in somebody's home, and return what it printed."""
    words = shlex.split(line)
    if words[0] == "cp":
        shutil.copy(words[1].replace("$PRIVSYNTH_HOME", str(home)), words[2])
        return ""
    target = words[words.index(">") + 1] if ">" in words else None
    words = words[1 : words.index(">")] if target else words[1:]
    synthesized = words[0] == "synthesize"
    result = CliRunner(env={"PRIVSYNTH_HOME": str(home)}).invoke(main, [*words, *(FAST if synthesized else ())])
    assert result.exit_code in (RELEASED if synthesized else (0,)), f"{line}\n{result.output}"
    if target:
        Path(target).write_text(result.stdout, encoding="utf-8")
    return result.output


def test_several_people_and_a_root_from_keys_to_an_edition(desk):
    section = TEXTS["docs/decisions.md"].partition("## Several people, one root\n")[2].partition("\n## ")[0]
    said, home = {}, None
    for line in "\n".join(blocks(section, "sh")).splitlines():
        if line.startswith("# "):
            home = desk / "homes" / "-".join(line.removeprefix("# ").split()[:2]).strip(".")
        elif line:
            said[line.partition(" --")[0]] = ran(line, home)
    assert len({path.name for path in (desk / "homes").iterdir()}) == 5
    joined = said["privsynth keys root sign office.json anna.json bert.json st-mary.keyring"]
    assert [line.partition(": ")[0].split("  ")[-1].strip() for line in joined.splitlines()[:3]] == [
        "Data office, St Mary", "Anna Berg, compliance", "Bert Ott, privacy",
    ]  # fmt: skip
    assert "Entered 2 of 3" in said["privsynth log append out"]
    assert "2 people who did not make it have approved; it takes 2" in said["privsynth status out"]
    assert "Anna Berg, compliance" in said["privsynth verify out-approved"]

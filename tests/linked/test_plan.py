"""The plan of linked tables: each table's share and outlook, by headers alone, and the same bill as the run's."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from linked.clinic import SPEC, clinic

import privsynth
from privsynth.cli import main


def test_each_table_has_a_share_and_an_outlook_at_each_number_of_persons():
    plan = privsynth.plan(clinic(20), schema=SPEC, epsilon=1)
    assert [(t.name, t.parent, t.max_children) for t in plan.tables] == [
        ("patients", "", 1), ("stays", "patients", 6), ("tests", "stays", 10)
    ]  # fmt: skip
    assert sum(table.share for table in plan.tables) == pytest.approx(1)
    assert plan.epsilon_of_events <= 1 + 1e-9
    assert plan.persons == (1_000, 10_000, 100_000)
    stays = plan.tables[1].outlooks
    assert [outlook.rows for outlook in stays] == [3_000, 30_000, 300_000]
    assert {c.name for c in stays[0].columns} == {
        "admitted", "ward", "days", "number of tests", "admitted since the last one", "ward as before",
        "days as before", "change of days",
    }  # fmt: skip
    errors = [[column.expected_tvd for column in outlook.columns] for outlook in stays]
    assert all(few > more for few, more in zip(errors[0], errors[2], strict=True))
    assert "stays: at 3,000 rows 8 of 8 columns would be resolved" in plan._repr_html_()
    assert "tables=('patients', 'stays', 'tests')" in repr(plan)


def test_the_plan_reads_no_row(tmp_path):
    for name, frame in clinic(5).items():
        (tmp_path / f"{name}.csv").write_text(",".join(frame.columns) + "\n" + "\x00broken\n")
    few = privsynth.plan(tmp_path, schema=SPEC, epsilon=1, expect_rows=50)
    frames = {name: pd.DataFrame(columns=frame.columns, dtype=str) for name, frame in clinic(5).items()}
    assert privsynth.plan(frames, schema=SPEC, epsilon=1, expect_rows=50).tables == few.tables
    assert few.persons == (50,)


def test_the_command_says_what_each_table_costs_and_resolves(tmp_path):
    for name, frame in clinic(5).items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(SPEC))
    arguments = ["plan", str(tmp_path), "--schema", str(tmp_path / "schema.yaml"), "--epsilon", "0.01"]
    run = CliRunner().invoke(main, arguments, env={"COLUMNS": "120"})
    assert run.exit_code == 0, run.output
    assert "add or remove one row of patients with all rows" in run.output
    assert "lost in noise" in run.output
    told = json.loads(CliRunner().invoke(main, [*arguments, "--json", "--expect-rows", "70"]).stdout)
    assert told["persons"] == [70]
    assert told["parts"][0]["name"] == "patients/rows"

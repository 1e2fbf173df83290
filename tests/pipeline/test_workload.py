"""What a release takes to compute, by a plan."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from privsynth.cli import main
from privsynth.errors import ConfigError
from privsynth.pipeline.usability.workload import duration, size, workload


def test_workers_share_what_is_counted_and_nothing_else():
    one = workload(10**8, 20, "processes:1", draws_rows=True)
    ten = workload(10**8, 20, "processes:10", draws_rows=True)
    assert one.cpu_s == ten.cpu_s == pytest.approx(one.wall_s)
    assert one.cpu_s / 10 < ten.wall_s < one.cpu_s / 4
    assert replace(one, wall_s=0.0, workers=0) == replace(ten, wall_s=0.0, workers=0, limit=one.limit)


def test_memory_of_workers_does_not_grow_and_that_of_the_driver_only_where_rows_are_drawn():
    small, large = (workload(rows, 20, "processes:4", draws_rows=False) for rows in (10**6, 10**10))
    assert (small.worker_mib, small.driver_mib) == (large.worker_mib, large.driver_mib)
    assert workload(10**10, 20, "processes:4", draws_rows=True).driver_mib > 10 * large.driver_mib


def test_what_is_met_first_is_said():
    assert workload(10**6, 20, "processes:4", draws_rows=True).limit == ""
    assert "memory" in workload(10**10, 20, "processes:4", draws_rows=True).limit
    assert "more workers" in workload(10**8, 5, "processes:1000", draws_rows=True).limit


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("abacus:4", "no executor 'abacus'"),
        ("processes:many", "say how many workers"),
        ("processes:0", "say how many workers"),
        ("inline:3x", "say how many workers"),
    ],
)
def test_a_plan_for_no_workers_is_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        workload(10**6, 5, asked, draws_rows=False)


def test_money_follows_the_rate():
    assert workload(10**8, 20, "inline", draws_rows=False).money is None
    priced = workload(10**8, 20, "inline", draws_rows=False, rate=3.6)
    assert priced.money == pytest.approx(priced.cpu_s / 1000)


def test_amounts_are_said_as_a_person_would():
    times = [duration(s) for s in (59.0, 119.0, 150.0, 7_200.0, 200_000.0)]
    assert times == ["59 s", "119 s", "2.5 min", "2.0 hours", "2.3 days"]
    assert [size(n) for n in (999, 1_500, 285e9, 3e15)] == ["999 B", "1.5 kB", "285 GB", "3,000 TB"]


def test_plan_says_it_for_a_guess_alone(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("age,ward\n1,a\n")
    asked = ["plan", str(table), "--unit", "row", "--epsilon", "1"]
    run = CliRunner().invoke(main, [*asked, "--rows", "1e9", "--executor", "processes:16", "--rate", "0.1"])
    assert run.exit_code == 0, run.output
    assert "16 workers of 'processes'" in run.output
    assert "at that rate" in run.output
    said = json.loads(CliRunner().invoke(main, [*asked, "--rows", "1e9", "--json"]).stdout)
    assert said["workload"]["rows"] == 10**9
    assert json.loads(CliRunner().invoke(main, [*asked, "--json"]).stdout)["workload"] is None
    wrong = CliRunner().invoke(main, [*asked, "--rows", "1.5"])
    assert wrong.exit_code == 2
    assert "not a whole number" in wrong.output

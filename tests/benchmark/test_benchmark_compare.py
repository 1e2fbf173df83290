"""`experiments/compare.py`: results of runs, and the pages that are written from them."""

from __future__ import annotations

import json

import pytest
from benchmark.invented import a_document, a_run
from benchmark.test_benchmark_scripts import EXPERIMENTS, script

from privsynth.benchmark.results import load_runs

PEER = "MST (smartnoise)"


@pytest.fixture
def compare():
    return script("compare.py")


def figures(acc2, tstr, c2st):
    return {"acc1": 0.95, "acc2": acc2, "acc3": 0.8, "tstr:back": tstr, "c2st": c2st}


@pytest.fixture
def document():
    """Return a benchmark in which a peer is ahead in usefulness, and level in `acc2`."""
    return a_document(
        a_run("marginal", seed=1, figures=figures(0.90, 0.70, 0.60), fit_cpu_s=2.0),
        a_run("marginal", seed=2, figures=figures(0.92, 0.72, 0.60), fit_cpu_s=4.0),
        a_run(PEER, seed=1, origin="elsewhere", figures=figures(0.911, 0.80, 0.90), fit_s=60.0),
        a_run("AIM (dpmm)", seed=1, origin="elsewhere", status="failed", reason="too slow", figures={}, fit_s=None),
    )


def test_the_line_of_a_table_holds_the_better_in_bold(compare, document, tmp_path):
    compare.take("one", document, tmp_path)
    (table,) = compare.read(tmp_path)
    line = compare.at_one([table]).splitlines()[2]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "one"
    assert cells[3:5] == ["0.910 ± 0.014", "0.911 MST-s"]
    assert cells[6:8] == ["0.710 ± 0.014", "**0.800** MST-s"]
    assert cells[8:10] == ["**0.600 ± 0.000**", "0.900 MST-s"]
    assert cells[10:] == ["3.0", "60–60"]


def test_whatever_another_is_ahead_in_is_listed(compare, document, tmp_path):
    compare.take("one", document, tmp_path)
    tables = compare.read(tmp_path)
    lines = compare.behind(tables).splitlines()[2:]
    assert len(lines) == 1
    assert lines[0].startswith("| one | 1 | tstr:back |")
    assert lines[0].endswith("| – | 0.800 MST-s |")
    assert "| MST (smartnoise) | 1 | 1 | 0 of 1 | 0 of 1 | 0 of 1, behind in 1 | 1 of 1 | 20 |" in compare.over_epsilon(
        tables
    )
    assert "| AIM (dpmm) | 1 | 0 | too slow |" in compare.details(tables)


def test_results_are_taken_twice_without_harm_and_a_run_takes_the_place_of_what_was_quoted(compare, document, tmp_path):
    (tmp_path / "one.json").write_text(
        json.dumps(
            {
                "runs": [
                    {"generator": PEER, "private": True, "epsilon": 1.0, "figures": {"acc2": 0.1}, "judge": "another"},
                    {"generator": PEER, "private": True, "epsilon": 3.0, "figures": {"acc2": 0.2}, "judge": "another"},
                ]
            }
        )
    )
    compare.take("one", document, tmp_path)
    before = {path: path.read_text() for path in tmp_path.rglob("*.json")}
    compare.take("one", document, tmp_path)
    assert before == {path: path.read_text() for path in tmp_path.rglob("*.json")}
    runs = load_runs(tmp_path / "one.json")
    assert [(run.generator, run.epsilon, run.judge) for run in runs if run.status == "done"] == [
        (PEER, 3.0, "another"),
        (PEER, 1.0, "privsynth"),
    ]
    assert load_runs(tmp_path / "ours" / "one.json")[0].fit_cpu_s == 2.0


def test_a_code_book_adds_a_line_that_is_set_beside_the_same_others(compare, document, tmp_path):
    compare.take("one", document, tmp_path)
    told = document.model_copy(update={"runs": (a_run("marginal", figures=figures(0.95, 0.9, 0.5)),)})
    compare.take("one-declared", told, tmp_path)
    tables = compare.read(tmp_path)
    line = compare.at_one(tables).splitlines()[3]
    assert line.startswith("| · declared |  |")
    assert "**0.950** | 0.911 MST-s" in line
    assert "| 0.710 ± 0.014 | 0.900 | 0.800 MST-s |" in compare.behind(tables)


def test_linked_tables_have_results_and_a_part_of_their_own(compare, tmp_path):
    found = {"count": 0.9, "within": 0.8, "c2st": 0.7, "keys": 1.0}
    late = {"status": "failed", "reason": "it was stopped after 15 minutes", "figures": {}, "fit_s": None}
    made = a_document(a_run(figures=found, fit_cpu_s=2.0), a_run("sdv:hma", None, **late), ceiling=found)
    assert made.table is not None
    persons = {"tables": ("users", "purchases"), "train_rows": 3_000, "train_persons": 1_000, "holdout_persons": 250}
    compare.take("shop", made.model_copy(update={"table": made.table.model_copy(update=persons)}), tmp_path)
    assert compare.read(tmp_path) == []
    page = compare.linked(compare.read(tmp_path, "linked"))
    assert "1,000 persons with 2,000 rows below them" in page
    assert "| real persons |  |  | 0.900 | 0.800 | 1.000 | 0.700 |  |" in page
    assert "| **`marginal`** | 1 | 1 | 0.900 | 0.800 | 1.000 | 0.700 | 2.0 |" in page
    assert "| `sdv:hma` | not private | 0 | it was stopped after 15 minutes |" in page


def test_a_page_without_a_place_for_a_part_is_refused(compare):
    assert compare.filled("a\n<!-- x -->\nold\n<!-- end -->\nb", {"x": "new"}) == (
        "a\n<!-- x -->\n\nnew\n<!-- end -->\nb"
    )
    with pytest.raises(SystemExit, match="no place"):
        compare.filled("nothing", {"x": "new"})


def test_the_pages_hold_what_the_results_say(compare):
    tables = compare.read(compare.RESULTS)
    page = (compare.DOCS / "benchmark.md").read_text(encoding="utf-8")
    linked = {"linked": compare.linked(compare.read(compare.RESULTS, "linked"))}
    assert page == compare.filled(page, compare.parts(tables) | linked), "run experiments/compare.py"
    written = (compare.DOCS / "benchmark-tables.md").read_text(encoding="utf-8")
    assert written == compare.details(tables), "run experiments/compare.py"
    assert EXPERIMENTS == compare.HERE

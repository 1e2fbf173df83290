"""Tables that must work: tiny, empty, wide, dirty, and written as people in other places write them."""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import FAST, RELEASED, left_in_workspace, run, spent, write

from privsynth.pipeline.writing.report_records import _line_profile


@pytest.fixture
def release(tmp_path):
    """Return a function that makes a release of CSV text and gives (synthetic rows as text, officer's run.json)."""

    def go(table, declared=None, *args, epsilon=5, undecodable=False):
        source = write(tmp_path, "table.csv", table)
        given = ("--schema", write(tmp_path, "schema.yaml", declared)) if declared else ()
        out = tmp_path / "out"
        unit = () if declared and "unit" in declared else ("--unit", "row")
        made = run(
            "synthesize", source, *given, *unit, "--epsilon", epsilon, "--out", out, "--format", "csv", *FAST, *args
        )
        assert made.exit_code in RELEASED, made.output
        said = [line for line in made.stderr.splitlines() if not line.endswith(" so far")]  # heard on slow machines
        assert all(line.startswith("Not everything was read") for line in said)
        assert bool(said) == undecodable
        assert spent() == {"table": epsilon}
        assert left_in_workspace() == set()
        delimiter = ";" if ";" in str(table).partition("\n")[0] else ","  # as in the source
        rows = pd.read_csv(out / "public" / "data.csv", dtype=str, keep_default_na=False, sep=delimiter)
        assert len(rows) > 0
        return rows, json.loads((out / "officer" / "run.json").read_text())

    return go


def test_one_row(release):
    rows, _ = release("age,ward\n41,Quillfeather\n")
    assert list(rows) == ["age", "ward"]
    assert "Quillfeather" not in set(rows["ward"])


def test_a_header_alone_is_released_like_any_table(release):
    """Whether a folder appears would tell if there is anybody at all, and could be asked again and again."""
    rows, _ = release("age,ward\n")
    assert list(rows) == ["age", "ward"]


def test_json_lines_without_objects_are_released_like_any_table(tmp_path):
    for number, content in enumerate(("", "[1]\n")):
        source = write(tmp_path, f"t{number}.jsonl", content)
        args = (
            "--columns",
            "age",
            "--unit",
            "row",
            "--epsilon",
            2,
            "--dataset",
            "t",
            "--out",
            tmp_path / f"out{number}",
        )
        made = run("synthesize", source, *args, *FAST)
        assert made.exit_code in RELEASED, made.output


def test_columns_of_which_nothing_is_known_are_named(tmp_path):
    """Far too few rows: what comes out is arbitrary, and everybody who looks is told."""
    rows = "".join(f"{i * 1_000},w{i},{i % 2}\n" for i in range(20))
    source = write(tmp_path, "table.csv", "pay,ward,sex\n" + rows)
    declared = {"unit": "row", "columns": {"pay": {"kind": "integer"}, "sex": {"kind": "boolean"}}}
    schema = write(tmp_path, "schema.yaml", declared)
    made = run("synthesize", source, "--schema", schema, "--epsilon", 1, "--out", tmp_path / "out", *FAST)
    assert made.exit_code in RELEASED, made.output
    assert re.search(r"not resolved     (pay, )?ward(, sex)?\n", made.stdout)  # noise may show one number, or hide sex
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    treatment = {column["name"]: column["treatment"] for column in report["columns"]}
    assert treatment["ward"].endswith("declare its categories, or kind: id")
    assert treatment["sex"] == "modelled"


def test_one_column(release):
    declared = {"columns": {"ward": {"kind": "categorical", "categories": ["ICU", "ER"], "nullable": False}}}
    rows, _ = release("ward\n" + "ICU\n" * 300, declared)
    assert (rows["ward"] == "ICU").mean() > 0.9


@pytest.mark.parametrize("epsilon", [1e-3, 2e-4])
def test_noise_that_drowns_everything_ends_no_run_that_has_paid(release, epsilon):
    """Sums of weights, in steps of a row, would need more noise than can be drawn in such steps."""
    rng = np.random.default_rng(0)
    columns = {"who": np.arange(1_200) // 3} | {f"c{i}": rng.integers(0, 40, 1_200) for i in range(20)}
    declared = {"unit": "who", "max_rows_per_unit": 3}
    text = pd.DataFrame(columns).to_csv(index=False)
    rows, run_json = release(text, declared, "--rows", "40", "--generator", "marginal", epsilon=epsilon)
    assert rows.shape == (40, 21)
    parts = {spend["part"] for spend in run_json["bill"]}
    assert {"rows", "votes", "domain", "one_way", "selection", "report"} <= parts


def test_a_budget_that_cannot_tell_the_number_of_rows_is_refused_before_it_is_spent(tmp_path):
    source = write(tmp_path, "table.csv", "who,age\n" + "".join(f"{i},{i % 90}\n" for i in range(60)))
    args = ("--unit", "who", "--max-rows-per-unit", 90_000, "--epsilon", "1e-4")
    for command in (("synthesize", source, "--out", tmp_path / "out", *FAST), ("plan", source)):
        refused = run(*command, *args)
        assert refused.exit_code == 2
        assert "larger epsilon" in refused.stderr
    assert spent() == {}
    assert not (tmp_path / "out").exists()


def test_a_column_of_nulls(release):
    rows, _ = release("ward,empty\n" + "ICU,\nER,\n" * 200)
    assert (rows["empty"] == "").mean() > 0.9
    assert rows["ward"].isin(["ICU", "ER"]).mean() > 0.9


@pytest.mark.parametrize("extra", [{}, {"columns": {"ward": {"kind": "categorical", "categories": ["ICU", "ER"]}}}])
def test_no_row_has_a_unit(release, extra):
    rows, run_json = release("patient,ward\n" + ",ICU\n" * 100, {"unit": "patient", "max_rows_per_unit": 3, **extra})
    assert "ward" in rows
    assert run_json["pool"]["rows_not_used"] == 100


def test_a_table_of_one_id_column_and_a_dropped_text(release):
    declared = {"columns": {"patient": {"kind": "id"}, "note": {"kind": "text"}}}
    rows, _ = release("patient,note\n" + "".join(f"p{i},hello {i}\n" for i in range(100)), declared)
    assert list(rows) == ["patient"]
    assert rows["patient"].is_unique
    assert not set(rows["patient"]) & {f"p{i}" for i in range(100)}


@pytest.mark.slow
def test_three_thousand_declared_categories(release):
    names = [f"code-{i:04d}" for i in range(3_000)]
    declared = {"columns": {"code": {"kind": "categorical", "categories": names}, "flag": {"kind": "boolean"}}}
    text = "code,flag\n" + "".join(f"code-{i % 7:04d},{'true' if i % 2 else 'false'}\n" for i in range(600))
    rows, _ = release(text, declared, epsilon=1)
    assert set(rows["code"]) <= {*names, ""}
    assert set(rows["flag"]) <= {"true", "false", ""}


def wide(n_columns: int, n_rows: int) -> str:
    rng = np.random.default_rng(3)
    cells = rng.integers(0, 4, (n_rows, n_columns))
    head = ",".join(f"c{i}" for i in range(n_columns))
    return head + "\n" + "\n".join(",".join(f"v{x}" for x in row) for row in cells) + "\n"


def test_sixty_columns(release):
    rows, _ = release(wide(60, 200), epsilon=1)
    assert list(rows) == [f"c{i}" for i in range(60)]


@pytest.mark.slow
@pytest.mark.timeout(300)  # the promise: a wide table ends within five minutes
def test_four_hundred_columns(release, capsys):
    begun = time.monotonic()
    rows, _ = release(wide(400, 500))
    with capsys.disabled():
        print(f" 400 columns: {time.monotonic() - begun:.0f} s", end=" ")
    assert len(rows.columns) == 400


DIRTY = {
    "columns": {
        "age": {"kind": "integer", "minimum": 0, "maximum": 120},
        "weight": {"kind": "numeric", "minimum": 0, "maximum": 300, "precision": 0.1},
        "admitted": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
        "ward": {"kind": "categorical", "categories": ["ICU", "ER"]},
    }
}


def test_bad_cells_everywhere_never_stop_a_run_and_never_come_out(release):
    bad = [
        "unknown,inf,2024-02-30,Quillfeather",
        "nan,-inf,99999-01-01,ICU",
        "1e400,1e308,0001-01-01,ER",
        "-5,1.2.3,2024-13-01T99:99,ICU",
        "40,70.5",
        "40,70.5,2024-05-05,ER,more,and more",
        "4\x000,7\x000,2024\x00,I\x00CU",
        "٤٠,7e1,5 May 2024,icu",
        "99999999999999999999999999,0x10,9999-12-31,ER",
        '"40,70.5,2024-05-05,ICU',
    ]
    good = [f"{20 + i % 60},{50 + i % 40}.5,2024-{1 + i % 12:02d}-15,{('ICU', 'ER')[i % 2]}" for i in range(300)]
    lines = ["age,weight,admitted,ward", *good, *bad * 5, *good]
    table = "\n".join(lines).encode() + b"\n40,70.5,2024-05-05,\xff\xfe\xfa\n" * 5
    rows, run_json = release(table, DIRTY, undecodable=True)
    age, weight = (pd.to_numeric(rows[name].replace("", None)).dropna() for name in ("age", "weight"))
    assert age.between(0, 120).all()
    assert weight.between(0, 300).all()
    assert rows["admitted"].str.fullmatch(r"(2024-\d\d-\d\d)?").all()
    assert set(rows["ward"]) <= {"ICU", "ER", "", "OTHER"}
    assert len(age) > 300
    assert {key: n for key, n in run_json["skipped"].items() if n}  # counted, for the officer


def test_the_same_bad_cells_with_nothing_declared(release):
    cells = ("", "NULL", "inf", "-", "#DIV/0!", "2024-02-30", "1e999", "\x07", "=1+1", "<script>", "N/A", "éàü", "💉")
    table = "a,b,c\n" + "".join(f"{cells[i % 13]},{cells[i * 5 % 13]},{cells[i * 7 % 13]}\n" for i in range(400))
    rows, _ = release(table)
    assert list(rows) == ["a", "b", "c"]


def test_decimal_commas_between_semicolons(release):
    text = "lab;value\n" + "".join(f"A;{i % 50},{i % 10}\n" for i in range(500))
    declared = {"columns": {"value": {"kind": "numeric", "decimal": ",", "minimum": 0, "maximum": 50}}}
    rows, _ = release(text, declared)
    assert list(rows) == ["lab", "value"]
    value = pd.to_numeric(rows["value"].replace("", None).str.replace(",", ".")).dropna()  # as it came in
    assert len(value) > 400
    assert value.between(0, 50).all()
    assert 20 < value.mean() < 30


def test_decimal_commas_are_recognised_when_nothing_is_declared(release):
    rows, _ = release("lab;value\n" + "".join(f"A;{i % 50},{i % 10}\n" for i in range(2_000)))
    value = pd.to_numeric(rows["value"].replace("", None).str.replace(",", ".")).dropna()  # as it came in
    assert len(value) > 1_500
    assert 20 < value.median() < 30  # without bounds a noisy count far away may place a row there
    assert value.between(0, 50).mean() > 0.9


def test_codes_keep_their_leading_zeros(release):
    rows, _ = release("zip,n\n" + "".join(f"{('00123', '07', '90210')[i % 3]},{i % 5}\n" for i in range(900)))
    assert set(rows["zip"]) <= {"00123", "07", "90210", "OTHER", ""}
    assert rows["zip"].isin(["00123", "07"]).mean() > 0.5


def test_a_line_break_inside_quotes_is_one_cell(release):
    rows, _ = release("ward,n\n" + '"ward\n7, east",1\n"plain ""A""",2\n' * 400)
    assert {"ward\n7, east", 'plain "A"'} <= set(rows["ward"])
    assert set(rows["ward"]) <= {"ward\n7, east", 'plain "A"', "OTHER", ""}


def test_european_dates(release):
    declared = {"columns": {"born": {"kind": "date", "format": "%d.%m.%Y"}}}
    text = "born\n" + "".join(f"{1 + i % 28:02d}.{1 + i % 12:02d}.{1950 + i % 50}\n" for i in range(2_000))
    rows, _ = release(text, declared)
    known = rows["born"][rows["born"] != ""]
    assert len(known) > 1_500
    assert known.str.fullmatch(r"\d{2}\.\d{2}\.\d{1,4}").all()
    years = known.str.rsplit(".").str[-1].astype(int)
    # No bounds are declared: of eighty such lines noise lets one reach far out, with a few rows.
    assert years.between(1940, 2010).mean() > 0.95
    assert 1965 < years[years.between(1940, 2010)].mean() < 1985


def test_booleans_in_their_declared_spelling(release):
    spelt = {"kind": "boolean", "true_values": ["ja", "j"], "false_values": ["nein"], "nullable": False}
    table = "smoker\n" + "ja\nj\nnein\nnein\nnein\nnein\nvielleicht\n" * 100
    rows, _ = release(table, {"columns": {"smoker": spelt}})
    assert set(rows["smoker"]) == {"ja", "nein"}
    assert 0.2 < (rows["smoker"] == "ja").mean() < 0.5


def test_not_nullable_columns_have_no_nulls(release):
    table = "age,ward,day\n" + "40,ICU,2024-05-05\n,,\n" * 200
    declared = {
        "columns": {
            "age": {"kind": "integer", "minimum": 0, "maximum": 99, "nullable": False},
            "ward": {"kind": "categorical", "categories": ["ICU", "ER"], "nullable": False},
            "day": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31", "nullable": False},
        }
    }
    rows, _ = release(table, declared)
    assert not (rows == "").any().any()


def test_names_that_are_hard_to_write(release):
    names = ["a b", "ünïcode", "=cmd", "<script>alert(1)</script>", "x" * 150, "{{ 7*7 }}", "select", "None"]
    table = ",".join(names) + "\n" + ("ICU," * 7 + "ER\n") * 200
    rows, _ = release(table)
    assert list(rows) == names


@pytest.mark.parametrize("value", [pd.Timestamp("2024-02-29 12:00"), pd.Timestamp("2200-01-01"), 1e12 + 0.5, 0.0, -7.5])
def test_a_column_of_one_value_has_a_picture(value):
    profile = _line_profile("x", pd.Series([value] * 3), isinstance(value, pd.Timestamp))
    assert sum(profile.counts) == 3

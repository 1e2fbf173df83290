"""`privsynth impute`: gaps are filled, and nothing else is touched."""

from __future__ import annotations

import csv
import io
import json
import stat

import numpy as np
import pandas as pd
import pytest
from pipeline.admissions import FAST, NEEDLE, RELEASED, left_in_workspace, run, schema, spent, write

import privsynth
import privsynth.release.impute as impute_module

COLUMNS = {
    "patient": {"kind": "id"},
    "ward": {"kind": "categorical", "categories": ["ICU", "ER", "surgery"], "nullable": False},
    "age": {"kind": "integer", "minimum": 0, "maximum": 120},
    "crp": {"kind": "numeric", "precision": 0.1, "minimum": 0, "maximum": 99},
    "urgent": {"kind": "boolean", "nullable": False},
    "admitted": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
    "discharged": {"kind": "date", "minimum": "2024-01-01", "maximum": "2025-03-31"},
    "stay": {"kind": "integer"},
    "note": {"kind": "text"},
}
RULES = ["discharged >= admitted", "stay = discharged - admitted", "ward = ICU => urgent = true"]


def hospital(n: int = 400, seed: int = 0) -> list[dict[str, str]]:
    """Return complete rows in which the ward says much of the age, and every rule holds."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        ward = int(rng.integers(3))
        admitted = np.datetime64("2024-01-01") + int(rng.integers(0, 350))
        stay = int(rng.integers(0, 9))
        rows.append(
            {
                "patient": f"p{i // 2}",
                "ward": ("ICU", "ER", "surgery")[ward],
                "age": str(20 + 25 * ward + int(rng.integers(0, 9))),
                "crp": f"{rng.gamma(2, 5):.1f}",
                "urgent": "true" if ward == 0 or rng.random() < 0.3 else "false",
                "admitted": str(admitted),
                "discharged": str(admitted + stay),
                "stay": str(stay),
                "note": f"{NEEDLE} {i}",
            }
        )
    return rows


def holed(rows: list[dict[str, str]], share: float = 0.25, seed: int = 1) -> list[dict[str, str]]:
    """Return the rows with cells emptied at random; identifiers and notes as well."""
    rng = np.random.default_rng(seed)
    return [{k: (("", "NA")[rng.integers(2)] if rng.random() < share else v) for k, v in row.items()} for row in rows]


def text_of(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return the folder of one release, made once for this file."""
    folder = tmp_path_factory.mktemp("released")
    declared = write(folder, "s.yaml", schema(columns=COLUMNS, rules=RULES))
    table = write(folder, "admissions.csv", text_of(hospital()))
    made = run(
        *("synthesize", table, "--schema", declared, "--epsilon", 10, "--out", folder / "out", *FAST),
        env={"PRIVSYNTH_HOME": str(folder / "home")},
    )
    assert made.exit_code in RELEASED, made.output
    return folder / "out"


def test_gaps_are_filled_and_known_cells_keep_their_bytes(released, tmp_path):
    before = holed(hospital(300, seed=7))
    source = write(tmp_path, "gaps.csv", text_of(before))
    made = run("impute", released, "--input", source, "--out", tmp_path / "full.csv", "--seed", 1, "--mark")
    assert made.exit_code == 0, made.output
    assert "as sensitive as the input" in made.stdout
    assert NEEDLE not in made.output
    after = read(tmp_path / "full.csv")
    gap = ("", "NA")
    for old, new in zip(before, after, strict=True):
        filled = {name for name in old if old[name] in gap and new[name] not in gap}
        assert filled == {name for name in old if old[name] in gap} - {"patient", "note"}
        assert all(new[name] == old[name] for name in old if name not in filled)
        assert set(filter(None, new["filled_columns"].split(";"))) == filled
    frame = pd.DataFrame(after)
    assert set(frame["ward"]) == {"ICU", "ER", "surgery"}
    assert set(frame["urgent"]) == {"true", "false"}
    assert frame["age"].str.fullmatch(r"\d+").all()
    assert frame["crp"].str.fullmatch(r"\d+\.\d").all()
    admitted, discharged = pd.to_datetime(frame["admitted"]), pd.to_datetime(frame["discharged"])
    assert ((discharged - admitted).dt.days == frame["stay"].astype(int)).all()
    assert (frame["urgent"][frame["ward"] == "ICU"] == "true").all()
    assert stat.S_IMODE((tmp_path / "full.csv").stat().st_mode) == 0o600
    label = json.loads((tmp_path / "full.csv.label.json").read_text())
    assert label["imputed"] is True
    assert label["synthetic"] is False
    assert "as sensitive as the input" in label["warning"]
    assert spent() == {}
    assert left_in_workspace() == set()


def test_what_is_filled_in_follows_what_is_known(released, tmp_path):
    """Wards lie 25 years apart: an age that is filled in must know the ward, and the other way round."""
    rows = hospital(400, seed=9)
    before = [row | ({"age": ""} if i % 2 else {"ward": ""}) for i, row in enumerate(rows)]
    source = write(tmp_path, "gaps.csv", text_of(before))
    assert run("impute", released, "--input", source, "--out", tmp_path / "f.csv", "--seed", 2).exit_code == 0
    after = read(tmp_path / "f.csv")
    near = [abs(int(new["age"]) - int(old["age"])) < 15 for old, new in zip(rows[1::2], after[1::2], strict=True)]
    same = [old["ward"] == new["ward"] for old, new in zip(rows[::2], after[::2], strict=True)]
    assert np.mean(near) > 0.6  # by chance 0.33
    assert np.mean(same) > 0.6


def test_a_difference_and_one_part_give_the_other(released, tmp_path):
    rows = hospital(60, seed=3)
    before = [row | [{"admitted": ""}, {"discharged": ""}, {"stay": ""}][i % 3] for i, row in enumerate(rows)]
    source = write(tmp_path, "gaps.csv", text_of(before))
    assert run("impute", released, "--input", source, "--out", tmp_path / "f.csv").exit_code == 0
    assert read(tmp_path / "f.csv") == rows


def test_a_base_below_a_known_value_is_drawn_below_it(released, tmp_path):
    rows = [{k: v for k, v in row.items() if k != "stay"} | {"admitted": ""} for row in hospital(200, seed=4)]
    source = write(tmp_path, "gaps.csv", text_of(rows))
    assert run("impute", released, "--input", source, "--out", tmp_path / "f.csv", "--seed", 3).exit_code == 0
    frame = pd.DataFrame(read(tmp_path / "f.csv"))
    stay = (pd.to_datetime(frame["discharged"]) - pd.to_datetime(frame["admitted"])).dt.days
    assert (frame["discharged"] == [row["discharged"] for row in rows]).all()
    assert (stay >= 0).all()
    assert stay.median() <= 15  # stays are at most eight days; a base from anywhere would be months away
    assert stay.nunique() > 1


def test_the_table_keeps_its_own_spellings_and_columns(released, tmp_path):
    rows = [
        {
            "extra": f"x;{i}", "urgent": ("Yes", "No", "")[i % 3], "crp": ("1,5", "22,0", "")[(i + 1) % 3],
            "admitted": ("05/01/2024", "17/08/2024", "")[(i + 2) % 3], "ward": ("hospice", "ER", "NA")[i % 3],
            "age": ("40", "unknown", "")[i % 3],
        }
        for i in range(60)
    ]  # fmt: skip
    source = write(tmp_path, "g.csv", text_of(rows, ";"))
    made = run("impute", released, "--input", source, "--out", tmp_path / "f.csv", "--seed", 1, "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["filled"] == {"ward": 20, "age": 40, "crp": 20, "urgent": 20, "admitted": 20}
    assert told["stray"] == 20
    after = pd.DataFrame(read(tmp_path / "f.csv", ";"))
    assert list(after) == list(rows[0])
    assert after["extra"].tolist() == [row["extra"] for row in rows]
    assert set(after["urgent"]) == {"Yes", "No"}
    assert after["crp"].str.fullmatch(r"\d+,\d").all()
    assert after["admitted"].str.fullmatch(r"\d\d/\d\d/2024").all()
    assert (after["ward"] == "hospice").sum() == 20  # not known to the model, and still nobody else's to change
    assert "unknown" not in set(after["age"])


def test_draws_differ_and_seeds_repeat(released, tmp_path):
    source = write(tmp_path, "g.csv", text_of(holed(hospital(50))))
    run("impute", released, "--input", source, "--out", tmp_path / "a.csv", "--draws", 3, "--seed", 4)
    texts = [(tmp_path / f"a-{draw}.csv").read_bytes() for draw in (1, 2, 3)]
    assert len(set(texts)) == 3
    assert not (tmp_path / "a.csv").exists()
    assert (tmp_path / "a-2.csv.label.json").exists()
    run("impute", released, "--input", source, "--out", tmp_path / "b.csv", "--seed", 4)
    assert (tmp_path / "b.csv").read_bytes() == texts[0]


def test_types_of_a_parquet_file_stay(released, tmp_path, monkeypatch):
    monkeypatch.setattr(impute_module, "CHUNK_ROWS", 7)
    frame = pd.DataFrame(
        {
            "age": pd.array([30, None, 55] * 8, dtype="Int64"),
            "crp": [1.5, np.nan, 3.25] * 8,
            "urgent": pd.array([True, None, False] * 8, dtype="boolean"),
            "admitted": pd.to_datetime(["2024-05-01", None, "2024-06-01"] * 8),
            "untouched": [None, 1.0, 2.0] * 8,
        }
    )
    frame.to_parquet(tmp_path / "g.parquet")
    made = privsynth.impute(released, tmp_path / "g.parquet", out=tmp_path / "f.parquet", seed=1)
    after = pd.read_parquet(tmp_path / "f.parquet")
    assert made.counts.filled == {"age": 8, "crp": 8, "urgent": 8, "admitted": 8}
    assert after["untouched"].isna().sum() == 8
    known = frame.notna()
    for name in frame:
        assert after[name].notna().all() or name == "untouched"
        kept = after[name][known[name]].tolist()
        assert kept == frame[name][known[name]].tolist()
    assert after["crp"][2] == 3.25  # finer than the model's grid, and kept
    assert str(after["age"].dtype).lower() == "int64"
    assert len(set(after["age"][1::3])) > 1  # parts have randomness of their own


def test_rows_that_cannot_keep_a_rule_are_counted_and_not_changed(released, tmp_path):
    rows = [
        {"ward": "ICU", "urgent": "false", "age": "", "admitted": "2024-03-05", "discharged": "2024-03-01"},
        {"ward": "", "urgent": "false", "age": "30", "admitted": "2024-03-05", "discharged": ""},
    ]
    source = write(tmp_path, "g.csv", text_of(rows))
    made = run("impute", released, "--input", source, "--out", tmp_path / "f.csv", "--seed", 1, "--json")
    told = json.loads(made.stdout)
    assert (told["broken"], told["unmet"], told["left"]) == (1, 0, 0)
    after = read(tmp_path / "f.csv")
    assert {k: v for k, v in after[0].items() if k != "age"} == {k: v for k, v in rows[0].items() if k != "age"}
    assert after[0]["age"]
    assert after[1]["ward"] in ("ER", "surgery")
    assert after[1]["discharged"] >= "2024-03-05"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--out", "there.csv"), "exists already"),
        (("--out", "no/such/f.csv"), "no folder"),
        (("--out", "f.xlsx"), "suffix"),
        (("--out", "f.csv", "--draws", "0"), "draws"),
        (("--out", "f.csv", "--seed", "-1"), "seed"),
        (("--out", "f.csv", "--columns", "note"), "no column of the model"),
    ],
)
def test_impute_refuses_and_leaves_nothing(released, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "there.csv", "kept")
    source = write(tmp_path, "g.csv", text_of(holed(hospital(20))))
    result = run("impute", released, "--input", source, *args)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert NEEDLE not in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"there.csv", "g.csv"}
    assert (tmp_path / "there.csv").read_text() == "kept"
    assert left_in_workspace() == set()


def test_no_model_no_table(released, tmp_path):
    source = write(tmp_path, "g.csv", "ward\nER\n")
    assert "no model" in run("impute", tmp_path, "--input", source, "--out", tmp_path / "f.csv").stderr
    nothing = run("impute", released, "--input", tmp_path / "nowhere.csv", "--out", tmp_path / "f.csv")
    assert nothing.exit_code == 2
    assert not (tmp_path / "f.csv").exists()

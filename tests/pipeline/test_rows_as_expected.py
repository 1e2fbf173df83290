"""A table of synthetic rows is written like its source: types, time zones, delimiters, signs and formats, keys."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline.admissions import FAST, RELEASED, run, spent, write

from privsynth import Release

N = 1_500


def columns(rng: np.random.Generator) -> dict[str, pa.Array]:
    """Return a column of every type that is kept; `seen` and `score` have nulls."""
    day = dt.date(2024, 1, 1)
    minutes = rng.integers(0, 300_000, N) * 60_000_000 + 1_704_067_200_000_000
    null = rng.random(N) < 0.3
    return {
        "person": pa.array(rng.integers(1, 10**6, N), pa.int32()),
        "again": pa.array(rng.random(N) < 0.2),
        "seen": pa.array(rng.random(N) < 0.5, mask=null),
        "day": pa.array([day + dt.timedelta(int(x)) for x in rng.integers(0, 300, N)]),
        "at": pa.array(minutes).cast(pa.timestamp("us", tz="Europe/Berlin")),
        "age": pa.array(rng.integers(0, 90, N), pa.int16()),
        "score": pa.array(rng.integers(0, 9, N), pa.int64(), mask=null),
        "price": pa.array([Decimal(int(x)) / 100 for x in rng.integers(0, 9_000, N)], pa.decimal128(10, 2)),
        "took": pa.array(rng.integers(0, 3_600, N) * 10**6, pa.duration("us")),
        "ratio": pa.array(np.round(rng.normal(size=N), 1), pa.float32()),
        "ward": pa.array(np.array(["A", "B", "C"])[rng.integers(0, 3, N)]).dictionary_encode(),
    }


SCHEMA = {"dataset": "typed", "columns": {"person": {"kind": "id"}}}


@pytest.fixture(scope="module")
def parquet(tmp_path_factory) -> tuple[Path, pa.Table]:
    """Return the public folder of a release of a Parquet file, and the file's table."""
    folder = tmp_path_factory.mktemp("typed")
    table = pa.table(columns(np.random.default_rng(5)))
    pq.write_table(table, folder / "typed.parquet")
    schema = write(folder, "schema.yaml", SCHEMA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVSYNTH_HOME", str(folder / "home"))
        made = run("synthesize", folder / "typed.parquet", "--schema", schema, "--unit", "row", "--epsilon", 5,
                   "--seed", 3, "--out", folder / "out", *FAST)  # fmt: skip
    assert made.exit_code in RELEASED, made.output
    return folder / "out" / "public", table


def test_a_parquet_file_has_the_types_of_its_source(parquet):
    public, table = parquet
    schema = pq.read_schema(public / "data.parquet")
    assert schema.names == table.column_names
    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        assert schema.field(name).type == (kind.value_type if pa.types.is_dictionary(kind) else kind), name
    written = pq.read_table(public / "data.parquet")
    assert {name for name in schema.names if written[name].null_count} == {"seen", "score"}
    assert not schema.field("again").nullable
    assert schema.field("seen").nullable
    assert len(set(written["person"].to_pylist())) == written.num_rows


def test_a_data_frame_has_them_too_and_is_the_file(parquet):
    public, _ = parquet
    release = Release.open(public)
    frame = release.sample(seed=3)
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert kinds == {
        "person": "int32", "again": "bool", "seen": "boolean", "day": "datetime64[s]",
        "at": "datetime64[us, Europe/Berlin]", "age": "int16", "score": "Int64", "price": "object",
        "took": "timedelta64[us]", "ratio": "float32", "ward": "object",
    }  # fmt: skip
    assert 0 < len(frame[frame.again]) < len(frame)
    assert 0 < len(frame[frame.seen]) < len(frame)
    assert isinstance(frame.price[0], Decimal)
    pd.testing.assert_frame_equal(release.data(), frame)


def test_rows_for_a_spreadsheet_say_the_offset_of_their_zone(parquet, tmp_path):
    public, _ = parquet
    made = run("sample", public / "model", "--rows", 400, "--format", "csv", "--out", tmp_path / "more")
    assert made.exit_code == 0, made.output
    texts = pd.read_csv(tmp_path / "more" / "part-00000.csv", dtype=str)
    assert set(texts["again"]) == {"true", "false"}
    assert texts["at"].str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d\+0[12]:00").all()
    summer = texts["at"].str.slice(5, 7).isin(["05", "06", "07"])
    assert (texts["at"][summer].str[-6:] == "+02:00").all()
    assert texts["score"].dropna().str.fullmatch(r"\d+").all()
    assert texts["took"].str.fullmatch(r"\d+").all()


def test_a_data_frame_comes_back_as_it_went_in(tmp_path):
    import privsynth

    kept = pa.table(columns(np.random.default_rng(6))).select(["again", "day", "at", "score", "took"])
    frame = kept.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame["day"] = pd.to_datetime(frame["day"])
    made = privsynth.synthesize(
        frame,
        schema={"dataset": "frame", "columns": {"again": {"kind": "boolean"}}},
        unit="row",
        epsilon=5,
        out=tmp_path / "out",
        audit="none",
        generator="marginal",
    )
    # The unit of times without a zone states nothing: a column of missing ones alone would have another dtype.
    expected = frame.dtypes.to_dict() | {"day": np.dtype("datetime64[s]")}
    assert made.release.sample(300).dtypes.to_dict() == expected
    assert made.release.data().dtypes.to_dict() == expected


GERMAN = {
    "dataset": "deutsch",
    "columns": {
        "Fall": {"kind": "id", "format": "F-{7 digits}"},
        "Arzt": {"kind": "name", "locale": "de_DE"},
        "Mail": {"kind": "email", "locale": "de_DE"},
        "Tag": {"kind": "date", "format": "%d.%m.%Y", "minimum": "2023-01-01", "maximum": "2024-12-31"},
        "Betrag": {"kind": "numeric", "decimal": ",", "precision": 0.01, "minimum": 0, "maximum": 500},
        "Notfall": {"kind": "boolean", "true_values": ["ja"], "false_values": ["nein"]},
    },
}


def german(n: int) -> str:
    rng = np.random.default_rng(8)
    lines = ["Fall;Arzt;Mail;Tag;Betrag;Notfall;Station"]
    for i in range(n):
        day = dt.date(2023, 1, 1) + dt.timedelta(int(rng.integers(0, 700)))
        amount = f"{rng.integers(0, 50_000) / 100:.2f}".replace(".", ",")
        station = ("ICU", "Kind; Säugling", "Chirurgie")[rng.integers(3)]
        cell = f'"{station}"' if ";" in station else station
        acute = ("nein", "ja")[rng.integers(2)]
        lines.append(f"F-{i:07d};Dr. Geheim;x@klinik.de;{day:%d.%m.%Y};{amount};{acute};{cell}")
    return "\n".join(lines) + "\n"


def test_a_german_file_stays_one(tmp_path):
    source = write(tmp_path, "faelle.csv", german(N))
    schema = write(tmp_path, "schema.yaml", GERMAN)
    made = run("synthesize", source, "--schema", schema, "--unit", "row", "--epsilon", 5, "--format", "csv",
               "--out", tmp_path / "out", *FAST)  # fmt: skip
    assert made.exit_code in RELEASED, made.output
    public = tmp_path / "out" / "public"
    text = (public / "data.csv").read_text(encoding="utf-8")
    assert text.startswith("Fall;Arzt;Mail;Tag;Betrag;Notfall;Station\n")
    assert "Geheim" not in text
    assert "klinik.de" not in text
    rows = pd.read_csv(public / "data.csv", sep=";", dtype=str, keep_default_na=False)
    assert rows["Fall"].str.fullmatch(r"F-\d{7}").all()
    assert rows["Fall"].is_unique
    assert rows["Mail"].str.fullmatch(r"[a-z.]+\.\d+@example\.org").all()
    assert rows["Arzt"].str.contains(" ").all()
    assert rows["Tag"].str.fullmatch(r"\d\d\.\d\d\.202[34]").all()
    assert rows["Betrag"].str.fullmatch(r"\d+(,\d\d?)?").all()
    assert set(rows["Notfall"]) == {"ja", "nein"}
    assert set(rows["Station"]) == {"ICU", "Kind; Säugling", "Chirurgie"}  # neither OTHER nor a missing value
    typed = Release.open(public).data()
    assert str(typed["Notfall"].dtype) == "bool"
    assert str(typed["Betrag"].dtype) == "float64"
    assert str(typed["Tag"].dtype) == "datetime64[s]"
    assert typed["Betrag"].tolist() == [float(cell.replace(",", ".")) for cell in rows["Betrag"]]
    assert typed["Fall"].tolist() == rows["Fall"].tolist()
    assert typed["Tag"].dt.strftime("%d.%m.%Y").tolist() == rows["Tag"].tolist()


def test_identifiers_of_two_samples_do_not_meet_and_those_of_one_seed_are_the_same(parquet):
    public, _ = parquet
    model = Release.open(public).model()
    one, same, other = (model.sample(1_000, seed=seed)["person"] for seed in (3, 3, 4))
    assert one.tolist() == same.tolist()
    assert not set(one) & set(other)  # false alarm: 2,000 of 9e8
    given = model.sample(1_000, seed=3, given=["age >= 40"])["person"]
    assert not set(one) & set(given)


def test_too_few_identifiers_are_said_before_anything_is_spent(tmp_path):
    columns = GERMAN["columns"] | {"Fall": {"kind": "id", "format": "F-{3 digits}"}}
    schema = write(tmp_path, "schema.yaml", GERMAN | {"columns": columns})
    source = write(tmp_path, "faelle.csv", german(50))
    asked = ("synthesize", source, "--schema", schema, "--unit", "row", "--epsilon", 5, *FAST)
    made = run(*asked, "--out", tmp_path / "out")
    assert made.exit_code == 2
    assert re.search(r"'Fall' has room for 1,000 rows", made.output)
    assert spent() == {}
    assert run(*asked, "--rows", 900, "--out", tmp_path / "out").exit_code == 0

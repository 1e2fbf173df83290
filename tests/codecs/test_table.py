"""Codes and back: what is decoded lies in its cell, within its bounds, and obeys what was declared."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import saved_models
from buying import codecs_of, facts_of
from doubles import ExactMechanisms, RecordingMechanisms
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.codecs.columns import DAY, OTHER, CategoryCodec, codec_from_json, join_week, split_week
from privsynth.codecs.parse import Categories
from privsynth.codecs.parsed_table import ParsedTable, clean_frame, parse_table
from privsynth.codecs.table import TableCodec
from privsynth.domain.layout import lay_out
from privsynth.schema import Schema
from privsynth.table import Table


def learn(columns: dict[str, list], schema: Schema, *, mechanisms=None, mu: float = 1e5, bins: int = 16):
    """Return (codec, parsed, facts) of a text table."""
    table = Table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}))
    mechanisms = mechanisms or ExactMechanisms()
    facts = facts_of(table, schema, mechanisms, mu_squared=mu)
    layout = lay_out(table.names, schema, facts, "row")
    parsed = parse_table(table, schema, facts, layout.modelled)
    codecs = codecs_of(
        parsed, schema, facts, mechanisms, n_rows=float(table.n_rows), mu_squared=mu, delta=1e-3, bins=bins,
    )  # fmt: skip
    return TableCodec(tuple(codecs)), parsed, facts


def any_codes(codec: TableCodec, n: int, seed: int) -> np.ndarray:
    """Return (attributes, n) codes, every code of every attribute among them, NULL included."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(np.arange(n) % a.size) for a in codec.attributes]).astype(np.uint16)


def hospital(n: int = 1500, seed: int = 0) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    admitted = np.datetime64("2024-01-01T00:00") + rng.integers(0, 360 * 1440, n) * np.timedelta64(1, "m")
    leave = admitted + rng.integers(0, 20 * 1440, n) * np.timedelta64(1, "m")
    low = rng.integers(10, 90, n)
    return {
        "ward": [("ICU", "ER", "surgery")[i] for i in rng.integers(0, 3, n)],
        "admitted": [str(t) if i % 9 else "" for i, t in enumerate(admitted)],
        "discharged": [str(t) for t in leave],
        "visit": [str(d) for d in leave.astype("datetime64[D]")],
        "low": [str(x) if i % 7 else "" for i, x in enumerate(low)],
        "high": [str(x) for x in low + rng.integers(0, 40, n)],
        "lab": [f"{x:.2f}" for x in np.clip(rng.normal(5, 2, n), 0.05, 9.95)],
        "stay": ["0"] * n,
        "spread": ["0"] * n,
    }


HOSPITAL = Schema.model_validate(
    {
        "columns": {
            "ward": None,
            "admitted": {"kind": "datetime", "precision": 60},
            "discharged": {"kind": "datetime", "precision": 60, "minimum": "2024-01-01", "maximum": "2025-06-01"},
            "visit": {"kind": "date", "nullable": False},
            "low": {"kind": "integer", "minimum": 10, "maximum": 90},
            "high": {"kind": "integer", "nullable": False, "minimum": 10, "maximum": 130},
            "lab": {"kind": "numeric", "precision": 0.01, "minimum": 0.055, "maximum": 9.955, "nullable": False},
            "stay": {"kind": "numeric", "precision": 0.001},
            "spread": {"kind": "integer"},
        },
        "rules": [
            "discharged >= admitted", "visit >= discharged", "high >= low", "stay = discharged - admitted",
            "spread = high - low",
        ],
    }
)  # fmt: skip


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_any_codes_at_all_decode_to_rows_that_obey_the_schema(noisy, seed):
    mechanisms = RecordingMechanisms(seed) if noisy else ExactMechanisms()
    codec, *_ = learn(hospital(), HOSPITAL, mechanisms=mechanisms, mu=5.0)
    frame = codec.decode(any_codes(codec, 900, seed), np.random.default_rng(seed))
    assert list(frame.columns) == list(HOSPITAL.columns)
    for rule in HOSPITAL.parsed_rules():
        assert rule.holds(frame).all(), rule.text
    # Declared bounds, between which the grid lies.
    assert frame["lab"].between(0.06, 9.95).all()
    assert frame["low"].dropna().between(10, 90).all()
    assert frame["high"].between(10, 130).all()
    # Declared without nulls, whatever stands below them.
    for name in ("visit", "high", "lab"):
        assert frame[name].notna().all()
    assert frame["low"].isna().any()
    assert frame["admitted"].isna().any()
    # A date is a date, also where the column below it has a clock.
    assert (frame["visit"] == frame["visit"].dt.normalize()).all()
    assert frame["discharged"].dropna().dt.year.between(2024, 2025).all()
    assert frame["admitted"].dropna().dt.year.between(1, 9999).all()
    above = frame["admitted"].dropna().dt.second
    assert (above == 0).all()
    # Derived columns are exact, and null where a part is null.
    both = frame["high"].notna() & frame["low"].notna()
    assert (frame["spread"][both] == (frame["high"] - frame["low"])[both]).all()
    assert frame["spread"][~both].isna().all()
    days = (frame["discharged"] - frame["admitted"]).dt.total_seconds() / DAY
    assert np.allclose(frame["stay"].dropna(), days.round(3)[frame["stay"].notna()], atol=1.01e-3)
    assert frame["stay"].notna().equals(days.notna())


def test_decoded_rows_stay_in_the_cells_they_were_encoded_in():
    columns = hospital()
    columns = {name: columns[name] for name in ("ward", "admitted", "low", "lab")}
    schema = HOSPITAL.model_copy(update={"columns": {n: HOSPITAL.columns[n] for n in columns}, "rules": ()})
    codec, parsed, facts = learn(columns, schema)
    codes = codec.encode(parsed)
    frame = codec.decode(codes, np.random.default_rng(1))
    assert frame["ward"].tolist() == columns["ward"]
    assert frame["low"].isna().tolist() == [not cell for cell in columns["low"]]
    texts = {
        "ward": frame["ward"].tolist(),
        "admitted": ["" if pd.isna(t) else t.isoformat() for t in frame["admitted"]],
        "low": ["" if pd.isna(x) else str(x) for x in frame["low"]],
        "lab": [f"{x:.2f}" for x in frame["lab"]],
    }
    table = Table(pa.table({n: pa.array(c, pa.string()) for n, c in texts.items()}))
    again = codec.encode(parse_table(table, schema, facts, list(columns)))
    assert (again == codes).all()


def test_dates_keep_weekday_and_clock():
    start = np.datetime64("2024-01-01T08:15")  # a Monday
    times = start + (np.arange(600) % 40) * np.timedelta64(7, "D")
    schema = Schema.model_validate({"columns": {"t": {"kind": "datetime", "precision": 60}}})
    codec, parsed, _ = learn({"t": [str(t) for t in times]}, schema)
    assert [a.name for a in codec.attributes] == ["t·week", "t·weekday", "t·clock"]
    frame = codec.decode(codec.encode(parsed), np.random.default_rng(0))
    assert (frame["t"].dt.dayofweek == 0).all()
    assert (frame["t"].dt.hour * 60 + frame["t"].dt.minute == 8 * 60 + 15).all()


@given(st.lists(st.integers(-800_000, 3_000_000), min_size=1, max_size=30))
def test_weeks_and_weekdays_are_a_bijection(days):
    day = np.array(days)
    week, weekday = split_week(day)
    assert (join_week(week, weekday) == day).all()
    expected = [
        int((np.datetime64("1970-01-01") + d).astype(object).weekday()) for d in days if -719_162 < d < 2_932_000
    ]
    assert [w for d, w in zip(days, weekday.tolist(), strict=True) if -719_162 < d < 2_932_000] == expected


def test_the_codec_survives_json_unchanged():
    codec, parsed, _ = learn(hospital(), HOSPITAL, mechanisms=RecordingMechanisms(2), mu=3.0)
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json())))
    assert again.to_json() == codec.to_json()
    assert again.attributes == codec.attributes
    codes = any_codes(codec, 400, 3)
    assert (again.encode(parsed) == codec.encode(parsed)).all()
    one, other = (c.decode(codes, np.random.default_rng(4)) for c in (codec, again))
    # Weights are written to three decimals: a draw on the very edge may fall into the next segment.
    assert (one.isna() == other.isna()).all().all()
    assert (one["ward"].fillna("") == other["ward"].fillna("")).all()
    with pytest.raises(ValueError, match="unknown type"):
        codec_from_json({"type": "pickle", "name": "x"})


@given(st.lists(st.sampled_from(["a", "b", "c", OTHER, None]), max_size=20), st.booleans(), st.booleans())
def test_categories_go_to_their_value_or_to_other_or_to_null(cells, other, nullable):
    values = tuple(dict.fromkeys(c for c in cells if c is not None))
    parsed = Categories(np.array([values.index(c) if c is not None else -1 for c in cells], dtype=np.int32), values)
    codec = CategoryCodec("x", ("b", "a"), other, nullable)
    decoded = codec.to_series(codec.decode(np.stack(codec.encode(parsed)))).tolist()
    for cell, value in zip(cells, decoded, strict=True):
        if cell in ("a", "b"):
            assert value == cell
        elif cell is not None and other:
            assert value == OTHER
        else:
            assert value == (None if nullable else "b")


def test_booleans_keep_their_spelling_and_read_the_usual_ones():
    schema = Schema.model_validate(
        {"columns": {"a": {"kind": "boolean", "true_values": ["J"], "false_values": ["N"]}, "b": {"kind": "boolean"}}}
    )
    codec, parsed, _ = learn({"a": ["j", "N", "yes"], "b": ["YES", "f", "2"]}, schema)
    frame = codec.decode(codec.encode(parsed), np.random.default_rng(0))
    assert frame["a"].tolist() == ["J", "N", None]
    assert frame["b"].tolist() == ["true", "false", None]


def test_private_values_are_not_shown():
    _, parsed, facts = learn(hospital(40), HOSPITAL)
    assert repr(parsed) == "ParsedTable(7 columns)"
    frame = clean_frame(parsed, facts)
    assert len(frame) == 40
    assert frame["visit"].dtype.kind == "M"
    assert parsed.take(np.arange(5)).n_rows == parsed.take(np.arange(40) < 5).n_rows == 5
    assert isinstance(parsed, ParsedTable)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_tables_of_next_to_nothing_can_be_learned(data):
    n = data.draw(st.integers(0, 2))
    cell = st.none() | st.sampled_from(["", "1", "x", "2024-01-01", "1e400"])
    columns = {name: data.draw(st.lists(cell, min_size=n, max_size=n)) for name in HOSPITAL.columns}
    table = Table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}))
    mechanisms = RecordingMechanisms(1)
    facts = facts_of(table, HOSPITAL, mechanisms, mu_squared=0.1)
    layout = lay_out(table.names, HOSPITAL, facts, "row")
    parsed = parse_table(table, HOSPITAL, facts, layout.modelled)
    codecs = codecs_of(parsed, HOSPITAL, facts, mechanisms, n_rows=1.0, mu_squared=0.1, delta=1e-7, bins=64)
    codec = TableCodec(tuple(codecs))
    codes = codec.encode(parsed)
    assert codes.shape == (len(codec.attributes), n)
    assert all((row < a.size).all() for row, a in zip(codes, codec.attributes, strict=True))
    assert len(codec.decode(codes, np.random.default_rng(0))) == n


@pytest.mark.parametrize("column", saved_models.codec().names)
def test_a_codec_writes_the_arrow_type_that_it_says(column):
    table = saved_models.codec()
    rows = table.draw(any_codes(table, 40, 1), np.random.default_rng(1))
    found = table.array(table.by_name[column], rows)
    assert (found.type, len(found)) == (table.by_name[column].arrow_type, 40)

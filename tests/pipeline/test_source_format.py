"""How the source writes its table is kept with the model: from its header, its types and its schema, never its rows."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline.admissions import FAST, RELEASED, run, write
from pydantic import ValidationError

from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.source_format import SourceFormat
from privsynth.sources import SourceOptions, open_source
from privsynth.sources.protocol import source_format_of


def opened(origin, **options):
    return source_format_of(open_source(origin, SourceOptions(**options)))


@pytest.mark.parametrize(
    ("text", "delimiter", "quote_all"),
    [
        ("a,b\n1,2\n", ",", False),
        ("a;b\n1;2\n", ";", False),
        ('"a";"b"\n1;2\n', ";", True),
        ('"a";b\n"1";"2"\n', ";", False),
        ('\ufeff"a"\t"b ""c"""\r\n1\t2\r\n', "\t", True),
    ],
)
def test_delimiter_and_quotes_are_those_of_the_header_line(tmp_path, text, delimiter, quote_all):
    found = opened(write(tmp_path, "t.csv", text))
    assert (found.delimiter, found.quote_all) == (delimiter, quote_all)


def test_rows_say_nothing_of_how_the_table_is_written(tmp_path):
    one = write(tmp_path, "one.csv", "a;b\n1,5;2\n")
    other = write(tmp_path, "other.csv", 'a;b\n"1.5";"2,2,2,2"\n')
    assert opened(one) == opened(other)


def test_time_zones_are_those_of_the_types(tmp_path):
    times = pa.array([0], pa.int64())
    table = pa.table(
        {"at": times.cast(pa.timestamp("us", tz="Europe/Berlin")), "local": times.cast(pa.timestamp("us"))}
    )
    pq.write_table(table, tmp_path / "t.parquet")
    assert opened(tmp_path / "t.parquet").time_zones == {"at": "Europe/Berlin"}
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01T00:00:00+00:00"]).tz_convert("Asia/Tokyo"), "n": [1]})
    assert opened(frame).time_zones == {"at": "Asia/Tokyo"}


def test_a_release_keeps_it_with_its_model(tmp_path):
    rows = "".join(f"{i % 50},{i % 7}5;{'AB'[i % 2]}\n" for i in range(400))
    source = write(tmp_path, "t.csv", f"price;kind\n{rows}")
    made = run("synthesize", source, "--unit", "row", "--epsilon", 5, "--out", tmp_path / "out", *FAST)
    assert made.exit_code in RELEASED, made.output
    model = SyntheticModel.load(tmp_path / "out" / "public" / "model")
    assert model.source_format == SourceFormat(delimiter=";", decimal_commas=("price",))


def test_a_model_of_an_earlier_version_has_the_usual_format(tmp_path):
    source = write(tmp_path, "t.csv", "a;b\n" + "1;2\n" * 50)
    made = run("synthesize", source, "--unit", "row", "--epsilon", 5, "--out", tmp_path / "out", *FAST)
    assert made.exit_code in RELEASED, made.output
    file = tmp_path / "out" / "public" / "model" / "model.json"
    data = json.loads(file.read_text())
    assert data.pop("source_format") == {"delimiter": ";"}
    file.write_text(json.dumps(data))
    assert SyntheticModel.load(file.parent).source_format == SourceFormat()


@pytest.mark.parametrize(
    "wrong", [{"delimiter": '"'}, {"delimiter": ""}, {"delimiter": ",,"}, {"time_zones": {"a": "\n"}}, {"more": 1}]
)
def test_a_format_that_cannot_be_written_is_refused(wrong):
    with pytest.raises(ValidationError):
        SourceFormat.model_validate(wrong)

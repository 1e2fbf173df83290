"""CEF: events that cefevent writes, headers of syslog, escapes, custom labels, times, and lines that are hostile."""

from __future__ import annotations

import gzip

import pytest
from cefevent import CEFEvent
from cefevent.extensions import extension_dictionary
from hypothesis import given
from hypothesis import strategies as st

from privsynth.errors import SchemaError, SourceError
from privsynth.schema.definition import Column
from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.protocol import stated_types_of
from privsynth.sources.text import cef

PLAIN = "CEF:0|Bank|Fraud|1.0|100|Card used|7|"


def event(**fields):
    made = CEFEvent(strict=True)
    header = {"name": "Card used", "deviceVendor": "Bank", "deviceProduct": "Fraud", "deviceVersion": "1.0"}
    for name, value in {**header, "signatureId": "100", "severity": 7, **fields}.items():
        made.set_field(name, value)
    return made.build_cef()


@pytest.fixture
def log(tmp_path):
    def _write(*lines, name="e.log"):
        content = [line if isinstance(line, bytes) else line.encode() for line in lines]
        (tmp_path / name).write_bytes(b"\n".join(content))
        return f"cef:{tmp_path / name}"

    return _write


def test_events_that_another_writes(log, read):
    lines = [
        event(sourceAddress="10.0.0.1", sourceUserName="anna", deviceAction="block", destinationPort=443),
        event(sourceUserName="a=b\\c", name="Login | late", message="SECRET", baseEventCount=3),
    ]
    columns = read(log(*lines)).columns
    assert columns["deviceVendor"] == ["Bank", "Bank"]
    assert columns["name"] == ["Card used", "Login | late"]
    assert columns["severity"] == ["7", "7"]
    assert columns["suser"] == ["anna", "a=b\\c"]
    assert (columns["src"], columns["act"], columns["dpt"], columns["cnt"]) == (
        ["10.0.0.1", None], ["block", None], ["443", None], [None, "3"],
    )  # fmt: skip
    assert "SECRET" not in str(columns)


def test_keys_and_types_are_those_of_the_standard():
    """As cefevent's dictionary has them."""
    for name in cef.USUAL[len(cef.HEADER) :]:
        if name not in (*cef.HEADER, "outcome", "reason"):  # which the first versions do not have
            assert name in extension_dictionary
    kinds = {name: extension_dictionary[name]["data_type"][0] for name in (*cef._WHOLE, *cef._TIMES)}
    assert {kinds[name] for name in cef._WHOLE} == {"Integer"}
    assert {kinds[name] for name in cef._TIMES} == {"TimeStamp"}


@pytest.mark.parametrize(
    "prefix",
    ["", "Sep 19 08:26:10 host ", "<134>1 2026-06-19T12:00:01Z gw-01 app - - - ", "2024-01-01T00:00:00Z 10.0.0.1 ",
     "<13>Sep 19 08:26:10 host app[12]: "],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "\r", " "])
def test_headers_of_syslog_are_passed_over(prefix, end, log, read):
    result = read(log(f"{prefix}{PLAIN}act=block cat=a b  c{end}"), columns=("act", "cat", "severity"))
    assert result.columns == {"act": ["block"], "cat": ["a b  c"], "severity": ["7"]}


@pytest.mark.parametrize(
    ("written", "meant"),
    [(r"a\=b", "a=b"), (r"a\\b", "a\\b"), (r"a\nb\rc", "a\nb\rc"), ("a|b", "a|b"), (r"a\|b", "a|b"), (r"\q", r"\q"),
     ("http://x/?a=b&c=d", "http://x/?a=b&c=d"), (r"x \y=z", r"x \y=z"), ("", None), ("trailing\\", "trailing\\")],
)  # fmt: skip
def test_escapes_and_equals_signs_in_values(written, meant, log, read):
    result = read(log(f"{PLAIN}request={written} act=x"), columns=("request", "act"))
    assert result.columns == {"request": [meant], "act": ["x"]}


def test_custom_keys_are_found_by_their_labels(log, read):
    lines = [
        f"{PLAIN}cs1=Gold cs1Label=Card Tier cn1=5 cn1Label=Tries rule=12 ad.field[0]=v",
        f"{PLAIN}cs2Label=Card Tier cs2=Silver cs1Label=Other cs1=x cn1Label=Tries",
        f"{PLAIN}act=x",
    ]
    result = read(log(*lines), columns=("Card Tier", "cs1", "Tries", "rule", "ad.field[0]"))
    assert result.columns == {
        "Card Tier": ["Gold", "Silver", None], "cs1": ["Gold", "x", None], "Tries": ["5", None, None],
        "rule": ["12", None, None], "ad.field[0]": ["v", None, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1569477512000", "2019-09-26T05:58:32"), ("Feb 29 2024 10:30:00", "2024-02-29T10:30:00"),
     ("Feb 29 2024 10:30:00.123 UTC", "2024-02-29T10:30:00"), ("Feb 29 2024 10:30:00 +0530", "2024-02-29T05:00:00"),
     ("Feb 29 2024 10:30:00 -02:00", "2024-02-29T12:30:00")],
)  # fmt: skip
def test_times(written, meant, log, read):
    assert read(log(f"{PLAIN}rt={written} act=x")).columns["rt"] == [meant]


@pytest.mark.parametrize("text", ["Feb 29 10:30:00", "Feb 30 2024 10:30:00", "Xxx 29 2024 10:30:00", "SECRET", "9" * 15,
                                  "Jan 1 0001 00:00:00 +2359", "Feb 29 2024 10:30:00 CET"])  # fmt: skip
def test_times_that_cannot_be_told_are_missing(text, log, read):
    result = read(log(f"{PLAIN}rt={text} act=x"))
    assert (result.columns["rt"], result.skipped) == ([None], {"unreadable_cells": 1})


def test_other_lines_are_left_out_and_counted(log, read):
    lines = [
        "SECRET",
        "",
        "CEF:0|a|b",
        "xCEF:0|a|b|c|d|e|5|",
        "LEEF:1.0|a|b|c|d|",
        f"{PLAIN}act=x",
        "CEF:0|a|b|c|d|e|5",
    ]
    result = read(log(*lines))
    assert (result.columns["act"], result.skipped) == (["x"], {"unusable_records": 5})
    long = read(log(f"{PLAIN}act={'x' * (1 << 21)}", f"{PLAIN}act=y"))
    assert (long.columns["act"], long.skipped) == (["y"], {"long_lines": 1})


def test_what_the_standard_says_is_stated(log):
    stated = stated_types_of(open_source(log(PLAIN)))
    assert stated.columns["suser"] == stated.columns["src"] == Column(kind="id", roles=("identifier",))
    assert stated.columns["severity"].categories[-2:] == ("High", "Very-High")
    assert stated.columns["rt"].kind == "datetime"
    assert stated.families == dict.fromkeys(("spt", "dpt", "cnt", "in", "out"), "integer")
    assert stated_types_of(open_source(log(PLAIN), SourceOptions(columns=("own",)))).columns == {}


def test_a_folder_of_logs(tmp_path, read):
    (tmp_path / "2.log").write_text(f"{PLAIN}act=b")
    (tmp_path / "1.log.gz").write_bytes(gzip.compress(f"{PLAIN}act=a\n".encode()))
    (tmp_path / "notes.md").write_text("SECRET")
    result = read(f"cef:{tmp_path}")
    assert (result.columns["act"], result.skipped) == (["a", "b"], {})
    (tmp_path / "1.log.gz").write_bytes(gzip.compress(f"{PLAIN}act=SECRET\n".encode())[:-9])
    with pytest.raises(SourceError, match=r"1\.log\.gz is not a whole gzip file") as caught:
        read(f"cef:{tmp_path}")
    assert "SECRET" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"is a folder without \.cef"):
        open_source(f"cef:{tmp_path}/empty")
    with pytest.raises(SchemaError, match="blank name"):
        open_source(f"cef:{tmp_path}", SourceOptions(columns=(" ",)))


@given(
    st.lists(
        st.sampled_from(["CEF:0|", "|", "\\", "=", " ", "a", "cs1", "Label", "\n", "\t", "é", "SECRET"]), max_size=60
    )
)
def test_no_line_breaks_anything(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("fuzz") / "x.log"
    path.write_text("".join(parts) + "\n" + PLAIN + "".join(parts))
    for columns in (None, ("cs1", "a")):
        for batch in open_source(f"cef:{path}", SourceOptions(columns=columns)).batches(SkippedCells()):
            assert batch.num_rows <= "".join(parts).count("CEF") + 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).map(str.strip).filter(bool))
def test_what_is_escaped_comes_back(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("cef")
    coded = text
    for sign, written in (("\\", "\\\\"), ("=", "\\="), ("\n", "\\n"), ("\r", "\\r")):
        coded = coded.replace(sign, written)
    (folder / "x.log").write_bytes(f"{PLAIN}msg={coded} act=x".encode())
    (batch,) = open_source(f"cef:{folder}", SourceOptions(columns=("msg",))).batches(SkippedCells())
    assert batch.column("msg").to_pylist() == [text]

"""Text files are read on two roads, a fast one for plain blocks and line by line for others: the cells are the same."""

from __future__ import annotations

import random

import pytest

from privsynth.sources import SkippedCells, SourceOptions, open_source
from privsynth.sources.text import csv as csv_source
from privsynth.sources.text import jsonl, text_file
from privsynth.sources.text.plain_blocks import PlainBlocks
from privsynth.sources.text.plain_json import flat_objects

FILES = 1_000  # for each of ten seeds
ROWS = ["1,a,Zürich", "2,,Genève", '"3","b, c","d ""e"""', "4, x ,NA", '5,"",-', "0007,1.50,\u2028"]
ODD = [
    b'"',
    b'""',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
]
ODD += [b" ", b"a", b"1", b"\x85", b"\x1a", b"\t", b"'", b"\\", b'"\n', b',"', b'",', b"x" * 40, b"\xc3\xa9" * 15]


def read(path, options):
    """Return the rows and the counts."""
    skipped = SkippedCells()
    batches = list(open_source(path, options).batches(skipped))
    for batch in batches:
        batch.validate(full=True)
    return [row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)], skipped


feed = csv_source._Lines.feed


def some_delimited(chance):
    """Return the bytes of a file: rows that are written well, and some of them damaged."""
    end = chance.choice(["\n", "\n", "\r\n"])
    encoding = chance.choice(["utf-8", "utf-8", "utf-8-sig", "cp1252"])
    rows = ROWS if encoding != "cp1252" else ROWS[:-1]
    lines = [chance.choice(rows) for _ in range(chance.randrange(12))]
    if chance.random() < 0.2:
        lines = [",".join(f'"{cell}"' for cell in ("7", "b", "c")) for _ in lines]
    body = damaged(chance, end.join(lines).encode(encoding.removesuffix("-sig")), ODD)
    return f"{chance.choice(['', '', end])}n,b,c{end}".encode(encoding) + body + chance.choice(
        [b"", end.encode()]
    ), encoding


def damaged(chance, body, odd):
    """Return the bytes with a few of them replaced."""
    body = bytearray(body)
    for _ in range(chance.choice([0, 0, 1, 1, 2, 4])):
        at = chance.randrange(len(body) + 1)
        body[at : at + chance.choice([0, 0, 1, 3])] = chance.choice(odd)
    return bytes(body)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_both_roads_read_the_same_cells_of_damaged_files(tmp_path, monkeypatch, seed):
    chance, taken = random.Random(seed), [0, 0]
    plain_road = PlainBlocks.batches

    def counted(*arguments):
        found = plain_road(*arguments)
        taken[found is not None] += 1
        return found

    path = tmp_path / "t.csv"
    for at in range(FILES):
        content, encoding = some_delimited(chance)
        path.write_bytes(content)
        options = SourceOptions(
            encoding="cp1252" if encoding == "cp1252" else None,
            columns=chance.choice([None, None, ("c", "n")]),
            batch_rows=chance.choice([1, 3, 50_000]),
            max_cell_chars=chance.choice([12, 10_000]),
            max_record_chars=chance.choice([30, 1 << 20]),
            max_record_lines=chance.choice([2, 200]),
        )
        monkeypatch.setattr(text_file, "BLOCK_BYTES", chance.choice([5, 20, 50, 1000]))
        monkeypatch.setattr(PlainBlocks, "batches", counted)
        fast = read(path, options)
        monkeypatch.setattr(PlainBlocks, "batches", lambda *_: None)
        assert fast == read(path, options), f"file {at}: {content!r}"
    assert min(taken) > FILES / 2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_plain_file_is_read_by_arrow_alone(tmp_path, monkeypatch, end):
    path = tmp_path / "t.csv"
    path.write_bytes((f"a,b{end}" + f'1,"x, ""y"""{end}' * 1_000).encode())
    monkeypatch.setattr(text_file, "BLOCK_BYTES", 999)
    fed = []
    monkeypatch.setattr(csv_source._Lines, "feed", lambda self, block: fed.append(block) or feed(self, block))
    rows, skipped = read(path, SourceOptions())
    assert rows == [("1", 'x, "y"')] * 1_000
    assert skipped.total == 0
    assert set(fed) == {f"a,b{end}".encode(), b""}  # the header, and the end


OBJECTS = [
    '{"a": 1.50, "b": "x, y: {z}", "c": null}',
    '{"a": -1e5, "b": "Zürich", "c": true}',
    '{"a": "007", "b": "", "c": 12345678901234567890}',
    '{"a": 0, "b": "12:30", "c": false}',
    '{"a":7,"b":"x","c":3}',
    '{"b": "other order", "a": 1, "c": 2}',
    '{"a": 1, "b": "no c"}',
    '{"a": {"b": 1}, "b": [1, 2], "c": "\\u00e9"}',
]
JSON_ODD = [b'"', b",", b":", b"{", b"}", b"[", b"\n", b"\r", b"\r\n", b"\t", b" ", b"\0", b"\xff", b"\\", b"\x1f"]
JSON_ODD += [
    b"0",
    b"1",
    b"-",
    b".",
    b"e",
    b"null",
    b"true",
    b"NaN",
    b'"a": 1, ',
    b"\xef\xbb\xbf",
    b"x" * 40,
    b"\xc3\xa9" * 15,
]


def some_objects(chance):
    """Return the bytes of a file of JSON Lines: mostly alike, and some of them damaged."""
    end = chance.choice(["\n", "\n", "\r\n"])
    rows = chance.choice([OBJECTS[:4], OBJECTS[:4], OBJECTS[4:5], OBJECTS])
    body = end.join(chance.choice(rows) for _ in range(chance.randrange(1, 12))).encode()
    return damaged(chance, body, JSON_ODD) + chance.choice([b"", end.encode()])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_both_roads_read_the_same_values_of_damaged_json(tmp_path, monkeypatch, seed):
    chance, taken = random.Random(seed), [0, 0]

    def counted(*arguments):
        found = flat_objects(*arguments)
        taken[found is not None] += 1
        return found

    path = tmp_path / "t.jsonl"
    for at in range(FILES):
        content = some_objects(chance)
        path.write_bytes(content)
        options = SourceOptions(
            columns=chance.choice([("a", "b", "c"), ("c", "a.b", "x")]),
            batch_rows=chance.choice([1, 3, 50_000]),
            max_cell_chars=chance.choice([6, 10_000]),
            max_record_chars=chance.choice([41, 1 << 20]),
        )
        monkeypatch.setattr(text_file, "BLOCK_BYTES", chance.choice([50, 100, 1000]))
        monkeypatch.setattr(jsonl, "flat_objects", counted)
        fast = read(path, options)
        monkeypatch.setattr(jsonl, "flat_objects", lambda *_: None)
        assert fast == read(path, options), f"file {at}: {content!r}"
    assert min(taken) > FILES / 4


def test_names_are_gathered_of_plain_objects_as_of_others(tmp_path, monkeypatch):
    path = tmp_path / "t.jsonl"
    path.write_text('{"b": 1, "a": "x"}\n{"c": [], "a": 2}\n' + '{"z": 1, "": 2}\n' * 3, encoding="utf-8")
    monkeypatch.setattr(text_file, "BLOCK_BYTES", 20)
    assert open_source(path).names == ["a", "b", "c", "z"]

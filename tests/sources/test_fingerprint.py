"""The fingerprint: the same for the same rows in any order, another one for anything else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.sources import content_fingerprint, fingerprint, open_source, read_table
from privsynth.sources.fingerprint import content_fingerprints
from privsynth.table import Table

KEY = bytes(range(32))
ROWS = st.lists(st.tuples(st.sampled_from(["x", "y", "", None]), st.integers(0, 3) | st.none()), max_size=12)


def table(rows, names=("a", "b")):
    columns = list(zip(*rows, strict=True)) or [(), ()]
    return Table(pa.table([pa.array(columns[0], pa.string()), pa.array(columns[1], pa.int64())], names=list(names)))


@settings(deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_rows_and_columns_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    first = content_fingerprint(table(rows), KEY)
    assert content_fingerprint(Table(table(shuffled).data.select(["b", "a"])), KEY) == first
    assert len(first) == 32


@settings(deadline=None)
@given(ROWS, ROWS)
def test_other_rows_have_another_fingerprint(rows, others):
    same = sorted(map(repr, rows)) == sorted(map(repr, others))
    assert (content_fingerprint(table(rows), KEY) == content_fingerprint(table(others), KEY)) == same


@pytest.mark.parametrize(
    "other",
    [
        table([("x", 2), ("y", 1)]),  # cells swapped between rows
        table([("x", 1), ("y", 2), ("y", 2)]),
        table([("x", 1), ("y", None)]),
        table([("x", 1), ("y", 2)], names=("a", "c")),
        table([("x", 1), ("y", 2)], names=("b", "a")),
        Table(pa.table({"a": ["x", "y"]})),
        Table(pa.table({"a": ["x", "y"], "b": [1, 2], "c": pa.nulls(2)})),
    ],
    ids=["swapped", "row twice", "null", "renamed", "names swapped", "column less", "column more"],
)
def test_what_differs_is_seen(other):
    assert content_fingerprint(table([("x", 1), ("y", 2)]), KEY) != content_fingerprint(other, KEY)


def test_the_key_matters_and_must_be_one():
    rows = table([("x", 1)])
    assert content_fingerprint(rows, KEY) != content_fingerprint(rows, KEY[::-1])
    both = [content_fingerprint(rows, key) for key in (KEY, KEY[::-1])]
    assert content_fingerprints(rows, [KEY, KEY[::-1]]) == both
    with pytest.raises(ValueError, match="16 bytes"):
        content_fingerprint(rows, b"short")


def test_batches_do_not_matter(monkeypatch):
    rows = table([(str(i % 7), i) for i in range(100)])
    whole = content_fingerprint(rows, KEY)
    monkeypatch.setattr(fingerprint, "_BATCH_ROWS", 7)
    assert content_fingerprint(rows, KEY) == whole


def test_the_same_text_in_another_format_is_the_same(tmp_path, workspace):
    (tmp_path / "t.csv").write_text("a,b\nx,1\n,2\n")
    (tmp_path / "t.jsonl").write_text('{"b": 2}\n{"a": "x", "b": 1}\n')
    csv, jsonl = (read_table(open_source(tmp_path / name), workspace)[0] for name in ("t.csv", "t.jsonl"))
    typed = table([("x", 1), (None, 2)])
    assert content_fingerprint(csv, KEY) == content_fingerprint(jsonl, KEY) == content_fingerprint(typed, KEY)


def test_it_agrees_with_a_naive_twin():
    """The same arithmetic, cell by cell, in Python's integers."""
    import hashlib
    import hmac

    from pandas.util import hash_array

    rows = [("x", 1), (None, 2), ("x", 1)]
    total = squares = 0
    for row in rows:
        value = 0
        for name, cell in zip(("a", "b"), row, strict=True):
            key = hmac.new(KEY, b"column " + name.encode(), hashlib.sha256).hexdigest()[:16]
            text = "\0missing" if cell is None else str(cell)
            value += int(hash_array(np.array([text], dtype=object), hash_key=key, categorize=False)[0])
        value %= 2**64
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
        value ^= value >> 31
        total, squares = (total + value) % 2**64, (squares + value * value) % 2**64
    numbers = b"".join(number.to_bytes(8, "big") for number in (3, total, squares, 2))
    message = b"privsynth content fingerprint 1" + numbers + bytes(7) + b"\x01a" + bytes(7) + b"\x01b"
    assert content_fingerprint(table(rows), KEY) == hmac.new(KEY, message, hashlib.sha256).digest()

"""A table of patients, its neighbours, and the files that hold them.

A neighbour here is any table that another person, or somebody's odd cells, could have made of it: larger steps than the
guarantee speaks of, since with constant answers nothing at all may show.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

K = 3
COLUMNS = (
    "patient", "sex", "ward", "age", "lab", "cost", "admitted", "discharged", "born", "smoker", "note", "died", "mrn"
)  # fmt: skip
Row = dict[str, Any]
Rows = list[Row]

NOTE = 'Needle <note> & "quoted" caf\u00e9'
UNIT = "NEEDLE-UNIT-77123"
TEXTS = (UNIT, NOTE, "NeedleWard77", "MRN-needle-4711", "1887-03-19", "1887-03-19T04:17", "NeedleSex")
NUMBERS = (73190.4417, 98765432.0, 918273.25)

DECLARED = {
    "dataset": "admissions",
    "unit": "patient",
    "max_rows_per_unit": K,
    "columns": {
        "patient": {"kind": "id"},
        "sex": {"categories": ["F", "M"], "roles": "protected"},
        "ward": {"kind": "categorical"},
        "age": {"kind": "integer", "minimum": 0, "maximum": 120, "nullable": False},
        "lab": None,
        "cost": {"kind": "numeric", "minimum": 0},
        "admitted": {"kind": "datetime", "minimum": "2023-01-01", "maximum": "2025-12-31"},
        "discharged": {"kind": "datetime"},
        "born": {"kind": "date"},
        "smoker": {"kind": "boolean"},
        "note": {"kind": "text"},
        "died": {"kind": "boolean", "roles": "target"},
        "mrn": {"kind": "id"},
    },
    "rules": ["discharged >= admitted"],
    "catalogue": {
        "publisher": {"name": "St Mary", "email": "data@stmary.example"},
        "access_rights": "restricted",
        "access_url": "https://stmary.example/data",
        "applicable_legislation": "http://data.europa.eu/eli/reg/2025/327/oj",
        "period_of": "admitted",
        "health": {"categories": "EHRS", "access_body": {"name": "Agency", "page": "https://agency.example"}},
    },
}
# Nothing but whose rows they are, and that there is a target: the rest is bought.
BARE = {
    "dataset": "admissions",
    "columns": {"sex": {"roles": "protected"}, "died": {"roles": "target"}},
}


def ordinary_rows(n_units: int = 150, seed: int = 20261122) -> Rows:
    """Return one to K rows for each unit, as typed values."""
    rng = np.random.default_rng(seed)
    rows: Rows = []
    for unit in range(n_units):
        for _ in range(int(rng.integers(1, K + 1))):
            rows.append(random_row(rng, f"P{unit:05d}"))
    return rows


def rows_with_needles() -> Rows:
    """Return ordinary rows and one unit whose cells nobody else has."""
    rows = ordinary_rows(400)
    needle = {
        **rows[0],
        "patient": UNIT,
        "sex": "NeedleSex",
        "ward": "NeedleWard77",
        "age": 98765432,
        "lab": 73190.4417,
        "cost": 918273.25,
        "admitted": dt.datetime(1887, 3, 19, 4, 17),
        "discharged": dt.datetime(1887, 3, 19, 4, 17),
        "born": dt.date(1887, 3, 19),
        "note": NOTE,
        "mrn": "MRN-needle-4711",
    }
    return [*rows[:200], needle, *rows[200:]]


def random_row(rng: np.random.Generator, unit: str | None) -> Row:
    """Return one ordinary row of a unit."""
    start = dt.datetime(2024, 1, 1) + dt.timedelta(minutes=int(rng.integers(0, 500_000)))
    age = int(rng.integers(0, 100))
    sex = "FM"[rng.integers(0, 2)]
    return {
        "patient": unit,
        "sex": sex,
        "ward": ("ICU", "ER", "surgery", "maternity")[rng.choice(4, p=[0.3, 0.4, 0.2, 0.1])],
        "age": age,
        "lab": round(float(rng.lognormal(0, 0.4)), 2) if rng.random() < 0.9 else None,
        "cost": float(rng.integers(1, 40) * 25),
        "admitted": start,
        "discharged": start + dt.timedelta(minutes=int(rng.integers(30, 20_000))),
        "born": (start - dt.timedelta(days=age * 365 + 3)).date(),
        "smoker": bool(rng.random() < 0.3),
        "note": f"seen on the ward, bed {rng.integers(0, 40)}",
        "died": bool(rng.random() < (0.4 if age > 60 else 0.1)),
        "mrn": f"M{rng.integers(0, 10**9):09d}",
    }


def texts(rows: Rows) -> list[list[str]]:
    """Return the rows as a CSV file spells them."""

    def cell(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dt.datetime):
            return value.isoformat(timespec="minutes")
        return str(value)

    return [[cell(row[name]) for name in COLUMNS] for row in rows]


def csv_bytes(rows: Rows) -> bytes:
    """Return a CSV file of the rows, quoted where a cell needs it."""

    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n\r') else cell

    lines = [",".join(COLUMNS), *[",".join(quoted(cell) for cell in line) for line in texts(rows)]]
    return ("\n".join(lines) + "\n").encode()


def jsonl_bytes(rows: Rows) -> bytes:
    """Return a JSON Lines file of the rows; numbers stay numbers, nulls are left out."""

    def value(cell: Any) -> Any:
        return cell.isoformat() if isinstance(cell, dt.date) else cell

    lines = [json.dumps({k: value(v) for k, v in row.items() if v is not None}) for row in rows]
    return ("\n".join(lines) + "\n").encode()


_TYPES = {
    "age": pa.int64(), "lab": pa.float64(), "cost": pa.float64(), "admitted": pa.timestamp("us"),
    "discharged": pa.timestamp("us"), "born": pa.date32(), "smoker": pa.bool_(), "died": pa.bool_(),
}  # fmt: skip


def parquet_table(rows: Rows) -> pa.Table:
    """Return the rows under the types that the container declares, whatever is in them."""
    return pa.table({n: pa.array([row[n] for row in rows], _TYPES.get(n, pa.string())) for n in COLUMNS})


def parquet_bytes(rows: Rows) -> bytes:
    """Return a Parquet file of the rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(parquet_table(rows), sink)
    return bytes(sink.getvalue())


Change = Callable[[Rows], Rows]


def _with(**cells: Any) -> Change:
    """Change cells of one row in the middle."""

    def change(rows: Rows) -> Rows:
        at = len(rows) // 2
        return [*rows[:at], {**rows[at], **cells}, *rows[at + 1 :]]

    return change


def _every(**cells: Any) -> Change:
    return lambda rows: [{**row, **cells} for row in rows]


def _unit_of(rows: Rows) -> str:
    """Return a unit with K rows."""
    names = [row["patient"] for row in rows]
    return next(name for name in names if names.count(name) == K)


def _permuted(rows: Rows) -> Rows:
    return [rows[i] for i in np.random.default_rng(3).permutation(len(rows))]


def _more(count: int, unit: Callable[[int], str | None]) -> Change:
    def change(rows: Rows) -> Rows:
        rng = np.random.default_rng(11)
        return [*rows, *[random_row(rng, unit(i)) for i in range(count)]]

    return change


FAR = dt.datetime(9999, 12, 31, 23, 59)
LONG = "x" * 20_000

# What another table of the same header may look like, in every container.
NEIGHBOURS: dict[str, Change] = {
    "one row removed": lambda rows: rows[:100] + rows[101:],
    "first row removed": lambda rows: rows[1:],
    "one row added": _more(1, lambda i: "P99999"),
    "a unit removed": lambda rows: [row for row in rows if row["patient"] != _unit_of(rows)],
    "a unit with ten times its rows added": _more(10 * K, lambda i: "P99999"),
    "a thousand rows added": _more(1000, lambda i: f"Q{i // 2}"),
    "half of the rows": lambda rows: rows[::2],
    "one row left": lambda rows: rows[:1],
    "duplicated rows": lambda rows: [*rows, *rows[:50], *rows[:50]],
    "permuted rows": _permuted,
    "no row has a unit": _every(patient=None),
    "some rows have no unit": lambda rows: [{**r, "patient": None if i % 5 == 0 else r["patient"]}
                                            for i, r in enumerate(rows)],
    "all rows of one unit": _every(patient="P00001"),
    "a new unit id": _with(patient="ZZZ-needle"),
    "outliers": _with(age=2**62, lab=1e308, cost=-1e300, admitted=FAR, discharged=dt.datetime(1, 1, 1),
                      born=dt.date(9999, 12, 31)),
    "small outliers": _with(age=-1, lab=-0.001, cost=1e-300, born=dt.date(1, 1, 1)),
    "not a number": _with(lab=float("nan"), cost=float("inf")),
    "minus infinity": _with(lab=float("-inf"), cost=float("nan")),
    "finer precision": _with(lab=1.23456789, cost=0.1234567, admitted=dt.datetime(2024, 5, 5, 5, 5, 5)),
    "a new category": _with(ward="Ward of the needle", sex="X"),
    "a category called OTHER": _with(ward="OTHER", sex="OTHER"),
    "a category like a null": _with(ward="NA", sex="null"),
    "a unique text": _with(note="a text that nobody else has", mrn="unique"),
    "an extremely long text": _with(ward=LONG, note=LONG, mrn=LONG),
    "an extremely long unit id": _with(patient=LONG),
    "strange signs": _with(ward='"><script>&\u202e\U0001f9ec\u0000', note="a\nb\r\nc,d;e\tf"),
    "one null": _with(lab=None),
    "one row of nulls": _with(**dict.fromkeys(COLUMNS)),
    "no nulls": _every(lab=1.0),
    "one column all null": _every(lab=None),
    "target all null": _every(died=None),
    "every modelled column all null": _every(**dict.fromkeys(n for n in COLUMNS if n != "patient")),
    "one value in every column": lambda rows: [{**rows[0], "patient": row["patient"]} for row in rows],
    "an empty protected group": lambda rows: [row for row in rows if row["sex"] != "F"],
    "a target that never happens": _every(died=False),
    "a rule that never holds": lambda rows: [
        {**row, "admitted": row["discharged"], "discharged": row["admitted"]} for row in rows
    ],
    "one rare pair": _with(ward="maternity", sex="M", age=99),
}  # fmt: skip


def _edit(at: int, change: Callable[[list[bytes]], bytes]) -> Callable[[bytes], bytes]:
    """Change one line of a CSV file, cell by cell."""

    def edit(raw: bytes) -> bytes:
        lines = raw.split(b"\n")
        lines[at] = change(lines[at].split(b","))
        return b"\n".join(lines)

    return edit


def _cell(column: str, value: bytes) -> Callable[[bytes], bytes]:
    place = COLUMNS.index(column)

    def change(cells: list[bytes]) -> bytes:
        return b",".join([*cells[:place], value, *cells[place + 1 :]])

    return _edit(150, change)


# What only a text file can hold.
CSV_NEIGHBOURS: dict[str, Callable[[bytes], bytes]] = {
    "text in an integer column": _cell("age", b"abc"),
    "a fraction in an integer column": _cell("age", b"3.5"),
    "a number beyond double precision": _cell("lab", b"1e400"),
    "text that says inf": _cell("cost", b"-inf"),
    "text that says NaN": _cell("lab", b"NaN"),
    "a decimal comma": _cell("lab", b'"1.234,5"'),
    "a date of the far future": _cell("admitted", b"31/12/9999"),
    "a date that does not exist": _cell("born", b"2023-02-30"),
    "another order of day and month": _cell("born", b"12/31/1999"),
    "a leap second and a zone": _cell("discharged", b"2016-12-31T23:59:60+14:00"),
    "a boolean of another spelling": _cell("smoker", b"maybe"),
    "digits of another script": _cell("age", "\u0664\u0662".encode()),
    "forty digits": _cell("age", b"9" * 40),
    "a stray quote": _cell("ward", b'"ICU'),
    "a quote within a cell": _cell("ward", b'IC"U'),
    "a NUL": _cell("ward", b"IC\0U"),
    "an undecodable byte": _cell("ward", b"IC\xff\xfeU"),
    "a byte order mark inside": _cell("ward", b"\xef\xbb\xbfICU"),
    "a short row": _edit(150, lambda cells: b",".join(cells[:4])),
    "a long row": _edit(150, lambda cells: b",".join([*cells, b"more", b"and more"])),
    "a blank line": _edit(150, lambda cells: b""),
    "a carriage return": _edit(150, lambda cells: b",".join(cells) + b"\r"),
    "a huge line": _edit(150, lambda cells: b",".join([*cells[:-1], b"y" * (2 << 20)])),
    "no end of line at the end": lambda raw: raw.rstrip(b"\n"),
    "the header again": lambda raw: raw + raw.split(b"\n")[0] + b"\n",
}

JSONL_NEIGHBOURS: dict[str, Callable[[bytes], bytes]] = {
    "a line that is no JSON": lambda raw: raw + b"{needle\n",
    "a line that is no object": lambda raw: raw + b'["needle"]\n',
    "an unknown key": lambda raw: raw + b'{"patient": "P1", "needle": 1}\n',
    "nested values": lambda raw: raw + b'{"patient": "P1", "age": [1, 2], "ward": {"a": 1}}\n',
    "other types": lambda raw: raw + b'{"patient": 5, "age": "old", "ward": true, "born": 1e999, "lab": "x"}\n',
    "an empty object": lambda raw: raw + b"{}\n",
}


def write_csv(path: Path, rows: Rows) -> Path:
    """Write a CSV file."""
    path.write_bytes(csv_bytes(rows))
    return path

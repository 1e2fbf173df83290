"""A small ward of which rows refer to more than the row above: measurements to visits, amendments, transfers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_DAY = {"kind": "date", "minimum": "2021-01-01", "maximum": "2024-12-31", "nullable": False}
SPEC: dict[str, Any] = {
    "dataset": "ward",
    "tables": {
        "persons": {
            "key": "person",
            "columns": {"person": {"kind": "id"}, "sex": {"kind": "categorical", "categories": ["F", "M"]}},
        },
        # Its rows come before those that they refer to.
        "measurements": {
            "key": "nr",
            "parent": {"table": "persons", "column": "person"},
            "refers_to": [{"table": "visits", "column": "visit"}, {"table": "measurements", "column": "amends"}],
            "order": "taken",
            "max_children": 8,
            "columns": {
                "nr": {"kind": "id"},
                "taken": _DAY,
                "name": {"kind": "categorical", "categories": ["crp", "hb"], "nullable": False},
            },
        },
        "visits": {
            "key": "visit",
            "parent": {"table": "persons", "column": "person"},
            "order": "began",
            "max_children": 5,
            "columns": {
                "visit": {"kind": "id"},
                "began": _DAY,
                "sort": {"kind": "categorical", "categories": ["in", "out"], "nullable": False},
            },
        },
        "transfers": {
            "parent": {"table": "persons", "column": "person"},
            "refers_to": [{"table": "persons", "column": "to_person", "whose": "another"}],
            "max_children": 3,
            "columns": {"amount": {"kind": "integer", "minimum": 0, "maximum": 9, "nullable": False}},
        },
    },
}


def ward(persons: int = 1_500, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return tables: of ten measurements eight are of the last visit, one of the visit before, and one of none."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SPEC["tables"]}
    for i in range(persons):
        key, day = f"p{i:05d}", int(rng.integers(0, 300))
        rows["persons"].append((key, str(rng.choice(["F", "M"]))))
        visits: list[str] = []
        for _ in range(int(rng.integers(0, 5))):
            visits.append(f"v{len(rows['visits']):06d}")
            rows["visits"].append((visits[-1], key, _date(day), str(rng.choice(["in", "out"]))))
            for _ in range(int(rng.integers(0, 3))):
                lot, last = rng.random(), rows["measurements"][-1:]
                visit = None if lot < 0.1 else visits[-2] if lot < 0.2 and len(visits) > 1 else visits[-1]
                name = str(rng.choice(["crp", "hb"]))
                nr, taken = f"m{len(rows['measurements']):06d}", _date(day + int(rng.integers(0, 5)))
                earlier = bool(last) and last[0][1] == key and last[0][2] <= taken
                amended = last[0][0] if earlier and rng.random() < 0.3 else None
                rows["measurements"].append((nr, key, taken, name, visit, amended))
            day += int(rng.integers(10, 90))
        for _ in range(int(rng.integers(0, 3))):
            other = f"p{rng.integers(persons):05d}" if rng.random() < 0.6 else None
            rows["transfers"].append((key, other, int(rng.integers(0, 9))))
    names = {
        "persons": ["person", "sex"],
        "measurements": ["nr", "person", "taken", "name", "visit", "amends"],
        "visits": ["visit", "person", "began", "sort"],
        "transfers": ["person", "to_person", "amount"],
    }
    return {name: pd.DataFrame(rows[name], columns=columns) for name, columns in names.items()}


def _date(day: int) -> str:
    return (pd.Timestamp("2021-01-01") + pd.Timedelta(days=day)).strftime("%Y-%m-%d")

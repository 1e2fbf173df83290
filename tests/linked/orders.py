"""A small shop whose tables have keys of several columns: accounts of two clients, orders, numbered lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

SPEC: dict[str, Any] = {
    "dataset": "shop",
    "tables": {
        "accounts": {
            "key": ["client", "account"],
            "columns": {
                "client": {"kind": "categorical", "categories": ["100", "200"], "nullable": False},
                "account": {"kind": "id", "format": "A{9 digits}"},
                "segment": {"kind": "categorical", "categories": ["a", "b"], "nullable": False},
            },
        },
        "orders": {
            "key": ["client", "order_no"],
            "parent": {"table": "accounts", "columns": ["client", "sold_to"]},
            "order": "day",
            "max_children": 6,
            "columns": {
                "client": {},
                "order_no": {"kind": "id"},
                "sold_to": {"kind": "id"},
                "day": {"kind": "date", "minimum": "2021-01-01", "maximum": "2023-12-31", "nullable": False},
            },
        },
        "lines": {
            "key": ["client", "order_no", "line"],
            "parent": {"table": "orders", "columns": ["client", "order_no"]},
            "max_children": 20,
            "columns": {
                "client": {},
                "order_no": {},
                "line": {"kind": "integer", "minimum": 10, "precision": 10},
                "product": {"kind": "categorical", "categories": ["x", "y", "z"], "nullable": False},
            },
        },
        "deliveries": {
            "parent": {"table": "lines", "columns": ["client", "order_no", "line"]},
            "max_children": 20,
            "columns": {"late": {"kind": "boolean", "nullable": False}, "client": {}, "order_no": {}, "line": {}},
        },
    },
}


def shop(accounts: int = 1_500, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return tables: both clients number their accounts and orders from 0; lines are x, y, z in turn, some twice."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SPEC["tables"]}
    numbers = {"100": 0, "200": 0}
    for i in range(accounts):
        client, account = ("100", "200")[i % 2], f"A{i // 2:05d}"
        rows["accounts"].append((client, account, str(rng.choice(["a", "b"]))))
        day = int(rng.integers(0, 300))
        for _ in range(int(rng.integers(0, 4))):
            number, numbers[client] = numbers[client], numbers[client] + 1
            date = (pd.Timestamp("2021-01-01") + pd.Timedelta(days=day)).strftime("%Y-%m-%d")
            rows["orders"].append((client, f"{number:06d}", account, date))
            for line in range(int(rng.integers(1, 4))):
                rows["lines"].append((client, f"{number:06d}", 10 * (line + 1), "xyz"[line]))
                if rng.random() < 0.5:
                    rows["deliveries"].append((client, f"{number:06d}", 10 * (line + 1), str(rng.random() < 0.2)))
            day += int(rng.integers(1, 90))
    names = {
        "accounts": ["client", "account", "segment"],
        "orders": ["client", "order_no", "sold_to", "day"],
        "lines": ["client", "order_no", "line", "product"],
        "deliveries": ["client", "order_no", "line", "late"],
    }
    frames = {name: pd.DataFrame(rows[name], columns=columns) for name, columns in names.items()}
    frames["lines"] = frames["lines"].sample(frac=1, random_state=1).reset_index(drop=True)
    return frames

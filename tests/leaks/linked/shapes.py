"""Tables of other shapes than the clinic, of texts and with little declared.

The shop has keys of several columns and four levels; in the ward rows refer to rows of another table, to earlier rows
of their own, and to other persons.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from leaks.linked.persons import Frames, Rows
from linked.orders import SPEC as SHOP
from linked.orders import shop
from linked.ward import SPEC as WARD
from linked.ward import ward

from privsynth.schema.linked import LinkedSchema

ORDERS, LINES = 4, 8  # rows of a person that are used


def _undeclared(table: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a table of which nothing is declared but its keys, its order, and what these need."""
    key = table.get("key", ())
    needed = {
        *((key,) if isinstance(key, str) else key),
        *table.get("parent", {}).get("columns", ()),
        table.get("order"),
    }
    columns = {name: column for name, column in table["columns"].items() if name in needed}
    return {**table, "columns": columns, **more}


SPEC: dict[str, Any] = {
    "dataset": "shop",
    "tables": {
        "accounts": _undeclared(SHOP["tables"]["accounts"]),
        "orders": _undeclared(SHOP["tables"]["orders"], max_children=ORDERS),
        "lines": _undeclared(SHOP["tables"]["lines"], max_children=LINES),
        "deliveries": _undeclared(SHOP["tables"]["deliveries"], max_children=LINES),
    },
}
SCHEMA = LinkedSchema.model_validate(SPEC)
MEASUREMENTS, VISITS = 6, 3
WARD_SCHEMA = LinkedSchema.model_validate(
    {
        "dataset": "ward",
        "tables": {
            "persons": _undeclared(WARD["tables"]["persons"]),
            "measurements": _undeclared(WARD["tables"]["measurements"], max_children=MEASUREMENTS),
            "visits": _undeclared(WARD["tables"]["visits"], max_children=VISITS),
            "transfers": _undeclared(WARD["tables"]["transfers"], max_children=2),
        },
    }
)
NEW = ("100", "new")


def texts(accounts: int = 60, seed: int = 0) -> Frames:
    """Return the tables of the shop as texts."""
    return {name: frame.astype(str).astype(object) for name, frame in shop(accounts, seed).items()}


def ward_texts(persons: int = 60, seed: int = 0) -> Frames:
    """Return the tables of the ward as texts, with nulls."""
    return {name: frame.astype(object).map(_text) for name, frame in ward(persons, seed).items()}


def _text(cell: object) -> str | None:
    return None if cell is None or cell is pd.NA else str(cell)


def with_rows(frames: Frames, more: Rows, seed: int = 0) -> Frames:
    """Return the tables with more rows, in their order, at random places."""
    rng, found = np.random.default_rng(seed), {}
    for name, frame in frames.items():
        extra = pd.DataFrame(more.get(name, []), columns=frame.columns, dtype=object)
        at = np.concatenate([np.arange(len(frame)), np.sort(rng.integers(0, len(frame) + 1, len(extra))) - 0.5])
        both = pd.concat([frame, extra], ignore_index=True)
        found[name] = both.iloc[np.argsort(at, kind="stable")].reset_index(drop=True)
    return found


def alike(orders: int, lines: int, *, client: str = NEW[0], prefix: str = "new") -> Rows:
    """Return the rows of a new person: orders that are alike but for their keys, with so many equal lines each."""
    keys = [f"{prefix}-{n}" for n in range(orders)]
    numbered = [(client, key, str(10 * n)) for key in keys for n in range(lines)]
    return {
        "accounts": [(client, NEW[1], "a")],
        "orders": [(client, key, NEW[1], "2021-06-01") for key in keys],
        "lines": [(*key, "x") for key in numbered],
        "deliveries": [(*key, "True") for key in numbered],
    }


def without(frames: Frames, account: tuple[str, str]) -> Frames:
    """Return the tables without a person, and without the rows that belong to that person alone."""
    accounts, orders = frames["accounts"], frames["orders"]
    gone = (accounts["client"] == account[0]) & (accounts["account"] == account[1])
    theirs = (orders["client"] == account[0]) & (orders["sold_to"] == account[1])
    numbers = set(zip(orders["client"][theirs], orders["order_no"][theirs], strict=True))
    found = {"accounts": accounts[~gone], "orders": orders[~theirs]}
    for name in ("lines", "deliveries"):
        frame = frames[name]
        kept = [key not in numbers for key in zip(frame["client"], frame["order_no"], strict=True)]
        found[name] = frame[kept]
    return {name: frame.reset_index(drop=True) for name, frame in found.items()}


def referring(visits: int, measurements: int, *, persons_visit: str = "", amends: str = "") -> Rows:
    """Return the rows of a new person of the ward, all alike: each measurement amends the one before.

    Args:
      persons_visit, amends: what all measurements refer to instead of the person's own last visit and the row before.
    """
    last = f"v-new-{visits - 1}" if visits else None
    numbered = [f"m-new-{n}" for n in range(measurements)]
    return {
        "persons": [("new", "F")],
        "visits": [(f"v-new-{n}", "new", "2021-06-01", "in") for n in range(visits)],
        "measurements": [
            (nr, "new", "2021-06-02", "crp", persons_visit or last, amends or (numbered[n - 1] if n else None))
            for n, nr in enumerate(numbered)
        ],
        "transfers": [("new", "p00001", "9"), ("new", "p00001", "9"), ("new", "p00002", "9")],
    }


def without_patient(frames: Frames, person: str) -> Frames:
    """Return the tables of the ward without a person; what others refer to stays as it is written."""
    return {name: frame[frame["person"] != person].reset_index(drop=True) for name, frame in frames.items()}

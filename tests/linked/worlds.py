"""Groups of persons of a small clinic, side by side, with faults planted into the synthetic ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from linked.clinic import clinic

from privsynth.audit.linked.linked_tables import KeyedRows, LinkedPersons, LinkedTables, people_by_keys

ABOVE = {"stays": "patients", "tests": "stays"}
KINDS = {
    "patients": {"sex": "categorical", "born": "date"},
    "stays": {"admitted": "date", "ward": "categorical", "days": "integer"},
    "tests": {"name": "categorical", "value": "numeric"},
}
KEYS = {"patients": ("patient_id", None), "stays": ("stay_id", "patient"), "tests": (None, "stay")}


def keyed(frames: dict[str, pd.DataFrame]) -> dict[str, KeyedRows]:
    """Return the frames of a clinic as the audits take them."""
    found = {}
    for name, (key, parent) in KEYS.items():
        frame = frames[name]
        values = frame[list(KINDS[name])].reset_index(drop=True)
        for column, kind in KINDS[name].items():
            if kind == "date":
                values[column] = pd.to_datetime(values[column]).astype("datetime64[s]")
            elif kind != "categorical":
                values[column] = values[column].astype(float)
        found[name] = KeyedRows(
            values,
            key=None if key is None else frame[key].reset_index(drop=True),
            parent=None if parent is None else frame[parent].reset_index(drop=True),
            order="admitted" if name == "stays" else "",
        )
    return found


def people(frames: dict[str, pd.DataFrame]) -> LinkedPersons:
    """Return the persons of a clinic."""
    return people_by_keys(keyed(frames), ABOVE)


def real(seed: int, persons: int = 1_500, held: int = 500) -> dict[str, LinkedPersons]:
    """Return training and holdout persons of one population."""
    return {"train": people(clinic(persons, seed)), "holdout": people(clinic(held, seed + 1))}


def tables(synthetic: LinkedPersons, parts: dict[str, LinkedPersons]) -> LinkedTables:
    """Return the three groups of persons side by side."""
    return LinkedTables(
        train=parts["train"],
        holdout=parts.get("holdout"),
        synthetic=synthetic,
        root="patients",
        above=ABOVE,
        orders={"stays": "admitted"},
        kinds=KINDS,
    )


def with_other_parents(frames: dict[str, pd.DataFrame], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return a clinic whose stays belong to random patients."""
    stays = frames["stays"]
    return {**frames, "stays": stays.assign(patient=rng.permutation(stays["patient"]))}


def with_broken_order(frames: dict[str, pd.DataFrame], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Return a clinic in which the days of admission of each patient are exchanged."""
    stays = frames["stays"]
    mixed = stays.assign(at=stays["patient"], lot=rng.random(len(stays))).sort_values(["at", "lot"])
    ordered = stays.assign(row=np.arange(len(stays))).sort_values(["patient", "row"], kind="stable")
    days = pd.Series(mixed["admitted"].to_numpy(), index=ordered["row"].to_numpy()).sort_index()
    return {**frames, "stays": stays.assign(admitted=days.to_numpy())}

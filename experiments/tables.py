"""Write tables that need no download, divided into training and holdout rows: python experiments/tables.py FOLDER.

Five tables of scikit-learn, the two invented tables of `sample_data/`, and `parity`, whose target depends on three
columns together and on no two of them. Beside them `tables.yaml`, which `experiments/run.py` takes. The same seed gives
the same files.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from privsynth.schema.files import load_schema

HOLDOUT = 0.2
SEED = 20_261_122
SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"
# Tables of scikit-learn -> what to call the target.
BUNDLED = {
    "breast_cancer": "diagnosis",
    "wine": "cultivar",
    "iris": "species",
    "digits": "digit",
    "diabetes": "progress",
}


def main() -> None:
    """Write all tables, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names with commas between them")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [*BUNDLED, "hospital", "transactions", "parity"]
    write_tables(options.folder, names, seed=options.seed)


def write_tables(folder: Path, names: list[str], *, seed: int = SEED) -> Path:
    """Write the named tables and `tables.yaml`, and return the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name in names:
        frame, entry = table(name, seed=seed)
        held = split(frame, entry["unit"], seed=seed)
        for part, rows in (("train", frame[~held]), ("hold", frame[held])):
            rows.to_csv(folder / f"{name}.{part}.csv", index=False, lineterminator="\n")
        entries[name] = {"train": f"{name}.train.csv", "holdout": f"{name}.hold.csv", **entry}
    listed = folder / "tables.yaml"
    settings: dict[str, Any] = {"generators": ["marginal", "arn"], "epsilons": [0.5, 1, 3, 10], "seeds": 5}
    listed.write_text(yaml.safe_dump({**settings, "tables": entries}, sort_keys=False), encoding="utf-8")
    return listed


def table(name: str, *, seed: int = SEED) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a table and what `run.py` must know of it: unit, target, schema."""
    if name in BUNDLED:
        return bundled(name), {"unit": "row", "target": BUNDLED[name]}
    if name == "parity":
        return parity(seed=seed), {"unit": "row", "target": "odd"}
    schema = str(SAMPLES / f"{name}.schema.yaml")
    if name == "hospital":
        frame = pd.read_csv(SAMPLES / "hospital.csv", dtype=str, keep_default_na=False)
        return frame, {"unit": "patient_id", "target": "readmitted_30d", "schema": schema}
    if name == "transactions":
        with gzip.open(SAMPLES / "transactions.jsonl.gz", "rt", encoding="utf-8") as lines:
            frame = pd.DataFrame([json.loads(line) for line in lines])
        unit = load_schema(Path(schema)).unit
        return frame, {"unit": unit, "target": "fraud", "schema": schema}
    raise SystemExit(f"there is no table '{name}'")


def bundled(name: str) -> pd.DataFrame:
    """Return a table of scikit-learn, classes by name."""
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    frame = pd.DataFrame(data.data, columns=[str(column) for column in data.feature_names])
    classes = getattr(data, "target_names", None)
    target = data.target if classes is None else [str(classes[i]) for i in data.target]
    return frame.assign(**{BUNDLED[name]: target})


def parity(*, seed: int, n: int = 20_000) -> pd.DataFrame:
    """Return eight fair coins; `odd` says whether the first three have an odd sum, wrongly for one row in ten."""
    rng = np.random.default_rng(seed)
    coins = rng.integers(0, 2, (n, 8))
    odd = (coins[:, :3].sum(axis=1) + (rng.random(n) < 0.1)) % 2
    frame = pd.DataFrame(np.where(coins == 1, "heads", "tails"), columns=[f"coin{i}" for i in range(1, 9)])
    return frame.assign(odd=np.where(odd == 1, "yes", "no"))


def split(frame: pd.DataFrame, unit: str, *, seed: int) -> np.ndarray:
    """Return (n,) booleans: held out. All rows of a unit are on one side."""
    rng = np.random.default_rng(seed)
    if unit == "row":
        return rng.random(len(frame)) < HOLDOUT
    codes, units = pd.factorize(frame[unit])
    return (rng.random(len(units)) < HOLDOUT)[codes]


if __name__ == "__main__":
    main()

"""Run another generator on linked tables; in the peer's own environment, since it needs nothing of privsynth.

    python experiments/peers/linked.py sdv-hma FOLDER SCHEMA.yaml OUT
    python experiments/peers/linked.py dpsynth FOLDER SCHEMA.yaml OUT --epsilon 3 --source CHECKOUT

FOLDER holds TABLE.csv of each table that the schema names (see docs/linked-tables.md); OUT gets TABLE.csv of synthetic
rows. Prints one line of JSON: seconds of the processor to fit and to sample, and peak memory. What the schema declares
is given to every peer: kinds, bounds, categories and links. One level of children, as the peers have it here.

`sdv-hma` and `sdv-par` promise no privacy. PAR learns one table of sequences, each with its parent's columns.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

Frames = dict[str, pd.DataFrame]
Sample = Callable[[int], Frames]
START = pd.Timestamp("1900-01-01")


def main() -> None:
    """Run one peer once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=["sdv-hma", "sdv-par", "dpsynth"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("schema", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--delta", type=float, default=1e-6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", help="checkout of google/dpsynth")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = yaml.safe_load(options.schema.read_text(encoding="utf-8"))["tables"]
    read = {name: pd.read_csv(options.folder / f"{name}.csv", low_memory=False) for name in tables}
    frames = {name: plain(rows, tables[name]) for name, rows in read.items()}
    np.random.seed(options.seed)
    start = time.process_time()
    fit = {"sdv-hma": hma, "sdv-par": par, "dpsynth": dpsynth}[options.peer]
    sample = fit(frames, tables, options)
    fitted = time.process_time()
    root = next(name for name, table in tables.items() if "parent" not in table)
    drawn = sample(len(frames[root]))
    options.out.mkdir(parents=True, exist_ok=True)
    for name, rows in drawn.items():
        written(rows, tables[name]).to_csv(options.out / f"{name}.csv", index=False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"fit_s": fitted - start, "sample_s": time.process_time() - fitted, "peak_mib": peak}
    print(json.dumps(told | {name: len(rows) for name, rows in drawn.items()}))


def links(table: Mapping[str, Any]) -> list[str]:
    """Return the columns that hold keys."""
    parent = table.get("parent", {}).get("column")
    return [column for column in (table.get("key"), parent) if column is not None]


def columns(table: Mapping[str, Any], *kinds: str) -> list[str]:
    """Return the columns of some kinds, or all, without keys."""
    return [c for c, told in table["columns"].items() if c not in links(table) and (not kinds or told["kind"] in kinds)]


def plain(frame: pd.DataFrame, table: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows whose times are days since 1900 and whose categories are texts."""
    for name in columns(table, "date", "datetime"):
        frame[name] = (pd.to_datetime(frame[name]) - START) / pd.Timedelta(days=1)
    for name in columns(table, "categorical", "boolean"):
        frame[name] = frame[name].map(text).fillna("missing")
    return frame


def text(value: object) -> str | None:
    """Return how a category is written: whole numbers without a point."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def written(frame: pd.DataFrame, table: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows as the source has them."""
    frame = frame.copy()
    for name in columns(table, "date", "datetime"):
        days = pd.to_numeric(frame[name], errors="coerce")
        whole = table["columns"][name]["kind"] == "date"
        frame[name] = (START + pd.to_timedelta(days.round() if whole else days, unit="D")).dt.strftime(
            "%Y-%m-%d" if whole else "%Y-%m-%dT%H:%M:%S"
        )
    for name in columns(table, "categorical", "boolean"):
        frame[name] = frame[name].replace("missing", np.nan)
    for name in columns(table, "integer"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce").round()
    return frame[[c for c in table["columns"] if c in frame]]


def hma(frames: Frames, tables: Mapping[str, Any], options: argparse.Namespace) -> Sample:
    """Fit SDV's HMA."""
    from sdv.metadata import Metadata
    from sdv.multi_table import HMASynthesizer

    model = HMASynthesizer(Metadata.load_from_dict(sdv_metadata(tables, relations=True)))
    model.fit(frames)
    root = next(name for name, table in tables.items() if "parent" not in table)
    return lambda n: model.sample(num_rows=n, main_table_name=root)


def par(frames: Frames, tables: Mapping[str, Any], options: argparse.Namespace) -> Sample:
    """Fit SDV's PAR on the first child table, each row with the columns of its parent."""
    from sdv.metadata import Metadata
    from sdv.sequential import PARSynthesizer

    (root, above), (child, below) = list(tables.items())[:2]
    key, link, context = above["key"], below["parent"]["column"], columns(above)
    joined = frames[child].merge(frames[root].rename(columns={key: link}), on=link)[[link, *context, *columns(below)]]
    joined[link] = joined[link].astype(str)
    told = {c: sdv_column(table["columns"][c]) for table in (above, below) for c in columns(table)}
    one = {"columns": {link: {"sdtype": "id"}, **told}, "sequence_key": link, "sequence_index": below["order"]}
    metadata = Metadata.load_from_dict({"tables": {child: one}, "relationships": []})
    model = PARSynthesizer(metadata, context_columns=context)
    model.fit({child: joined})

    def sample(n: int) -> Frames:
        rows = model.sample(num_sequences=n)
        rows = rows[child] if isinstance(rows, dict) else rows
        persons = rows.groupby(link, sort=False)[context].first().reset_index().rename(columns={link: key})
        return {root: persons, child: rows[[link, *columns(below)]]}

    return sample


def sdv_metadata(tables: Mapping[str, Any], *, relations: bool) -> dict[str, Any]:
    """Return SDV's description of what the schema declares."""
    found: dict[str, Any] = {"tables": {}, "relationships": []}
    for name, table in tables.items():
        told = {c: {"sdtype": "id"} for c in links(table)}
        told |= {c: sdv_column(table["columns"][c]) for c in columns(table)}
        found["tables"][name] = {"columns": told, **({"primary_key": table["key"]} if "key" in table else {})}
        if "parent" in table:
            above = table["parent"]["table"]
            found["relationships"].append({
                "parent_table_name": above, "parent_primary_key": tables[above]["key"],
                "child_table_name": name, "child_foreign_key": table["parent"]["column"],
            })  # fmt: skip
    return found


def sdv_column(told: Mapping[str, Any]) -> dict[str, str]:
    """Return SDV's word for a kind."""
    return {"sdtype": "categorical" if told["kind"] in ("categorical", "boolean") else "numerical"}


def dpsynth(frames: Frames, tables: Mapping[str, Any], options: argparse.Namespace) -> Sample:
    """Fit google/dpsynth's synthesizer of several tables, with the mechanism of its own example."""
    sys.path.insert(0, options.source)
    from dpsynth import discrete_mechanisms, domain, relational

    domains: dict[str, Any] = {}
    for name, table in tables.items():
        domains[name] = {}
        for column in columns(table):
            told = table["columns"][column]
            if told["kind"] in ("categorical", "boolean"):
                kinds = [text(value) for value in told["categories"]]
                domains[name][column] = domain.CategoricalAttribute(
                    possible_values=kinds + (["missing"] if told.get("nullable", True) else [])
                )
            else:
                low, high = (number(told[end]) for end in ("minimum", "maximum"))
                domains[name][column] = domain.NumericalAttribute(
                    min_value=low, max_value=high, clip_to_range=not told.get("nullable", True)
                )
        if not domains[name]:  # it needs a column in each table
            domains[name]["nothing"] = domain.CategoricalAttribute(possible_values=["nothing"])
            frames[name]["nothing"] = "nothing"
    keys = [
        relational.ForeignKeyRelation(
            parent_table=table["parent"]["table"],
            parent_primary_key=tables[table["parent"]["table"]]["key"],
            child_table=name,
            child_foreign_key=table["parent"]["column"],
            max_children_per_parent=table["max_children"],
        )
        for name, table in tables.items()
        if "parent" in table
    ]
    config = relational.MultiTableConfig(
        domains=domains, foreign_keys=keys, discrete_mechanism=discrete_mechanisms.MSTConfig()
    )
    # Its own calibration does not fit every version of dp-accounting; this conversion is exact, and generous.
    rho = gaussian_mu(options.epsilon, options.delta) ** 2 / 2
    made = config.configure(zcdp_rho=rho)(np.random.default_rng(options.seed), frames)
    return lambda n: dict(made.synthetic_tables)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return μ of the Gaussian mechanism that promises (ε, δ), exactly."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def excess(mu: float) -> float:
        return float(norm.cdf(-epsilon / mu + mu / 2) - np.exp(epsilon) * norm.cdf(-epsilon / mu - mu / 2) - delta)

    return float(brentq(excess, 1e-3, 20.0))


def number(bound: object) -> float:
    """Return a bound as a number: a time as days since 1900."""
    if isinstance(bound, int | float):
        return float(bound)
    return float((pd.Timestamp(str(bound)) - START) / pd.Timedelta(days=1))


if __name__ == "__main__":
    main()

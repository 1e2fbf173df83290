"""Write schemas that tell ours what every peer is told: python experiments/peers/given.py FOLDER.

The peers take the categories of a column, and some its least and largest number, from the rows, outside their ε. A
schema with the same knowledge makes the comparison even. It is for comparisons alone: what it says was not paid for,
so that no run with it keeps its promise, unless a public code book says the same. FOLDER holds tables and their list
`tables.yaml`; `declared.yaml` there will list each of them as NAME-declared, with such a schema.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from adapters import numeric


def main() -> None:
    """Write a schema for each table of a folder, and the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    listing = yaml.safe_load((folder / "tables.yaml").read_text(encoding="utf-8"))
    declared = {}
    for name, entry in listing["tables"].items():
        text = pd.read_csv(folder / entry["train"], dtype=str, keep_default_na=False, na_values=[""])
        frame = pd.read_csv(folder / entry["train"], low_memory=False)
        columns = code_book(frame, text.drop(columns=entry["unit"], errors="ignore"))
        schema = f"{name}.declared.yaml"
        (folder / schema).write_text(yaml.safe_dump({"columns": columns}, sort_keys=False), encoding="utf-8")
        declared[f"{name}-declared"] = {**entry, "schema": schema}
    listing["tables"] = declared
    (folder / "declared.yaml").write_text(yaml.safe_dump(listing, sort_keys=False), encoding="utf-8")


def code_book(frame: pd.DataFrame, text: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the columns of a schema: bounds of numbers of more than 20 kinds, categories of all else, as written."""
    numbers = set(numeric(frame))
    found: dict[str, dict[str, Any]] = {}
    for name in text:
        nullable = bool(text[name].isna().any())
        if name in numbers:
            seen = frame[name].dropna()
            whole = bool((seen == seen.round()).all())
            low, high = (int(end) if whole else float(end) for end in (seen.min(), seen.max()))
            kind = "integer" if whole else "numeric"
            found[name] = {"kind": kind, "minimum": low, "maximum": high, "nullable": nullable}
        else:
            kinds = sorted(text[name].dropna().unique().tolist())
            found[name] = {"kind": "categorical", "categories": kinds, "nullable": nullable}
    return found


if __name__ == "__main__":
    main()

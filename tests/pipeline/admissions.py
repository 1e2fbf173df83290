"""A small table of admissions, and the command line run on it in this process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner, Result

from privsynth.cli import main
from privsynth.ledger.ledger import Ledger
from privsynth.workspace import privsynth_home

NEEDLE = "Quillfeather"  # in every row of `note`, which is never declared as categories
COLUMNS = ("patient", "ward", "age", "admitted", "discharged", "note")
# Tables of a test are small: whether something can be learned from them is another test's matter.
FAST = ("--generator", "marginal", "--audit", "none", "--holdout-fraction", "0", "--anyway")
# The exit codes of a run that made a release: 3 says that a check failed, as the noise of one run may have it.
RELEASED = (0, 3)


def admissions(n: int = 120) -> str:
    """Return CSV text: two rows a patient, some cells empty."""
    rng = np.random.default_rng(20261122)
    lines = [",".join(COLUMNS)]
    for i in range(n):
        admitted = np.datetime64("2024-01-01") + int(rng.integers(0, 300))
        discharged = admitted + int(rng.integers(0, 9)) if rng.random() < 0.9 else ""
        ward = ("ICU", "ER", "surgery")[rng.integers(3)]
        lines.append(f"p{i // 2},{ward},{rng.integers(18, 90)},{admitted},{discharged},{NEEDLE} {i}")
    return "\n".join(lines) + "\n"


def schema(**changes: object) -> dict:
    """Return a schema for `admissions`; a change of None takes the key away."""
    found = {
        "dataset": "admissions",
        "unit": "patient",
        "max_rows_per_unit": 2,
        "columns": {
            "patient": {"kind": "id"},
            "ward": {"kind": "categorical", "categories": ["ICU", "ER", "surgery"]},
            "age": {"kind": "integer", "minimum": 0, "maximum": 120},
            "admitted": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
            "discharged": {"kind": "date", "minimum": "2024-01-01", "maximum": "2024-12-31"},
            "note": {"kind": "text"},
        },
        "rules": ["discharged >= admitted"],
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def column(name: str, **changes: object) -> dict:
    """Return the columns of `schema` with one of them changed."""
    columns = dict(schema()["columns"])
    return {"columns": columns | {name: columns.get(name, {}) | changes}}


def write(folder: Path, name: str, content: str | bytes | dict) -> Path:
    """Write a file: a mapping as YAML, text as UTF-8."""
    path = folder / name
    if isinstance(content, dict):
        content = yaml.safe_dump(content, sort_keys=False)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def run(*args: object, **more: object) -> Result:
    """Run the command line."""
    return CliRunner().invoke(main, [str(arg) for arg in args], **more)  # type: ignore[arg-type]


def tree(folder: Path) -> set[str]:
    """Return every file and folder below, as relative paths."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def spent() -> dict[str, float]:
    """Return what the ledger says each dataset has spent, without those that have spent nothing."""
    accounts = Ledger(privsynth_home()).accounts()
    return {a.dataset: a.to_json()["spent_epsilon"] for a in accounts if a.spent_epsilon_units or a.spent_delta_units}


def left_in_workspace() -> set[str]:
    """Return what runs have left in the private workspace."""
    work = privsynth_home() / "work"
    return {name for name in os.listdir(work) if name != ".sweep"} if work.exists() else set()

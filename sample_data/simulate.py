"""Write the sample tables and their schemas. Nobody in them exists.

    python sample_data/simulate.py [--out FOLDER] [--seed NUMBER]

Needs numpy and nothing else. The same seed gives the same rows, and without options the files of this folder.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # so that the file also loads by its path

from simulator.codebook import hospital_schema, linked_schema, transactions_schema  # noqa: E402
from simulator.hospital import N_PATIENTS, simulate_hospital  # noqa: E402
from simulator.linked import N_LINKED_PATIENTS, simulate_tables  # noqa: E402
from simulator.transactions import N_ACCOUNTS, N_TRANSACTIONS, simulate_transactions  # noqa: E402

SEED = 20230101


def build_files(*, seed: int = SEED, scale: float = 1.0) -> dict[str, bytes]:
    """Return name -> bytes of every file; `scale` below 1 makes smaller tables of the same kind."""
    hospital = simulate_hospital(seed=seed, n_patients=round(scale * N_PATIENTS))
    transactions = simulate_transactions(
        seed=seed + 1, n_accounts=round(scale * N_ACCOUNTS), n_transactions=round(scale * N_TRANSACTIONS)
    )
    tables = simulate_tables(seed=seed + 2, n_patients=round(scale * N_LINKED_PATIENTS))
    return {
        "hospital.csv": csv_bytes(hospital),
        "hospital.schema.yaml": hospital_schema().encode(),
        "transactions.jsonl.gz": json_lines_gz(transactions),
        "transactions.schema.yaml": transactions_schema().encode(),
        **{f"hospital/{name}.csv": csv_bytes(table) for name, table in tables.items()},
        "hospital/schema.yaml": linked_schema().encode(),
    }


def csv_bytes(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return RFC 4180 text in UTF-8 with bare line feeds; a missing value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(name, values) for name, values in columns.items()), strict=True))
    return text.getvalue().encode()


def _cells(name: str, values: np.ndarray) -> list[str]:
    if values.dtype == bool:
        return ["true" if value else "false" for value in values]
    if values.dtype.kind == "f":
        digits = 1 if name in ("crp", "length_of_stay", "value") else 0
        return ["" if np.isnan(value) else f"{value:.{digits}f}" for value in values]
    return [str(value) for value in values]


def json_lines_gz(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return one JSON object a line, compressed; the header of the archive holds no time and no name."""
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    lines = [json.dumps(dict(zip(columns, row, strict=True)), separators=(",", ":")) for row in rows]
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return packed.getvalue()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description="Write the sample tables and their schemas.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: this one)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the simulation (default: {SEED})")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in build_files(seed=options.seed).items():
        (options.out / name).parent.mkdir(exist_ok=True)
        (options.out / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()

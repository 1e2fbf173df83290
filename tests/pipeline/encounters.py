"""An invented table of hospital encounters whose diagnoses are ICD-9 codes, of which 98 % are digits."""

from __future__ import annotations

import numpy as np
import pandas as pd


def icd9_codes(rng: np.random.Generator, size: int) -> list[str]:
    """Return distinct codes: three digits, some with decimals, and a few V and E codes."""
    found: list[str] = []
    while len(found) < size:
        kind, number = rng.random(), int(rng.integers(1, 1000))
        code = f"V{number % 90:02d}" if kind < 0.05 else f"E{800 + number % 200}" if kind < 0.08 else str(number)
        code = f"{code}.{rng.integers(1, 99):02d}" if 0.08 < kind < 0.2 else code
        found += [code] if code not in found else []
    return found


def encounters(n_rows: int = 20_000, seed: int = 7) -> pd.DataFrame:
    """Return rows in which few codes are frequent and hundreds are rare; 98 % of the cells are digits."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name in ("diag_1", "diag_2"):
        codes = np.array(icd9_codes(rng, 500), dtype=object)
        digits = np.array([code[0].isdigit() for code in codes])
        share = 1.0 / (1.0 + rng.permutation(len(codes))) ** 0.9
        # V and E codes are two of a hundred cells, as in the table that this stands for.
        share = np.where(digits, 0.98 * share / share[digits].sum(), 0.02 * share / share[~digits].sum())
        columns[name] = rng.choice(codes, n_rows, p=share)
    columns["admission_type_id"] = rng.choice([1, 2, 3, 5, 6], n_rows, p=[0.5, 0.2, 0.2, 0.05, 0.05]).astype(str)
    columns["time_in_hospital"] = rng.integers(1, 15, n_rows).astype(str)
    columns["number_diagnoses"] = rng.integers(1, 17, n_rows).astype(str)
    columns["readmitted"] = rng.choice(["NO", "<30", ">30"], n_rows, p=[0.54, 0.11, 0.35])
    return pd.DataFrame(columns)

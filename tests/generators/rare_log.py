"""A small log in which a few units have rows with a rare value of the target; tests of rare values share it."""

from __future__ import annotations

import numpy as np

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded

SIZES = [4, 3, 6]
SHARES = [np.full(4, 0.25), np.array([0.97, 0.02, 0.01]), np.full(6, 1 / 6)]


def log_of(units: int = 60, seed: int = 0, *, k: int, target: int = 1) -> Encoded:
    """Return a log in which a few units have a few rare rows, which look like no other row."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), rng.integers(1, k + 1, units))
    codes = np.stack([rng.integers(0, size, len(unit)) for size in SIZES])
    codes[1] = 0
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    for at in first[: units // 5]:
        rows = at + np.arange(min(5, (unit == unit[at]).sum()))
        codes[1, rows] = rng.integers(1, 3, len(rows))
        codes[0, rows] = 3
    return encoded(codes, unit, k=k, target=target)


def encoded(codes: np.ndarray, unit: np.ndarray, *, k: int, target: int = 1) -> Encoded:
    """Return codes of the three attributes as a generator gets them."""
    return Encoded(
        rows=CodedRows(codes.astype(np.uint16), unit),
        attributes=tuple(Attribute(f"a{i}", size, True, i == 2) for i, size in enumerate(SIZES)),
        max_rows_per_unit=k,
        n_rows=float(max(codes.shape[1], 1)),
        columns=(0, 1, 2),
        targets=(target,),
    )

"""Noisy tables of an invented hospital: codes, exact counts, and noise that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privsynth.codecs.contingency import Marginal, contingency_tables
from privsynth.release.noisy.axes import TableAxis
from privsynth.release.noisy.tables import CountedRows, PublishedTable, PublishedTables

WARDS = ("surgery", "general medicine", "ent", "burns")
LOW, HIGH = (0.0, 20.0, 40.0, 60.0, 80.0), (19.0, 39.0, 59.0, 79.0, 99.0)
AXES = (
    TableAxis("ward", "ward", "category", (*WARDS, "missing"), never=(4,)),
    TableAxis("sex", "sex", "category", ("F", "M", "missing")),
    TableAxis(
        "age",
        "age",
        "number",
        ("0 to 19", "20 to 39", "40 to 59", "60 to 79", "80 to 99", "missing"),
        LOW,
        HIGH,
        tuple((a + b) / 2 for a, b in zip(LOW, HIGH, strict=True)),
    ),
    TableAxis("admitted·weekday", "", "category", ("Monday", "Sunday", "missing"), never=(2,)),
)
WARD, SEX, AGE, DAY = range(4)


def rows_of(n: int, seed: int = 0) -> np.ndarray:
    """Return (4, n) codes; burns has about one row in 400, and ages depend on the ward."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(4, n, p=[0.6, 0.3, 0.0975, 0.0025])
    sex = rng.choice(3, n, p=[0.5, 0.45, 0.05])
    age = np.clip(rng.binomial(4, 0.3 + 0.15 * ward), 0, 4)
    age[rng.random(n) < 0.03] = 5
    return np.stack([ward, sex, age, rng.integers(0, 2, n)])


def full(*attributes: int) -> Marginal:
    """Return the marginal with every code apart."""
    return Marginal(attributes, tuple(np.arange(AXES[a].size) for a in attributes))


def joined(attribute: int, groups: Sequence[int], *others: int) -> Marginal:
    """Return a marginal in which the codes of one attribute are in groups."""
    at = sorted((attribute, *others))
    return Marginal(tuple(at), tuple(np.array(groups) if a == attribute else np.arange(AXES[a].size) for a in at))


def counted(codes: np.ndarray, marginals: Sequence[Marginal]) -> list[np.ndarray]:
    """Return the exact table of each marginal."""
    return contingency_tables(codes.astype(np.uint16), list(marginals))


def tables_of(
    codes: np.ndarray | Sequence[np.ndarray],
    marginals: Sequence[Marginal],
    rng: np.random.Generator | None = None,
    *,
    sigma: float = 10.0,
    holdout: float = 0.0,
    stratum: str = "",
) -> PublishedTables:
    """Return the tables of rows with Gaussian noise, rounded; without a generator there is none.

    Args:
      codes: of rows, or the exact tables.
    """
    counts = counted(codes, marginals) if isinstance(codes, np.ndarray) else codes
    tables = []
    for number, (marginal, exact) in enumerate(zip(marginals, counts, strict=True)):
        spread = sigma * (1 + 0.5 * (number % 3))
        noise = np.zeros(exact.shape) if rng is None else np.rint(rng.normal(0.0, spread, exact.shape))
        tables.append(
            PublishedTable(
                data_table="",
                stratum=stratum,
                axes=marginal.attributes,
                groups=marginal.groups,
                counts=exact + noise,
                sigma=np.full(exact.shape, spread),
                part="measurement",
                label="table",
                noise_multiplier=spread,
            )
        )
    rows = CountedRows(max_rows_per_unit=1, holdout=holdout)
    return PublishedTables(dataset="hospital", unit="row", axes={"": AXES}, rows={"": rows}, tables=tuple(tables))

"""A screen for identifiers, on the real columns and on the synthetic ones. No finding holds a cell.

A column is reported if its name suggests an identifier, or if its cells have the shape of one. A tenth of ordinary
numbers pass a check digit by accident; so the distinct values of the right form are counted, those that pass are
compared with chance by an exact binomial test, and only a column far beyond chance is reported. Ordinary words (a first
name in a column 'label') go unnoticed: no report proves nothing.

Findings on synthetic rows depend on these rows and on names and kinds of columns only, so they are public.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from privsynth.audit.common.audit import Audit
from privsynth.audit.common.audit_tables import AuditTables, numbers
from privsynth.audit.common.settings import AuditContext
from privsynth.audit.disclosure.pii_patterns import (
    HIPAA,
    INDIRECT,
    ISBN10_X,
    SHAPES,
    Shape,
    kind_of_name,
    matches,
    words_of,
)
from privsynth.findings.finding import Finding, Verdict, Visibility
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS
from privsynth.stats.intervals import clopper_pearson

FALSE_ALARM = 1e-6  # of one column and one checksum: rare even for thousands of columns (own)
LEAST_SHARE = 0.05  # of its values that a column must show beyond chance (own)
MAX_VALUES = 20_000  # different values of a column that are matched, the most frequent; bounds the time (own)
MIN_UNIQUE = 50  # values, all different, before a column is taken for a code of each row (own)
OLD = 89  # years: ages over 89 are identifiers, 45 CFR 164.514(b)(2)(i)(C)
JANUARY_FIRST = "-01-01"
SCREENED = (
    "Screened for the 18 kinds of the HIPAA list by names of columns, shapes of cells and check digits. Names "
    "and codes that look like ordinary words or numbers are not seen: no hit is no evidence of absence."
)


@dataclass(frozen=True)
class Hit:
    """A column that looks like an identifier.

    Attributes:
      column, kind: of `HIPAA`. what: in words. by: "name" or "shape".
      count, n: cells that match, of cells that are not missing.
      chance: the share that would match by accident.
    """

    column: str
    kind: str
    what: str
    by: str
    count: int
    n: int
    chance: float = 0.0


def pii(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return columns that look like identifiers: real ones for the officer, synthetic ones for everybody."""
    real = tables.train if tables.apart is None else pd.concat([tables.train, tables.apart], axis=1)
    return [
        *screen(real.items(), tables.kinds, visibility="officer"),
        *screen(tables.synthetic.items(), tables.kinds, visibility="public"),
    ]


def screen(
    columns: Iterable[tuple[Hashable, pd.Series]], kinds: Mapping[str, str], *, visibility: Visibility
) -> list[Finding]:
    """Return a finding for each column and kind of identifier, and one that counts the columns.

    Args:
      columns: name and cells of each, taken one after the other; real ones for the officer only.
      kinds: column -> kind; a column without one is text.
      visibility: of the findings; "public" is right for synthetic rows alone, and needs kinds that are public.
    """
    found: list[Hit] = []
    count = 0
    for name, series in columns:
        found += hits(series, str(name), kinds.get(str(name), "text"))
        count += 1
    suffix = "pii_column" if visibility == "officer" else "pii_synthetic_column"
    direct = {hit.column for hit in found if hit.kind not in INDIRECT}
    side = "real" if visibility == "officer" else "synthetic"
    summary = Finding(
        family="pii",
        name=f"{suffix}s",
        value=float(len(direct)),
        visibility=visibility,
        n=count,
        better="lower",
        verdict="review" if direct else "info",
        threshold="a person must look at any column that looks like a direct identifier (45 CFR 164.514(b)(2))",
        meaning=f"Columns, of {count}, whose {side} cells or names look like direct identifiers. Indirect ones "
        f"(dates and places) are listed too, but not counted here. {SCREENED}",
        source="own; 45 CFR 164.514(b)(2)(i)",
        unit="columns",
        detail={"kinds": sorted({hit.kind for hit in found}), "screened": list(HIPAA)},
    )
    return [summary, *(_finding(hit, suffix, visibility) for hit in found)]


def _finding(hit: Hit, name: str, visibility: Visibility) -> Finding:
    interval = clopper_pearson(hit.count, hit.n)
    verdict: Verdict = "info" if hit.kind in INDIRECT else "review"
    means = f"The name of the column promises {hit.what}." if hit.by == "name" else f"The cells look like {hit.what}."
    chance = f" Of random cells of this form {100 * hit.chance:.2g} % would pass the check." if hit.chance else ""
    return Finding.of(
        interval,
        family="pii",
        name=name,
        group=hit.column if hit.by == "name" else f"{hit.column} ({hit.what})",
        n=hit.n,
        visibility=visibility,
        baseline=hit.chance if hit.chance else None,
        baseline_label="by accident" if hit.chance else "",
        better="lower",
        verdict=verdict,
        threshold="on the HIPAA list; a person decides (45 CFR 164.514(b)(2))",
        meaning=f"Share of the cells that match. {means}{chance} The HIPAA list has it under {HIPAA[hit.kind]}.",
        source="own; 45 CFR 164.514(b)(2)(i)",
        detail={"kind": hit.kind, "by": hit.by, "count": hit.count},
    )


def hits(series: pd.Series, name: str, kind: str) -> list[Hit]:
    """Return the kinds of identifier that a column looks like; each kind once, by shape before name."""
    n = int(series.notna().sum())
    if n == 0:
        return []
    found = list(_by_kind(series, name, kind, n))
    counts = _values(series, kind)
    isbn = "isbn" in words_of(name) or any(ISBN10_X.fullmatch(text) for text in counts.index)
    if len(counts):
        shaped = [_by_shape(shape, counts, name, n) for shape in SHAPES if not (isbn and shape.name == "NHS number")]
        found += [hit for hit in shaped if hit is not None]
    promised = kind_of_name(name)
    if promised is not None and promised not in {hit.kind for hit in found} and _can_be(promised, series, kind):
        found.append(Hit(name, promised, HIPAA[promised].partition(") ")[2], "name", n, n))
    if not found and kind not in (*NUMERIC_KINDS, *TIME_KINDS) and _is_code(counts, n):
        found.append(Hit(name, "other", "a code of its own for every row", "shape", n, n))
    return found


def _can_be(promised: str, series: pd.Series, kind: str) -> bool:
    """Return whether a column can hold what its name suggests: a flag cannot, and a number is no name."""
    if kind == "boolean" or series.nunique(dropna=True) < 3:
        return False
    if promised in ("name", "email", "url", "ip"):
        return kind not in (*NUMERIC_KINDS, *TIME_KINDS)
    return kind not in TIME_KINDS


def _by_kind(series: pd.Series, name: str, kind: str, n: int) -> Iterator[Hit]:
    """Yield dates finer than a year, ages over 89 and ZIP codes finer than three digits."""
    if kind in TIME_KINDS:
        days = series.dropna().dt.strftime("-%m-%d")
        finer = int((days != JANUARY_FIRST).sum())
        if finer:
            yield Hit(name, "date", "dates finer than a year", "shape", finer, n)
    words = words_of(name)
    if "age" in words and kind in NUMERIC_KINDS:
        old = int((numbers(series) > OLD).sum())
        if old:
            yield Hit(name, "date", "ages over 89", "shape", old, n)
    if {"zip", "zipcode", "postcode", "postal", "plz"} & set(words):
        fine = numbers(series) > 999 if kind in NUMERIC_KINDS else series.astype("str").str.strip().str.len() > 3
        count = int((fine & series.notna().to_numpy()).sum())
        if count:
            yield Hit(name, "geography", "postal codes finer than three digits", "shape", count, n)


def _values(series: pd.Series, kind: str) -> pd.Series:
    """Return the 20,000 most frequent cells as texts, with their counts; none for times."""
    if kind in TIME_KINDS:
        return pd.Series(dtype=np.int64)
    if kind in NUMERIC_KINDS:
        cells = numbers(series)
        whole = np.isfinite(cells) & (cells == np.floor(cells)) & (cells >= 1e8) & (cells < 2**53)
        words = cells[whole].astype(np.int64).astype(str)
    else:
        # Count first: a long column has many cells, and few distinct ones.
        counts = series.value_counts(sort=False)
        counts = counts[counts > 0]
        trimmed = counts.groupby([str(cell).strip() for cell in counts.index], sort=False).sum()
        return trimmed.sort_values(ascending=False, kind="stable")[:MAX_VALUES]
    return pd.Series(words, dtype=object).value_counts()[:MAX_VALUES]


def _by_shape(shape: Shape, counts: pd.Series, name: str, n: int) -> Hit | None:
    """Return a hit if the cells have the shape, and pass its check more often than chance explains.

    Distinct values are independent trials under chance, repeated ones are not. If the column's name suggests the kind,
    no test is needed.
    """
    verdicts = [matches(shape, text) for text in counts.index]
    formed = np.array([verdict is not None for verdict in verdicts])
    passed = np.array([verdict is True for verdict in verdicts])
    count = int(counts.to_numpy()[passed].sum())
    if count == 0:
        return None
    if shape.chance:
        tail = stats.binom.sf(passed.sum() - 1, formed.sum(), shape.chance)
        promised = kind_of_name(name) == shape.kind and passed.sum() > 2 * shape.chance * formed.sum()
        beyond = (passed.sum() - shape.chance * formed.sum()) / len(counts)
        if beyond < LEAST_SHARE or not (promised or tail < FALSE_ALARM):
            return None
    return Hit(name, shape.kind, shape.name, "shape", count, n, shape.chance)


def _is_code(counts: pd.Series, n: int) -> bool:
    """Return whether nearly all cells are unique and contain a digit."""
    if n < MIN_UNIQUE or n > MAX_VALUES or len(counts) < 0.95 * n:
        return False
    return bool(np.mean([any(c.isdigit() for c in text) for text in counts.index]) > 0.9)


AUDIT = Audit(
    name="pii",
    family="pii",
    run=pii,
    titles={
        "pii_columns": "Columns that look like direct identifiers",
        "pii_column": "Identifiers among the real columns",
        "pii_synthetic_columns": "Synthetic columns that look like direct identifiers",
        "pii_synthetic_column": "Identifiers among the synthetic columns",
    },
)

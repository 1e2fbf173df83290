"""What pictures of columns and pairs of columns show: exact shares of real rows beside those of synthetic ones.

They are details of the findings on the same columns, and the officer's like them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import numbers
from privsynth.findings.finding import Finding
from privsynth.schema.definition import NUMERIC_KINDS, TIME_KINDS

MOST_COLUMNS, MOST_PAIRS = 60, 10  # with a picture, the worst first (own): what a person looks at
MOST_CATEGORIES, MOST_LEVELS = 12, 7  # of a column by itself, and in a pair; the rest is one (own)
BINS, GROUPS = 16, 6  # of a number by itself, and in a pair (own)
TAIL = 0.01  # share at either end that is drawn in the outermost bins (own): a far value would hide the shape
SOME_DAYS = 3 * 86_400  # seconds within which times are told by the minute (own)
OTHERS, MISSING = "all others", "missing"
PAIR = " × "


@dataclass(frozen=True, repr=False, eq=False)
class DrawnColumns:
    """Columns of real and of synthetic rows.

    Attributes:
      real, synthetic: (n, columns) values, in the types of `AuditTables`.
      kinds: column -> kind.
    """

    real: pd.DataFrame
    synthetic: pd.DataFrame
    kinds: Mapping[str, str]

    def overlay(self, column: str) -> dict[str, Any]:
        """Return labels and shares of a column: of categories, or of bins with their edges."""
        if self._on_line(column):
            found = self._bins(column)
            if found:
                return found
        real, synthetic = self._texts(column)
        counts = pd.DataFrame({"real": _shares(real), "synthetic": _shares(synthetic)}).fillna(0.0).sort_index()
        order = np.argsort(-(counts.real - counts.synthetic).abs().to_numpy(), kind="stable")
        shown, rest = counts.iloc[order[:MOST_CATEGORIES]], counts.iloc[order[MOST_CATEGORIES:]]
        if len(rest):
            shown = pd.concat([shown, pd.DataFrame(rest.sum()).T.set_axis([OTHERS])])
        return {
            "labels": [str(x) for x in shown.index],
            "real": _listed(shown.real),
            "synthetic": _listed(shown.synthetic),
        }

    def pair(self, one: str, other: str) -> dict[str, Any]:
        """Return the shares of all rows by the levels of two columns."""
        (rows, real_rows, own_rows), (columns, real_columns, own_columns) = self._levels(one), self._levels(other)
        grids = {}
        for name, a, b in (("real", real_rows, real_columns), ("synthetic", own_rows, own_columns)):
            counts = np.bincount(a * len(columns) + b, minlength=len(rows) * len(columns))
            grids[name] = [_listed(row) for row in counts.reshape(len(rows), len(columns)) / max(len(a), 1)]
        return {"rows": rows, "columns": columns, **grids}

    def _on_line(self, column: str) -> bool:
        return self.kinds.get(column, "") in (*NUMERIC_KINDS, *TIME_KINDS)

    def _texts(self, column: str) -> tuple[pd.Series, pd.Series]:
        text = self._written(column)
        real, synthetic = self.real[column], self.synthetic[column]
        return tuple(  # type: ignore[return-value]
            pd.Series([MISSING if gone else text(value) for value, gone in zip(part, part.isna(), strict=True)])
            for part in (real, synthetic)
        )

    def _written(self, column: str) -> Callable[[Any], str]:
        if self._on_line(column) and self.kinds[column] not in TIME_KINDS:
            return lambda value: _number_text(float(value))
        return str

    def _bins(self, column: str) -> dict[str, Any]:
        """Return the shares in bins of equal width; nothing where there are hardly any values to bin."""
        real, synthetic = numbers(self.real[column]), numbers(self.synthetic[column])
        known = [part[np.isfinite(part)] for part in (real, synthetic)]
        if not min(map(len, known)) or len(np.unique(np.concatenate(known))) <= 2:
            return {}
        low = min(float(np.quantile(part, TAIL)) for part in known)
        high = max(float(np.quantile(part, 1 - TAIL)) for part in known)
        whole = all(np.array_equal(part, np.rint(part)) for part in known)
        times = self.kinds[column] in TIME_KINDS
        edges = np.linspace(low, max(high, low + 1), BINS + 1) if times else _edges(low, high, whole=whole)
        shares = {}
        for name, part, all_cells in (("real", known[0], real), ("synthetic", known[1], synthetic)):
            inside = np.clip(part, edges[0], np.nextafter(edges[-1], edges[0]))
            shares[name] = _listed(np.histogram(inside, bins=edges)[0] / len(all_cells))
        return {
            "labels": self._edge_texts(column, edges),
            "edges": edges.tolist(),
            **shares,
            "note": _note(known, (real, synthetic)),
        }

    def _edge_texts(self, column: str, edges: np.ndarray) -> list[str]:
        if self.kinds[column] not in TIME_KINDS:
            return [_number_text(edge) for edge in edges]
        unit = "m" if edges[-1] - edges[0] <= SOME_DAYS else "D"
        return [str(np.datetime64(int(edge), "s").astype(f"datetime64[{unit}]")).replace("T", " ") for edge in edges]

    def _levels(self, column: str) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Return the levels of a column in a pair, and (n,) places of the real and of the synthetic rows in them."""
        if self._on_line(column):
            real, synthetic = numbers(self.real[column]), numbers(self.synthetic[column])
            known = np.concatenate([part[np.isfinite(part)] for part in (real, synthetic)])
            if len(np.unique(known)) > GROUPS + 2:
                return self._groups(column, real, synthetic)
        parts = self._texts(column)
        counts = (
            (_shares(parts[0]).add(_shares(parts[1]), fill_value=0))
            .sort_index()
            .sort_values(ascending=False, kind="stable")
        )
        first = [str(x) for x in counts.index[:MOST_LEVELS]]
        levels = sorted(first, key=_by_number) + ([OTHERS] if len(counts) > MOST_LEVELS else [])
        place = {level: i for i, level in enumerate(levels)}
        last = place.get(OTHERS, 0)
        real_at, own_at = (np.array([place.get(x, last) for x in part], dtype=np.int64) for part in parts)
        return levels, real_at, own_at

    def _groups(self, column: str, real: np.ndarray, synthetic: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Return groups of about as many real rows each, and the places of both parts in them."""
        known = real[np.isfinite(real)] if np.isfinite(real).any() else synthetic[np.isfinite(synthetic)]
        cuts = np.unique(np.quantile(known, np.linspace(0, 1, GROUPS + 1)[1:-1], method="closest_observation"))
        texts = self._edge_texts(column, cuts)
        levels = [
            f"below {texts[0]}",
            *(f"{a} to {b}" for a, b in pairwise(texts)),
            f"{texts[-1]} on",
        ]
        gone = any(np.isnan(part).any() for part in (real, synthetic))
        places = [
            np.where(np.isnan(part), len(levels), np.searchsorted(cuts, part, side="right"))
            for part in (real, synthetic)
        ]
        return [*levels, MISSING] if gone else levels, places[0], places[1]


def with_pictures(findings: Sequence[Finding], drawn: DrawnColumns, *, table: str = "") -> list[Finding]:
    """Return the findings, those of the worst columns and pairs with what their pictures show.

    Args:
      findings: the worst of each name first.
      table: of several linked ones; "" for the only one.
    """
    columns = [str(name) for name in drawn.real.columns]
    pairs = {PAIR.join(pair): pair for pair in combinations(columns, 2)}
    left = {"tvd_1way": MOST_COLUMNS, "tvd_2way": MOST_PAIRS}
    found = []
    for finding in findings:
        group = finding.group.removeprefix(f"{table}: ")
        if left.get(finding.name, 0) > 0 and finding.visibility == "officer":
            more: dict[str, Any] = {}
            if finding.name == "tvd_1way" and group in columns:
                more = {"overlay": drawn.overlay(group)}
            elif finding.name == "tvd_2way" and group in pairs:
                more = {"pair": drawn.pair(*pairs[group])}
            left[finding.name] -= bool(more)
            finding = replace(finding, detail={**finding.detail, **more})
        found.append(finding)
    return found


def _shares(values: pd.Series) -> pd.Series:
    return values.value_counts() / max(len(values), 1)


def _listed(values: Any) -> list[float]:
    return [round(float(x), 6) for x in values]


def _edges(low: float, high: float, *, whole: bool) -> np.ndarray:
    """Return rising edges of some `BINS` bins at round numbers; of whole numbers each bin holds equally many."""
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / BINS)))
        count = max(1, int(np.ceil((high - low + 1) / step)))
        return np.asarray(low + step * np.arange(count + 1, dtype=np.float64))
    if high <= low:
        high = low + max(1e-9, 1e-9 * abs(low))
    rough = (high - low) / BINS
    scale = 10.0 ** np.floor(np.log10(rough))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= rough * (1 - 1e-9))
    first, last = int(np.floor(low / step)), int(np.ceil(high / step))
    edges = np.round(step * np.arange(first, max(last, first + 1) + 1), 12)
    return edges if (np.diff(edges) > 0).all() else np.linspace(low, high, BINS + 1)


def _note(known: Sequence[np.ndarray], cells: Sequence[np.ndarray]) -> str:
    gone = [1 - len(part) / max(len(every), 1) for part, every in zip(known, cells, strict=True)]
    return f"Missing: real {gone[0]:.1%}, synthetic {gone[1]:.1%}.".replace("%", " %") if max(gone) > 0 else ""


def _number_text(value: float) -> str:
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−")
    return (
        f"{value:,.3f}".rstrip("0").replace("-", "−") if 0.01 <= abs(value) < 1e6 else f"{value:.3g}".replace("-", "−")
    )


def _by_number(text: str) -> tuple[int, float, str]:
    try:
        return (0, float(text.replace(",", "").replace("−", "-")), text)
    except ValueError:
        return (1 + (text == MISSING), 0.0, text)

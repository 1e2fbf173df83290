"""What public pictures show of real rows: noisy tables that the generator bought, beside the synthetic rows.

Guarantee: post-processing. Every figure is a function of released counts with their standard deviations, of codes of
the synthetic rows, and of codecs, which hold declared facts and released figures. No private row is an argument, and
which pictures there are follows from the same: neighbouring tables with the same released counts have the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from privsynth.codecs.columns import OTHER, CategoryCodec, ColumnCodec, NumberCodec, TimeCodec, join_week
from privsynth.codecs.contingency import Marginal
from privsynth.codecs.table import TableCodec
from privsynth.findings.finding import Finding

MOST_CATEGORIES, MOST_LEVELS, MOST_PAIRS = 12, 7, 10  # in a picture; the rest is one (own)
BINS, GROUPS = 16, 6  # of a number by itself, and in a pair (own)
TAIL = 0.01  # share of synthetic rows at either end that is drawn in the outermost bins (own)
USELESS = 0.5  # standard deviation of a table's sum, as a share of it, from which it shows nothing (own)
NOISE = 0.5 * math.sqrt(2 / math.pi)  # half of E|X| of a standard normal: what noise adds to an entry's distance
OTHERS, MISSING = "all others", "missing"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class ReleasedTable(Protocol):
    """A noisy contingency table that a generator bought.

    Attributes:
      marginal: what it counts.
      counts: noisy counts, of the marginal's shape.
      sigma: standard deviation of each.
    """

    @property
    def marginal(self) -> Marginal: ...
    @property
    def counts(self) -> np.ndarray: ...
    @property
    def sigma(self) -> float | np.ndarray: ...
    @property
    def attributes(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class _Scale:
    """The meaning of an attribute's codes but the last, which is a missing cell.

    Attributes:
      labels: of categories; or of the edges of the bins, one more than there are.
      edges: rising; None for categories.
    """

    labels: list[str]
    edges: np.ndarray | None = None

    @property
    def size(self) -> int:
        return len(self.labels) - (self.edges is not None)


def with_paid_tables(
    findings: Sequence[Finding], measured: Sequence[ReleasedTable], synthetic: np.ndarray, codec: TableCodec
) -> list[Finding]:
    """Return the public findings, those on columns and pairs with the noisy tables that were bought of them.

    Args:
      measured: released tables of the training rows.
      synthetic: (attributes, m) codes of the released rows.
    """
    names = [attribute.name for attribute in codec.attributes]
    scales = {a: scale for a, place in enumerate(codec.places) if (scale := _scale(*place)) is not None}
    known = [t for t in measured if all(a in scales for a in t.attributes) and _tells(t)]
    single = {names[t.attributes[0]]: _overlay(t, scales, synthetic) for t in known if len(t.attributes) == 1}
    pairs = [_pair(t, scales, synthetic, names) for t in known if len(t.attributes) == 2]
    pairs = sorted(pairs, key=lambda told: (-told["beyond"], told["name"]))[:MOST_PAIRS]
    found = []
    for finding in findings:
        detail = dict(finding.detail)
        if finding.name == "tvd_1way" and finding.group in single:
            detail["overlay"] = single[finding.group]
        if finding.name == "tvd_2way_mean" and pairs:
            detail["paid_pairs"] = pairs
        found.append(replace(finding, detail=detail) if finding.visibility == "public" else finding)
    return found


def _tells(table: ReleasedTable) -> bool:
    """Return whether a table is more than noise; released figures alone decide."""
    total, sigma = float(table.counts.sum()), np.broadcast_to(table.sigma, table.counts.shape)
    return bool(np.isfinite(sigma).all()) and total > 0 and math.sqrt(float((sigma**2).sum())) < USELESS * total


def _scale(column: ColumnCodec, place: int) -> _Scale | None:
    """Return the meaning of an attribute; None where its codes are nothing that a reader would know."""
    if isinstance(column, CategoryCodec):
        return _Scale(list(column.texts))
    if isinstance(column, NumberCodec) and place == 0:
        ends = np.append(column.bins.lows, column.bins.seg_high[-1] + 1).astype(np.float64) * column.precision
        return _rising([_number_text(end) for end in ends], ends)
    if isinstance(column, TimeCodec) and not column.base:
        if place == 0:
            weeks = np.append(column.days.lows, column.days.seg_high[-1] + 1)
            days = join_week(weeks, np.zeros_like(weeks))
            return _rising([str(day) for day in days.astype("datetime64[D]")], days.astype(np.float64))
        if place == 1:
            return _Scale(list(WEEKDAYS))
        assert column.clock is not None
        seconds = np.append(column.clock.lows, column.clock.seg_high[-1] + 1) * column.precision
        return _rising([f"{s // 3600:02}:{s % 3600 // 60:02}" for s in seconds.tolist()], seconds.astype(np.float64))
    return None


def _rising(labels: list[str], edges: np.ndarray) -> _Scale | None:
    return _Scale(labels, edges) if len(edges) > 1 and (np.diff(edges) > 0).all() else None


def _shares(table: ReleasedTable, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noisy shares of real rows, their standard deviations and synthetic shares, of the table's shape."""
    total = float(table.counts.sum())
    places = [
        np.asarray(groups)[synthetic[a]] for a, groups in zip(table.attributes, table.marginal.groups, strict=True)
    ]
    flat = np.ravel_multi_index(places, table.counts.shape)
    own = np.bincount(flat, minlength=table.counts.size).reshape(table.counts.shape) / max(synthetic.shape[1], 1)
    sigma = np.broadcast_to(np.asarray(table.sigma, dtype=np.float64), table.counts.shape)
    return table.counts / total, sigma / total, own


def _overlay(table: ReleasedTable, scales: dict[int, _Scale], synthetic: np.ndarray) -> dict[str, Any]:
    (attribute,), (real, sd, own) = table.attributes, _shares(table, synthetic)
    scale = scales[attribute]
    if scale.edges is None:
        labels = [*scale.labels, MISSING][: len(real)]
        there = np.flatnonzero([label not in (MISSING, OTHER) or own[i] > 0 for i, label in enumerate(labels)])
        order = there[np.argsort(-np.abs(real - own)[there], kind="stable")]
        keep, rest = np.sort(order[:MOST_CATEGORIES]), order[MOST_CATEGORIES:]
        told = _listed(real[keep], sd[keep], own[keep])
        names = [labels[i] for i in keep]
        if len(rest):
            names.append(OTHERS)
            more = _listed(*(np.atleast_1d(x) for x in (real[rest].sum(), _joint(sd[rest]), own[rest].sum())))
            told = {name: part + more[name] for name, part in told.items()}
        return {"labels": names, **told}
    starts, ends = _merged(scale.edges, own[: scale.size])
    cut = [np.add.reduceat(part[: scale.size], starts) for part in (real, sd**2, own)]
    told = _listed(cut[0], np.sqrt(cut[1]), cut[2])
    gone = f"Missing: real {real[-1]:.1%} (noisy), synthetic {own[-1]:.1%}.".replace("%", " %") if own[-1] > 0 else ""
    return {"labels": [scale.labels[i] for i in ends], "edges": scale.edges[ends].tolist(), **told, "note": gone}


def _merged(edges: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first bin of each group of bins, and the edges that are drawn: all of some width.

    The outermost hold what lies beyond nearly all synthetic rows, and are drawn as wide as the rest. Where no synthetic
    row has a value, all bins are drawn.
    """
    own = own if own.sum() > 0 else np.ones(len(own))
    below = np.cumsum(own) / max(float(own.sum()), 1e-12)
    first = int(np.searchsorted(below, TAIL))
    last = min(int(np.searchsorted(below, 1 - TAIL)), len(own) - 1)
    least = (edges[last + 1] - edges[first]) / BINS
    cuts = [first]
    for i in range(first + 1, last + 1):
        if edges[i] - edges[cuts[-1]] >= least * (1 - 1e-9):
            cuts.append(i)
    starts = np.array([0, *cuts[1:]])
    return starts, np.array([*cuts, last + 1])


def _pair(
    table: ReleasedTable, scales: dict[int, _Scale], synthetic: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    real, sd, own = _shares(table, synthetic)
    beyond = 0.5 * float(np.abs(real - own).sum()) - NOISE * float(sd.sum())
    axes = []
    for axis, (a, groups) in enumerate(zip(table.attributes, table.marginal.groups, strict=True)):
        axes.append(_levels(scales[a], np.asarray(groups), own.sum(axis=1 - axis)))
    names_of = []
    for axis, (levels, place) in enumerate(axes):
        real, own = (_joined(part, place, axis) for part in (real, own))
        there = [i for i, level in enumerate(levels) if level != MISSING or own.sum(axis=1 - axis)[i] > 0]
        real, own = (part.take(there, axis) for part in (real, own))
        names_of.append([levels[i] for i in there])
    grids = {
        name: [[round(float(x), 6) for x in row] for row in part] for name, part in (("real", real), ("synthetic", own))
    }
    return {
        "name": " × ".join(names[a] for a in table.attributes),
        "beyond": round(beyond, 6),
        "pair": {"rows": names_of[0], "columns": names_of[1], **grids},
    }


def _levels(scale: _Scale, groups: np.ndarray, mass: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the levels of one side of a pair, and (groups,) the level of each of the table's groups."""
    if scale.edges is not None:
        return _ranges(scale, groups, mass)
    labels = [*scale.labels, MISSING]
    members = [[labels[c] for c in np.flatnonzero(groups == g) if c < len(labels)] for g in range(len(mass))]
    texts = [m[0] if len(m) == 1 else f"{m[0]} and {len(m) - 1} more" if m else MISSING for m in members]
    shown = np.sort(np.argsort(-mass, kind="stable")[:MOST_LEVELS])
    place = np.full(len(mass), len(shown))
    place[shown] = np.arange(len(shown))
    return [texts[i] for i in shown] + ([OTHERS] if len(mass) > len(shown) else []), place


def _ranges(scale: _Scale, groups: np.ndarray, mass: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return ranges of about as many synthetic rows each; the group of the missing cells is the last."""
    assert scale.edges is not None
    lost = int(groups[-1])
    order = list(dict.fromkeys(int(g) for g in groups[: scale.size] if int(g) != lost))
    below = np.cumsum([mass[g] for g in order]) / max(float(sum(mass[g] for g in order)), 1e-12)
    level = np.minimum((np.concatenate([[0.0], below[:-1]]) * GROUPS).astype(int), GROUPS - 1)
    used = list(dict.fromkeys(level.tolist()))
    place = np.full(len(mass), len(used))
    starts: list[int] = []
    for g, one in zip(order, level.tolist(), strict=True):
        place[g] = used.index(one)
        if len(starts) <= place[g]:
            starts.append(int(np.flatnonzero(groups == g)[0]))
    texts = [scale.labels[i] for i in starts]
    names = [f"{a} to {b}" for a, b in pairwise(texts)]
    return [*names, f"{texts[-1]} on", MISSING], place


def _joined(part: np.ndarray, place: np.ndarray, axis: int) -> np.ndarray:
    """Return a table with the levels of one axis added up."""
    turned = np.moveaxis(part, axis, 0)
    found = np.zeros((int(place.max()) + 1, turned.shape[1]))
    np.add.at(found, place, turned)
    return np.moveaxis(found, 0, axis)


def _joint(sd: np.ndarray) -> float:
    return math.sqrt(float((sd**2).sum()))


def _listed(real: np.ndarray, sd: np.ndarray, own: np.ndarray) -> dict[str, list[float]]:
    parts = {"real": real, "sd": sd, "synthetic": own}
    return {name: [round(float(x), 6) for x in part] for name, part in parts.items()}


def _number_text(value: float) -> str:
    text = f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"
    return text.replace("-", "−")

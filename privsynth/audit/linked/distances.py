"""Distances of views between synthetic and training persons, beside those of the holdout persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from privsynth.audit.common.audit_tables import thin
from privsynth.audit.common.discretise import Distances, distances
from privsynth.audit.common.fresh_rows import strict, without_room
from privsynth.audit.linked.views import CodedView
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.findings.severity import MISPLACED, judged
from privsynth.stats.intervals import Interval, cluster_variance, normal

WORST = 10  # sets with a figure of their own (own)
HELD = "holdout persons"
SOURCE = "own; research on k-way marginals, for example McKenna et al. (2021)"
NEARER = "; review if surely nearer than fresh persons, which is a sign of copying"


@dataclass(frozen=True, repr=False, eq=False)
class Measured:
    """The distances of one view.

    Attributes:
      view: what is compared.
      found: between training and synthetic persons.
      baseline: (m,) distances of the holdout, or of training and synthetic persons mixed.
      baseline_label: which.
    """

    view: CodedView
    found: Distances
    baseline: np.ndarray
    baseline_label: str

    @property
    def family(self) -> str:
        """Section of the report."""
        return self.view.family

    @cached_property
    def order(self) -> np.ndarray:
        """(m,) the sets, the one furthest beyond its baseline first."""
        return np.argsort(self.baseline - self.found.values, kind="stable")

    def common(self) -> dict[str, Any]:
        """Return what all findings of the view share."""
        return {
            "family": self.family,
            "visibility": "officer",
            "n": self.view.n_persons["synthetic"],
            "better": "lower",
            "source": SOURCE,
        }


def measure(view: CodedView, rng: np.random.Generator) -> Measured:
    """Return the distances of a view that speaks."""
    codes = view.codes
    found = distances(codes["train"], codes["synthetic"], view.sizes, view.marginals)
    if len(view.persons.get("holdout", ())):
        baseline = distances(codes["train"], codes["holdout"], view.sizes, view.marginals).values
        return Measured(view, found, baseline, HELD)
    return Measured(view, found, _by_chance(view, rng), "persons mixed at random")


def _by_chance(view: CodedView, rng: np.random.Generator) -> np.ndarray:
    """Return (m,) distances of all persons split at random: whole persons, for their rows are alike."""
    both = np.concatenate([view.codes["train"], view.codes["synthetic"]], axis=1)
    n, m = view.n_persons["train"], view.n_persons["synthetic"]
    persons = np.concatenate([view.persons["train"], view.persons["synthetic"] + n])
    first = np.zeros(n + m, dtype=bool)
    first[rng.permutation(n + m)[:n]] = True
    side = first[persons]
    if side.all() or not side.any():
        return np.zeros(len(view.marginals))
    return distances(both[:, side], both[:, ~side], view.sizes, view.marginals).values


def findings(measured: Measured, rng: np.random.Generator, *, detail: Mapping[str, Any] | None = None) -> list[Finding]:
    """Return the mean, the excess over fresh real persons, the worst set, and the sets with figures of their own.

    Args:
      detail: of the worst set, for a picture.
    """
    view = measured.view
    excess = [_excess(measured, rng)] if measured.baseline_label == HELD else []
    worst = int(measured.order[0])
    if view.is_single:
        return [replace(_one(measured, worst), group=view.table, detail=dict(detail or {})), *excess]
    picked = replace(
        _one(measured, worst, shared=len(view.marginals)),
        name=f"{view.name}_worst",
        meaning=f"The worst of {_some(view)}, counted beyond what the baseline shows. Picked for being the worst, so "
        "partly by chance; the interval and the verdict allow for that.",
        detail=dict(detail or {}),
    )
    shown = [_judged(measured, _one(measured, int(i)), int(i), rng) for i in measured.order[:WORST]]
    return [_mean(measured), *excess, _judged(measured, picked, worst, rng), *shown]


def _some(view: CodedView) -> str:
    of_all = f" of {view.of_all}" if view.of_all > len(view.marginals) else ""
    return f"{len(view.marginals)}{of_all} {view.words}"


def _mean(measured: Measured) -> Finding:
    view = measured.view
    return Finding.of(
        _interval(view, measured.found),
        name=f"{view.name}_mean",
        group=view.table,
        meaning=f"Share of rows that would have to change, on average over {_some(view)}, for the synthetic counts to "
        "equal the real ones. Fresh real persons, as many as were held out, reach the baseline.",
        baseline=float(measured.baseline.mean()),
        baseline_label=measured.baseline_label,
        detail={"sets": len(view.marginals)},
        **measured.common(),
    )


def _one(measured: Measured, i: int, shared: int = 1) -> Finding:
    view, marginal = measured.view, measured.view.marginals[i]
    found = distances(view.codes["train"], view.codes["synthetic"], view.sizes, [marginal])
    return Finding.of(
        _interval(view, found, confidence=1 - 0.05 / shared),
        name=view.name,
        group=view.group(marginal),
        meaning="Share of rows that would have to change for the synthetic counts to equal the real ones.",
        baseline=float(measured.baseline[i]),
        baseline_label=measured.baseline_label,
        **measured.common(),
    )


def _interval(view: CodedView, found: Distances, confidence: float = 0.95) -> Interval:
    """Return the interval of a mean distance; the rows of a person depend on each other, on both sides."""
    variance = cluster_variance(found.influence_a, view.persons["train"]) + cluster_variance(
        found.influence_b, view.persons["synthetic"]
    )
    interval = normal(found.mean, variance, confidence=confidence, floor=0.0)
    return Interval(interval.value, interval.low, min(1.0, interval.high))


def _excess(measured: Measured, rng: np.random.Generator) -> Finding:
    """Return the distance beyond that of the holdout, at equal numbers of persons, with a verdict."""
    view = measured.view
    beyond = _beyond(view, view.marginals, rng)
    name = f"{view.name}_excess"
    if beyond is None:
        return insufficient(measured.family, name, _NO_ROWS, group=view.table)
    finding = Finding.of(
        normal(beyond.value, beyond.variance),
        name=name,
        group=view.table,
        baseline=0.0,
        baseline_label="as near as fresh real persons",
        meaning=f"How much further the synthetic persons are from the training persons than the holdout persons are, "
        f"over {view.words}, both cut to the same number of persons. Below zero is nearer than fresh real persons: a "
        "sign of copying.",
        detail={"synthetic": beyond.ours, "holdout": beyond.real},
        **{**measured.common(), "n": beyond.n_persons},
    )
    return beyond.judge(finding, shared=1)


_NO_ROWS = "at equal numbers of persons, one side has no rows."


def _judged(measured: Measured, finding: Finding, i: int, rng: np.random.Generator) -> Finding:
    """Return the finding of a set with its verdict, which allows for the choice among all sets."""
    view, shared = measured.view, len(measured.view.marginals)
    if measured.baseline_label == HELD:
        beyond = _beyond(view, [view.marginals[i]], rng)
        return finding if beyond is None else beyond.judge(finding, shared=shared)
    found = distances(view.codes["train"], view.codes["synthetic"], view.sizes, [view.marginals[i]])
    spread, chance = _interval(view, found, confidence=strict(shared)), float(measured.baseline[i])
    apart = Interval(spread.value - chance, spread.low - chance, spread.high - chance)
    return judged(finding, without_room(apart, chance), MISPLACED)


@dataclass(frozen=True)
class _Beyond:
    """Mean distances at equal numbers of persons: of synthetic and of holdout persons, and the variance of the gap."""

    ours: float
    real: float
    variance: float
    n_persons: int

    @property
    def value(self) -> float:
        return self.ours - self.real

    def judge(self, finding: Finding, *, shared: int) -> Finding:
        """Return the finding with its verdict, picked among so many sets; `review` also if the gap is below zero."""
        apart = normal(self.value, self.variance, confidence=strict(shared))
        told = judged(finding, without_room(apart, self.real), MISPLACED)
        told = replace(told, threshold=told.threshold + NEARER)
        return replace(told, verdict="review") if apart.high < 0 else told


def _beyond(view: CodedView, marginals: list[tuple[int, ...]], rng: np.random.Generator) -> _Beyond | None:
    size = min(view.n_persons["holdout"], view.n_persons["synthetic"])
    codes, persons = {}, {}
    for part in ("holdout", "synthetic"):
        chosen = np.zeros(view.n_persons[part], dtype=bool)
        chosen[thin(view.n_persons[part], size, rng)] = True
        rows = chosen[view.persons[part]]
        codes[part], persons[part] = view.codes[part][:, rows], view.persons[part][rows]
    if min(codes["holdout"].shape[1], codes["synthetic"].shape[1]) == 0:
        return None
    ours = distances(view.codes["train"], codes["synthetic"], view.sizes, marginals)
    real = distances(view.codes["train"], codes["holdout"], view.sizes, marginals)
    variance = (
        cluster_variance(ours.influence_a - real.influence_a, view.persons["train"])
        + cluster_variance(ours.influence_b, persons["synthetic"])
        + cluster_variance(real.influence_b, persons["holdout"])
    )
    return _Beyond(ours.mean, real.mean, variance, size)

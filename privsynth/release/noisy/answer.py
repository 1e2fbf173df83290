"""`answer`: figures of the real rows with intervals, from the noisy tables that a release paid for. Costs nothing."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privsynth._validate import inside
from privsynth.errors import ConfigError, SourceError
from privsynth.release.noisy.axes import TableAxis
from privsynth.release.noisy.estimate import IntervalEstimate, NoisyCells, cut, linear, quantile, ratio
from privsynth.release.noisy.project import (
    Needed,
    Projected,
    data_table_of,
    needed,
    project,
    shares_of_bins,
)
from privsynth.release.noisy.question import TableQuestion, parse_question
from privsynth.release.noisy.tables import FOLDER, CountedRows, PublishedTables, group_label
from privsynth.release.noisy.weighing import WeighingBounds, refuse_unless_told, weighed_back

CONFIDENCE = 0.95  # of an interval, unless another is asked for: as in the reports
LESS = "Rows of units with many were counted for less"
UNDONE = f"{LESS}; that was undone as far as tables tell how many the unit has, unless its rows are alike"
NOT_UNDONE = f"{LESS}, and no table of these columns tells how many rows the unit has to undo it"
EVERYTHING = Needed((), None, None, {}, None)  # the rows that were counted, all together


@dataclass(frozen=True)
class _OfAll:
    """What bounds figures of rows by those of weighed rows, and how many rows were counted in all."""

    bounds: WeighingBounds
    rows: float


@dataclass(frozen=True)
class AnswerRow:
    """One figure.

    Attributes:
      group: what each column after 'by' has in it.
      value, low, high: the figure and the ends of its interval; None where noise leaves none.
      bins_low, bins_high: of means, sums: the interval wherever in their bins the amounts lie; None for other figures,
        and where a bin has no end.
    """

    group: tuple[str, ...]
    value: float | None
    low: float | None
    high: float | None
    bins_low: float | None = None
    bins_high: float | None = None


@dataclass(frozen=True)
class AnswerResult:
    """The figures that were asked for.

    Attributes:
      question: as it was asked.
      by: the columns whose groups are told apart.
      rows: one for each group.
      confidence: of each interval by itself.
      covers: sentences: what the intervals cover, and what not.
      tables: what the tables that were used count.
    """

    question: str
    by: tuple[str, ...]
    rows: tuple[AnswerRow, ...]
    confidence: float
    covers: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def has_bins(self) -> bool:
        """Whether amounts stand for bins."""
        return any(row.bins_low is not None or row.bins_high is not None for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "question": self.question,
            "confidence": self.confidence,
            "rows": [
                {"group": dict(zip(self.by, row.group, strict=True)), "value": row.value, "low": row.low}
                | {"high": row.high}
                | ({"bins_low": row.bins_low, "bins_high": row.bins_high} if self.has_bins else {})
                for row in self.rows
            ],
            "covers": list(self.covers),
            "tables": list(self.tables),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each group."""
        frame = pd.DataFrame([row.group for row in self.rows], columns=list(self.by), dtype="string")
        names = ["value", "low", "high", *(["bins_low", "bins_high"] if self.has_bins else [])]
        return frame.assign(**{n: pd.array([getattr(r, n) for r in self.rows], "Float64") for n in names})


def answer(
    release: str | Path,
    question: str,
    *,
    table: str | None = None,
    confidence: float = CONFIDENCE,
    sampling: bool = False,
) -> AnswerResult:
    """Return a figure of the real rows with its interval, from the noisy tables of a release.

    It reads only what was published, so it costs no budget, and everybody with the release gets the same.

    Args:
      release: its public folder, or the folder that holds it.
      question: such as "mean(age) by ward where sex = F"; statistics are count, share, mean, sum, median and quantile.
      table: of linked tables, which is asked; None where only one has the columns.
      confidence: of each interval by itself, above 0 and below 1.
      sampling: whether intervals also cover that the rows are a sample of more people like them.
    Raises:
      ConfigError: the question cannot be read, or no paid table holds its answer; the message says what is nearest.
      SourceError: the folder holds no noisy tables.
    """
    folder = Path(release)
    folder = folder / "public" if (folder / "public").is_dir() else folder
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder; give a release, or its public folder")
    if not (folder / FOLDER).exists():
        for public in (folder.parent / "public", folder.parent):
            if (public / FOLDER).is_dir():
                raise SourceError(f"{folder} is another part of a release; give the public folder: {public}")
    tables = PublishedTables.read(folder)
    return answer_from(tables, question, table=table, confidence=confidence, sampling=sampling)


def answer_from(
    tables: PublishedTables,
    question: str,
    *,
    table: str | None = None,
    confidence: float = CONFIDENCE,
    sampling: bool = False,
) -> AnswerResult:
    """Return the answer from tables that were read (see `answer`)."""
    inside(0, 1, confidence=confidence)
    asked = parse_question(question)
    name = data_table_of(tables, asked, table)
    axes, rows = tables.axes[name], tables.rows[name]
    refuse_unless_told(rows, name)
    need = needed(axes, asked)
    found, of_all = _projected(tables, name, need)
    scaled = _with_chance(found.cells, rows, sampling=sampling)
    weight = np.ones(0) if need.value is None else shares_of_bins(tables, name, need.value)
    answered = _Answering(asked, axes, rows, need, replace(found, cells=scaled), confidence, weight, of_all)
    return AnswerResult(
        question=question,
        by=asked.by,
        rows=tuple(answered.rows()),
        confidence=confidence,
        covers=_covers(asked, tables.unit, rows, of_all, sampling=sampling),
        tables=tuple(dict.fromkeys(_named(axes, one.axes, one.stratum) for one in found.tables)),
    )


def _projected(tables: PublishedTables, name: str, need: Needed) -> tuple[Projected, _OfAll | None]:
    """Return the cells that a question needs, and how far they may be from rows; None where each row counts one.

    Where units have several rows and tables tell how many, each row is weighed back by that.
    """
    rows = tables.rows[name]
    if not rows.weighted:
        return project(tables, name, need), None
    back = weighed_back(tables, name)
    for chosen in ([table for table, one in back.items() if one.exact], list(back)):
        scale = replace(tables, tables=tuple(chosen))
        try:
            found, everything = project(scale, name, need), project(scale, name, EVERYTHING)
        except ConfigError:
            continue
        bounds = WeighingBounds.by_code(rows, [back[table] for table in found.tables])
        found = replace(found, tables=tuple(back[table].paid for table in found.tables))
        return found, _OfAll(bounds, max(float(everything.cells.counts), 1.0))
    found, everything = project(tables, name, need), project(tables, name, EVERYTHING)
    return found, _OfAll(WeighingBounds.of(rows, found.tables), max(float(everything.cells.counts), 1.0))


def _named(axes: tuple[TableAxis, ...], at: tuple[int, ...], stratum: str) -> str:
    name = " × ".join(axes[a].name for a in at) or "all rows"
    return f"{name} ({stratum})" if stratum else name


def _with_chance(cells: NoisyCells, rows: CountedRows, *, sampling: bool) -> NoisyCells:
    """Return cells whose variance also holds which rows were counted, at random, and (`sampling`) which exist.

    A row is counted with probability 1 − holdout: given how many there are, a count c varies by c·holdout. Of a wider
    population, it varies by c. Rows of one unit come together, so both grow by how many that are.
    """
    chance = 1.0 if sampling else rows.holdout
    return NoisyCells(cells.counts, cells.variance + np.maximum(cells.counts, 0.0) * chance * max(rows.beside, 1.0))


def _covers(
    asked: TableQuestion, unit: str, rows: CountedRows, of_all: _OfAll | None, *, sampling: bool
) -> tuple[str, ...]:
    """Return what the intervals cover, and what not."""
    said = [_estimated(asked, unit, rows, of_all), "The interval covers the noise of the release"]
    if rows.holdout:
        said[1] += f" and the chance by which {rows.holdout:.0%} of the units were held out"
    said[1] += (
        ", and the chance by which these people are in the table and not others like them."
        if sampling
        else ". It does not cover sampling: it is about the rows of this table, and not about people like them."
    )
    if asked.statistic in ("mean", "sum"):
        said.append(
            "Amounts were counted in bins. 'value' takes what the model draws from each. The last interval ('bins_low' "
            "to 'bins_high') holds wherever in their bins they lie; an end is missing where an outer bin is open."
        )
    if asked.statistic in ("median", "quantile"):
        said.append("Amounts were counted in bins, so the interval consists of whole bins.")
    if of_all is not None:
        said.append(
            f"{NOT_UNDONE if of_all.bounds.total else UNDONE}. The interval is wider by what may be left of it. It "
            f"does not cover rows beyond {rows.max_rows_per_unit:,} of a unit: see 'Rows left out' in the report."
        )
    return tuple(said)


def _estimated(asked: TableQuestion, unit: str, rows: CountedRows, of_all: _OfAll | None) -> str:
    """Return what a figure is of, rows or units, of all or a part; and to which number of rows it adds up."""
    whole = "the whole table, those held out for the audit among them" if rows.holdout else "the table"
    if not rows.weighted:
        own = "" if unit == "row" else f", of which each '{unit}' has one"
        said = f"The figure is of the rows of {whole}{own}"
    else:
        said = f"The figure is of rows, not of units: of up to {rows.max_rows_per_unit:,} rows of each unit of {whole}"
    if asked.statistic not in ("count", "sum"):
        return f"{said}."
    paid = of_all is not None and of_all.bounds.total
    by = "the paid number of training rows" if paid else "the training rows that the noisy tables count"
    scaled = ", scaled up to all" if rows.holdout else ""
    return (
        f"{said}; figures add up to {by}{scaled}, not to the number of rows in the report: that has noise of its own."
    )


class _Answering:
    """From cells to figures."""

    def __init__(
        self,
        asked: TableQuestion,
        axes: tuple[TableAxis, ...],
        rows: CountedRows,
        need: Needed,
        found: Projected,
        confidence: float,
        weight: np.ndarray,
        of_all: _OfAll | None,
    ) -> None:
        self.asked, self.axes, self.need, self.found, self.confidence = asked, axes, need, found, confidence
        self.weight, self.of_all = weight, of_all
        self.whole = 1.0 / (1.0 - rows.holdout)  # rows of the table to one that was counted
        error = max((table.scale_error for table in found.tables), default=0.0)
        cancels = of_all is not None and not of_all.bounds.total  # the paid number of rows, with its error
        self.relative = 0.0 if cancels else math.hypot(rows.size_error, error)

    def rows(self) -> list[AnswerRow]:
        """Return one row for each group that can occur."""
        by = len(self.need.by)
        labels = [self._labels(at, group) for at, group in zip(self.need.by, self.found.groups, strict=False)]
        found = []
        for place in itertools.product(*(range(n) for n in self.found.cells.counts.shape[:by])):
            found.append(self._row(tuple(names[at] for names, at in zip(labels, place, strict=True)), place))
        return found

    def _labels(self, at: int, group: np.ndarray) -> list[str]:
        return [group_label(self.axes[at], np.flatnonzero(group == g)) for g in range(int(group.max()) + 1)]

    def _row(self, group: tuple[str, ...], place: tuple[int, ...]) -> AnswerRow:
        statistic = self.asked.statistic
        if statistic in ("mean", "sum"):
            return self._amount(group, place)
        if statistic in ("median", "quantile"):
            low, high, _ = self._bins()
            cells = NoisyCells(self.found.cells.counts[place], self.found.cells.variance[place])
            return _row_of(group, self._quantile(cells, low, high))
        here = self._here(place)
        if statistic == "count":
            counted = linear(self.found.cells, here, confidence=self.confidence, relative=self.relative)
            counted = self._of_rows(counted, None)
            return _row_of(group, cut(_times(counted, self.whole), 0.0, math.inf))
        above = here if self.need.of is None else self._inside(here)
        below = np.ones_like(here) if self.need.of is None else here
        found = self._of_rows(ratio(self.found.cells, above, below, confidence=self.confidence), below)
        return _row_of(group, cut(found, 0.0, 1.0))

    def _size(self, here: np.ndarray) -> float:
        """Return the share of all counted rows that some cells are; less by their noise, so that bounds hold."""
        assert self.of_all is not None
        found = linear(self.found.cells, here, confidence=self.confidence)
        return max(found.low, 0.0) / self.of_all.rows

    def _of_rows(self, found: IntervalEstimate, below: np.ndarray | None) -> IntervalEstimate:
        """Return a number of weighed rows, or (`below`) a share, with an interval that holds that of rows."""
        if self.of_all is None or not math.isfinite(found.high - found.low):
            return found
        bounds, rows = self.of_all.bounds, self.of_all.rows
        if below is None:
            low, high = bounds.ends_of_all(found.low / rows, found.high / rows)
            return IntervalEstimate(found.value, min(low * rows, found.low), max(high * rows, found.high))
        whole = not (self.asked.of or self.asked.where)
        low, high = bounds.ends_of_part(found.low, found.high, 1.0 if whole else self._size(below))
        return IntervalEstimate(found.value, low, high)

    def _quantile(self, cells: NoisyCells, low: np.ndarray, high: np.ndarray) -> IntervalEstimate:
        level, confidence = self.asked.level, self.confidence
        main = quantile(cells, low, high, level=level, confidence=confidence)
        if self.of_all is None:
            return main
        least, largest = self.of_all.bounds.levels(level, float(cells.counts.sum()) / self.of_all.rows)
        lower, upper = (quantile(cells, low, high, level=at, confidence=confidence) for at in (least, largest))
        return IntervalEstimate(main.value, lower.low, upper.high)

    def _here(self, place: tuple[int, ...]) -> np.ndarray:
        weight = np.zeros(self.found.cells.counts.shape)
        weight[place] = 1.0
        return weight

    def _inside(self, here: np.ndarray) -> np.ndarray:
        inside = here.copy()
        inside[..., 0] = 0.0
        return inside

    def _amount(self, group: tuple[str, ...], place: tuple[int, ...]) -> AnswerRow:
        """Return a mean or a sum: of what stands for each bin, and of the least and the largest in each."""
        low, high, value = self._bins()
        main, least, most = (self._of_amounts(place, amounts) for amounts in (value, low, high))
        if self.asked.statistic == "mean":
            main = cut(main, float(low[0]), float(high[-1]))
            least, most = (cut(one, float(low[0]), float(high[-1])) for one in (least, most))
        return replace(_row_of(group, main), bins_low=_finite(least.low), bins_high=_finite(most.high))

    def _of_amounts(self, place: tuple[int, ...], amounts: np.ndarray) -> IntervalEstimate:
        if not np.isfinite(amounts).all():
            return IntervalEstimate(math.nan, -math.inf, math.inf)
        here = self._here(place)
        if self.asked.statistic == "mean":
            found = ratio(self.found.cells, here * amounts, here, confidence=self.confidence)
            return self._wider(found, self._reach(here, amounts))
        summed = linear(self.found.cells, here * amounts, confidence=self.confidence, relative=self.relative)
        return _times(self._wider(summed, self._reach_of_sum(here, amounts)), self.whole)

    def _wider(self, found: IntervalEstimate, reach: tuple[float, float]) -> IntervalEstimate:
        return IntervalEstimate(found.value, found.low - reach[0], found.high + reach[1])

    def _reach(self, here: np.ndarray, amounts: np.ndarray) -> tuple[float, float]:
        """Return by how much a mean of rows may lie below and above that of weighed rows."""
        if self.of_all is None:
            return 0.0, 0.0
        counts = self.found.cells.counts[here > 0]
        return self.of_all.bounds.reach_of_mean(counts, amounts, self._size(here))

    def _reach_of_sum(self, here: np.ndarray, amounts: np.ndarray) -> tuple[float, float]:
        """Return the same of a sum, which is made of the numbers of rows in each bin."""
        if self.of_all is None:
            return 0.0, 0.0
        bounds, rows = self.of_all.bounds, self.of_all.rows
        return bounds.reach_of_sum(self.found.cells.counts[here > 0] / rows, amounts * rows)

    def _bins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (m,) the ends of the bins that are told apart, and what stands for each."""
        assert self.need.value is not None
        axis, group = self.axes[self.need.value], self.found.groups[len(self.need.by)]
        members = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
        known, weight = np.array(axis.value), self.weight
        low = np.array([min(axis.low[code] for code in codes) for codes in members])
        high = np.array([max(axis.high[code] for code in codes) for codes in members])
        value = np.array([float(np.average(known[codes], weights=weight[codes])) for codes in members])
        return low, high, value


def _times(estimate: IntervalEstimate, factor: float) -> IntervalEstimate:
    return IntervalEstimate(estimate.value * factor, estimate.low * factor, estimate.high * factor)


def _row_of(group: tuple[str, ...], estimate: IntervalEstimate) -> AnswerRow:
    return AnswerRow(group, _finite(estimate.value), _finite(estimate.low), _finite(estimate.high))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

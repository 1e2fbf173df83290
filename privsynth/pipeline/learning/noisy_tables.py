"""From the noisy tables that a generator bought to those that are published. Post-processing: no row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.generators.registry import FittedGenerator
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, count_noise, unit_sizes_sigma
from privsynth.privacy.unit_weights import weight_of_row
from privsynth.release.noisy.axes import TableAxis
from privsynth.release.noisy.tables import CodeWeights, CountedRows, PublishedTable, PublishedTables
from privsynth.sampling.linked.by_place import FittedByPlace

FIRST, LATER = "first rows", "later rows"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A data table whose rows were counted.

    Attributes:
      fitted: what was learned of them.
      axes: of its attributes: those of columns, those given, and the class of the unit.
      rows: how they were counted.
    """

    fitted: FittedGenerator
    axes: tuple[TableAxis, ...]
    rows: CountedRows


def noisy_tables(dataset: str, unit: str, counted: Mapping[str, Counted]) -> PublishedTables | None:
    """Return the noisy tables as they are published; None if no generator tells any.

    Args:
      counted: data table -> what was counted; the name is "" where there is one.
    """
    tables = tuple(table for name, one in counted.items() for table in published_tables(one.fitted, name))
    if not tables:
        return None
    axes = {name: one.axes for name, one in counted.items()}
    return PublishedTables(
        dataset=dataset, unit=unit, axes=axes, rows={n: one.rows for n, one in counted.items()}, tables=tables
    )


def published_tables(fitted: FittedGenerator, data_table: str = "") -> tuple[PublishedTable, ...]:
    """Return the tables that a model was fitted to, as they were released; none if its generator tells none.

    Args:
      data_table: of which the rows are; "" where there is one.
    """
    if isinstance(fitted, FittedByPlace):
        first = _of(fitted.first, data_table, FIRST, fitted.rows.kept)
        return (*first, *_of(fitted.later, data_table, LATER, range(len(fitted.rows.sizes))))
    return _of(fitted, data_table, "", None)


def _of(
    fitted: FittedGenerator, data_table: str, stratum: str, kept: Sequence[int] | None
) -> tuple[PublishedTable, ...]:
    bought: Sequence[Any] = getattr(fitted, "paid", ())
    return tuple(
        PublishedTable(
            data_table=data_table,
            stratum=stratum,
            axes=tuple(a if kept is None else kept[a] for a in table.marginal.attributes),
            groups=table.marginal.groups,
            counts=table.counts,
            sigma=np.broadcast_to(table.sigma, table.counts.shape),
            part=table.part,
            label=table.label,
            noise_multiplier=table.noise_multiplier,
            scale_error=table.scale_error,
            mean_weight=table.mean_weight,
        )
        for table in bought
    )


def counted_rows(sizes: Sizes, request: Request, fitted: FittedGenerator, *, once: bool = False) -> CountedRows:
    """Return how rows were counted, from paid numbers and public facts.

    Args:
      once: where first rows were counted apart: whether a unit has one of them at most, so that each counts one.
    """
    per_unit, most = sizes.rows_per_unit, request.budget.max_rows_per_unit
    if per_unit is None or sizes.units is None:
        return CountedRows(max_rows_per_unit=1, holdout=request.holdout_fraction)
    apart = isinstance(fitted, FittedByPlace)
    mean, shift = _weighing(per_unit, later=apart)
    return CountedRows(
        max_rows_per_unit=most,
        holdout=request.holdout_fraction,
        beside=per_unit.rows_beside(used=True),
        size_error=_size_error(sizes, request),
        shift=shift,
        mean_weight=mean,
        least_weight=float(weight_of_row(np.array(most))),
        codes=_code_weights(per_unit, later=apart),
        sizes_told=once or not apart,
    )


def _code_weights(per_unit: RowsPerUnit, *, later: bool) -> tuple[CodeWeights, ...]:
    """Return what rows weigh by the code of their unit's number of rows; none if units are not told apart by it."""
    if per_unit.n_codes == 1:
        return ()
    used = np.maximum(np.minimum(per_unit.rows, per_unit.most_used) - later, 0.0)
    ends = np.minimum(np.array(per_unit.classes), per_unit.most_used) - later
    weight = weight_of_row(used)
    total = max(float(used @ np.array(per_unit.units)), 1e-300)
    found = []
    for code in range(per_unit.n_codes):
        of = per_unit.codes == code
        rows = (used * np.array(per_unit.units))[of]
        mean = float(np.average(weight[of], weights=rows + 1e-9))
        least, most = (float(weight_of_row(end)) for end in (ends[of].max(), ends[of].min()))
        found.append(CodeWeights(min(float(rows.sum()) / total, 1.0), min(mean, 1.0), least, most))
    return tuple(found)


def _weighing(per_unit: RowsPerUnit, *, later: bool) -> tuple[float, float]:
    """Return what a row weighs on average, and the distance between the rows that are used and the same as weighed.

    Args:
      later: of the rows of a unit but its first, which weigh among themselves; the first weigh one each.
    """
    used = np.minimum(per_unit.rows, per_unit.most_used)
    rows = np.maximum(used - later, 0.0)
    share = rows * np.array(per_unit.units)
    weight = weight_of_row(rows)
    total, held = max(float(share.sum()), 1e-300), max(float(share @ weight), 1e-300)
    of_all = total / max(float(used @ np.array(per_unit.units)), 1e-300)
    return min(held / total, 1.0), of_all * float(np.abs(share / total - share * weight / held).sum() / 2)


def _size_error(sizes: Sizes, request: Request) -> float:
    """Return the relative standard deviation of the number of training rows: of units, times their rows on average.

    Classes of units that do not stand out were joined, which has less noise than this says.
    """
    per_unit, units = sizes.rows_per_unit, sizes.units
    assert per_unit is not None
    assert units is not None
    rows, mean = np.minimum(per_unit.rows, per_unit.most_used), per_unit.mean_used
    noise = unit_sizes_sigma(request.plan) * float(np.sqrt(((rows - mean) ** 2).sum()))
    of_units = count_noise(request.plan, request.holdout_fraction).sigma / max(units[0], 1.0)
    return float(np.hypot(of_units, noise / max(units[1] * mean, 1.0)))


def unit_axes(per_unit: RowsPerUnit | None) -> tuple[TableAxis, ...]:
    """Return the axis of how many rows the unit of a row has, where the model tells units apart by it."""
    if per_unit is None or per_unit.n_codes == 1:
        return ()
    texts = []
    for code in range(per_unit.n_codes):
        classes = [c for c, of in zip(per_unit.classes, per_unit.codes, strict=True) if of == code]
        low, high = min(c[0] for c in classes), max(c[1] for c in classes)
        texts.append(f"{low}" if low == high else f"{low} to {high}")
    return (TableAxis("rows of the unit", "", "code", (*texts, "missing"), never=(len(texts),)),)

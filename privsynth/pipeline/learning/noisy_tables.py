"""From the noisy tables that a generator bought to those that are published. Post-processing: no row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.codecs.encoded_table import RowsPerUnit
from privsynth.generators.registry import FittedGenerator
from privsynth.pipeline.learning.request import Request
from privsynth.pipeline.learning.sizes import Sizes, count_noise
from privsynth.privacy.unit_weights import weight_of_row
from privsynth.release.noisy.axes import TableAxis
from privsynth.release.noisy.tables import CountedRows, PublishedTable, PublishedTables
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
        )
        for table in bought
    )


def counted_rows(sizes: Sizes, request: Request) -> CountedRows:
    """Return how rows were counted, from paid numbers and public facts."""
    per_unit, most = sizes.rows_per_unit, request.budget.max_rows_per_unit
    if per_unit is None or sizes.units is None:
        return CountedRows(max_rows_per_unit=1, holdout=request.holdout_fraction)
    noise = count_noise(request.plan, request.holdout_fraction).sigma
    return CountedRows(
        max_rows_per_unit=most,
        holdout=request.holdout_fraction,
        beside=per_unit.rows_beside(used=True),
        size_error=noise / max(sizes.units[0], 1.0),
        shift=_shift(per_unit),
    )


def _shift(per_unit: RowsPerUnit) -> float:
    """Return the distance between the rows that are used and the same, weighed as they are counted."""
    rows = np.minimum(per_unit.rows, per_unit.most_used)
    share = rows * np.array(per_unit.units)
    counted = share * weight_of_row(rows)
    return float(np.abs(share / max(share.sum(), 1e-300) - counted / max(counted.sum(), 1e-300)).sum() / 2)


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

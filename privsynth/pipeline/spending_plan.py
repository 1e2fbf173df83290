"""How a release's budget is cut: relative weights from public facts, for `synthesize` and `plan` alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from privsynth.codecs.column_facts import needs_votes
from privsynth.domain.numbers.quantile_tree import FIRST_PARTS
from privsynth.errors import ConfigError
from privsynth.pipeline.config import REPORT_SHARE
from privsynth.privacy.budget import Budget, SpendingPlan, TrainingSpec, plan_spending
from privsynth.schema.definition import UNMODELLED_KINDS, Schema

# Shares of the generator's μ² (own, tried in experiments/). What is declared costs nothing; the tables get its share.
VOTES, ROWS, DOMAIN, DOMAIN_DECLARED, ONE_WAY, ONE_WAY_DECLARED, SELECTION = 0.02, 0.005, 0.13, 0.06, 0.05, 0.1, 0.08

MOST_NOISE = 1e8  # standard deviation of the number of rows (own): a table of that many rows would be made of noise
UNITS = 0.02  # share of part "rows" where a unit has several rows: how many rows follows from how many each has (own)
MOVABLE = ("votes", "domain", "one_way", "selection", "measurement")
# Part -> the strength of a table below which its share grows in inverse proportion, and its largest share; see
# `respread`. Own.
CLEAR_AT = {"votes": (200.0, 0.25), "domain": (300.0, 0.45), "one_way": (120.0, 0.2)}


def modelled_columns(names: Iterable[str], schema: Schema, unit: str) -> list[str]:
    """Return the columns that a generator may have to model, from public facts: no identifiers, texts or code books."""
    declared = ((name, schema.column(name)) for name in names if name != unit)
    return [name for name, column in declared if column.kind not in UNMODELLED_KINDS and column.follows is None]


def weights(schema: Schema, physical: Mapping[str, pa.DataType], budget: Budget) -> dict[str, float]:
    """Return part -> relative weight, without the report's; from the schema and the header's types alone."""
    modelled = modelled_columns(physical, schema, budget.unit)
    found: dict[str, float] = {}
    if any(needs_votes(schema.column(n), physical[n]) for n in modelled):
        found["votes"] = VOTES
    if budget.max_rows_per_unit > 1:
        found["rows"] = UNITS
    elif budget.rows is None:
        found["rows"] = ROWS
    open_texts = any(_open_text(schema, n) for n in modelled)
    lines = any(_line(schema, n) for n in modelled)
    if open_texts or lines:
        found["domain"] = DOMAIN if open_texts else DOMAIN_DECLARED
    found["one_way"] = ONE_WAY if open_texts else ONE_WAY_DECLARED
    found["selection"] = SELECTION
    found["measurement"] = 1.0 - sum(found.values())
    return found


def _open_text(schema: Schema, name: str) -> bool:
    column = schema.column(name)
    return column.kind is None or (column.kind == "categorical" and column.categories is None)


def _line(schema: Schema, name: str) -> bool:
    return schema.column(name).kind in (None, "numeric", "integer", "datetime", "date")


def open_domain(schema: Schema, physical: Mapping[str, pa.DataType], budget: Budget) -> bool:
    """Return whether any threshold may be needed, so that δ has to be set aside for it."""
    modelled = modelled_columns(physical, schema, budget.unit)
    return any(_open_text(schema, n) or (_line(schema, n) and not _small(schema, n)) for n in modelled)


def _small(schema: Schema, name: str) -> bool:
    """Return whether a column's declared range is so short that each value gets a count."""
    column = schema.column(name)
    if column.kind != "integer" or column.minimum is None or column.maximum is None:
        return False
    return float(column.maximum) - float(column.minimum) < FIRST_PARTS  # type: ignore[arg-type]


def make_plan(
    schema: Schema,
    physical: Mapping[str, pa.DataType],
    budget: Budget,
    training: TrainingSpec | None,
    *,
    may_stop: bool = False,
) -> SpendingPlan:
    """Return the plan of a release: the generator's parts, and the report's fixed share of the whole.

    Args:
      may_stop: whether the run ends where the number of rows shows that little can be learned (see `plan_spending`).
    Raises:
      ConfigError: noise would hide even the number of rows.
    """
    relative = weights(schema, physical, budget)
    gaussian = 1.0 - (training.share if training else 0.0)
    report = REPORT_SHARE / gaussian
    parts = {name: weight * (1.0 - report) for name, weight in relative.items()} | {"report": report}
    plan = plan_spending(
        budget,
        parts,
        open_domain=open_domain(schema, physical, budget),
        training=training,
        may_stop=may_stop and "rows" in parts,
    )
    # In rows, if all units had as many as they may: what is drawn by default is of that order.
    noise = budget.max_rows_per_unit * plan.parts["rows"] ** -0.5 if "rows" in plan.parts else 0.0
    if noise > MOST_NOISE:
        raise ConfigError(
            f"at this budget noise of {noise:.1g} rows would hide how many rows there are; choose a larger epsilon or "
            "fewer rows a unit, or declare the number of rows"
        )
    return plan


def respread(plan: SpendingPlan, *, n_rows: float, columns: int, rows_per_unit: float) -> SpendingPlan:
    """Return the plan with shares that suit the released number of rows; the total and the parts stay the same.

    Where rows are few compared with the noise, the columns' domains and one-way tables are lost first: their parts get
    more, in inverse proportion to the strength of the table, at the expense of pairs, which noise hides anyway. What
    was spent is not changed.

    Args:
      n_rows: the released number of rows.
      columns: how many the generator models.
      rows_per_unit: rows of a unit: the mean where it is known, else the most.
    """
    movable = [part for part in MOVABLE if part in plan.parts]
    whole = math.fsum(plan.parts[part] for part in movable)
    # Rows in standard deviations of noise, if one histogram for each column cost the total.
    strength = n_rows * whole**0.5 / (rows_per_unit * max(columns, 1) ** 0.5)
    wanted = {part: plan.parts[part] / whole for part in movable}
    for part, (clear, most) in CLEAR_AT.items():
        if part in wanted:
            wanted[part] = max(wanted[part], min(most, wanted[part] * clear / max(strength, 1e-9)))
    first = [part for part in CLEAR_AT if part in wanted]
    rest = [part for part in movable if part not in first]
    left = (1.0 - math.fsum(wanted[part] for part in first)) / math.fsum(wanted[part] for part in rest)
    shares = {part: wanted[part] * (left if part in rest else 1.0) * whole for part in movable}
    return replace(plan, parts={part: shares.get(part, mu2) for part, mu2 in plan.parts.items()})

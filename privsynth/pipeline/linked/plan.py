"""One plan for all linked tables: each table has parts of its own, and together they are the budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from privsynth.errors import SchemaError
from privsynth.pipeline.config import REPORT_SHARE
from privsynth.pipeline.spending_plan import modelled_columns, open_domain, weights
from privsynth.privacy.budget import ROUNDING, Budget, SpendingPlan, TrainingSpec, plan_spending
from privsynth.privacy.mechanisms import Mechanisms, Noisy, StableKeys, TrainingNoise
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema

# A table's share of the budget grows with its columns to this power: noise in L1 grows with the entries of its tables,
# and the best prices of several grow with the cube root of the square of their entries (see `generators.marginal`).
SHARE_POWER = 2 / 3
REPORT = "report"  # the part of each table that buys its public figures


@dataclass(frozen=True, kw_only=True)
class LinkedPlan:
    """How one budget is cut over the parts of several tables.

    Attributes:
      whole: the plan of the bill; its parts are named "table/part". Its training run has the steps of all tables.
      schema: how the tables are linked.
      training: the public shape of that run, None if no table trains a network.
    """

    whole: SpendingPlan
    schema: LinkedSchema
    training: TrainingSpec | None = None

    def budget_of(self, table: str) -> Budget:
        """Return the promise as one table's stages read it: the unit, and how many rows of it are used there."""
        declared, whole = self.schema.tables[table], self.whole.budget
        if declared.parent is None:
            return Budget(epsilon=whole.epsilon, delta=whole.delta, unit=self.schema.person)
        return replace(whole, unit=", ".join(declared.parent.columns), max_rows_per_unit=declared.max_children)

    def of_table(self, table: str, current: Mapping[str, float] | None = None) -> SpendingPlan:
        """Return the parts of one table, under their own names, and its share of δ for thresholds.

        Args:
          current: "table/part" -> μ², if the parts were cut anew.
        """
        prefix = f"{table}/"
        every = self.whole.parts if current is None else current
        parts = {name.removeprefix(prefix): mu2 for name, mu2 in every.items() if name.startswith(prefix)}
        delta = self.whole.discovery_delta * ROUNDING / len(self.schema.modelled)
        run = self.whole.training
        if run is not None:
            below = self.schema.modelled[1:]
            run = replace(run, steps=run.steps // len(below)) if table in below else None
        return SpendingPlan(budget=self.budget_of(table), parts=parts, discovery_delta=delta, training=run)


def make_linked_plan(
    linked: LinkedSchema,
    schemas: Mapping[str, Schema],
    physical: Mapping[str, Mapping[str, pa.DataType]],
    budget: Budget,
    training: TrainingSpec | None = None,
    *,
    may_stop: bool = False,
) -> LinkedPlan:
    """Return the plan of a release of linked tables, from public facts alone.

    The training runs of the tables below the root are one run of all their steps. It takes its share of the budget from
    these tables; what the root and the reports get is as without it.

    Args:
      schemas: table -> its schema as it is modelled.
      physical: table -> column -> Arrow type, of the columns that are modelled.
      training: the run of one table below the root, with its share of that table's budget.
      may_stop: whether the run ends where the number of persons shows that little can be learned.
    Raises:
      SchemaError: a table has no column that could be learned.
    """
    plan = LinkedPlan(whole=SpendingPlan(budget=budget, parts={}), schema=linked)
    relative: dict[str, float] = {}
    opened, trained = False, 0.0
    for name in linked.modelled:
        own = plan.budget_of(name)
        if not modelled_columns(physical[name], schemas[name], own.unit):
            raise SchemaError(
                f"the table '{name}' has nothing to learn beside keys and texts; leave it out of the schema, or, if it "
                "is public, declare that it is a reference table"
            )
        share = max(len(physical[name]), 1) ** SHARE_POWER
        taken = training.share if training is not None and name != linked.root else 0.0
        trained += share * taken
        for part, weight in weights(schemas[name], physical[name], own).items():
            relative[f"{name}/{part}"] = share * weight * (1.0 - REPORT_SHARE - taken)
        relative[f"{name}/{REPORT}"] = share * REPORT_SHARE
        opened |= open_domain(schemas[name], physical[name], own)
    if training is not None and trained:
        whole, tables = math.fsum(relative.values()) + trained, len(linked.modelled) - 1
        training = replace(training, share=trained / whole, steps=training.steps * tables)
    else:
        training = None
    spending = plan_spending(budget, relative, open_domain=opened, training=training, may_stop=may_stop)
    return replace(plan, whole=spending, training=training)


class MechanismsOfTable:
    """Mechanisms that charge the parts of one table.

    Args:
      inner: the mechanisms of the run.
      parts: "table/part" -> μ², of all tables as they stand; kept up to date, and shared by the tables of a run.
      table: whose parts are meant.
      steps: of the plan's training run that are the table's.
    """

    def __init__(self, inner: Mechanisms, parts: dict[str, float], table: str, steps: int = 0) -> None:
        self._inner, self._parts, self.table, self._steps = inner, parts, table, steps
        self._spent: dict[str, float] = {}

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        """Release integers (see `Mechanisms.gaussian`)."""
        self._enter(part, mu_squared)
        return self._inner.gaussian(
            values,
            l2_sensitivity=l2_sensitivity,
            part=self._part(part),
            mu_squared=mu_squared,
            label=self._label(label),
        )

    def stable_keys(
        self,
        counts: Sequence[Mapping[str, int]],
        *,
        max_rows_per_unit: int,
        part: str,
        mu_squared: float,
        delta: float,
        label: str,
        known: Sequence[str] = (),
        unit_weight: int | None = None,
    ) -> StableKeys:
        """Release the frequent keys of open domains (see `Mechanisms.stable_keys`)."""
        self._enter(part, mu_squared)
        return self._inner.stable_keys(
            counts,
            max_rows_per_unit=max_rows_per_unit,
            part=self._part(part),
            mu_squared=mu_squared,
            delta=delta,
            label=self._label(label),
            known=known,
            unit_weight=unit_weight,
        )

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Cut the table's μ² into its parts anew; those of the other tables stay."""
        self._parts.update({self._part(part): mu2 for part, mu2 in parts.items()})
        self._inner.share_out(self._parts)

    def training(self, *, clip: float, label: str, steps: int | None = None) -> TrainingNoise:
        """Charge the table's steps of the plan's training run (see `Mechanisms.training`)."""
        return self._inner.training(clip=clip, label=self._label(label), steps=self._steps if steps is None else steps)

    def pass_on(self, later: Sequence[str]) -> None:
        """Leave what the table has not spent to later tables, in proportion to what they have; keep the report's part.

        Which release follows, and at what price, then depends on earlier releases alone (see `Bill.share_out`).
        """
        own = [part for part in self._parts if part.startswith(f"{self.table}/") and part != self._part(REPORT)]
        theirs = [part for part in self._parts if part.partition("/")[0] in later and not part.endswith(f"/{REPORT}")]
        whole = math.fsum(self._parts[part] for part in theirs)
        left = math.fsum(max(self._parts[part] - self._spent.get(part, 0.0), 0.0) for part in own) * ROUNDING
        if whole <= 0 or left <= 0:
            return
        self._parts.update({part: min(self._spent.get(part, 0.0), self._parts[part]) for part in own})
        self._parts.update({part: self._parts[part] * (1.0 + left / whole) for part in theirs})
        self._inner.share_out(self._parts)

    def _enter(self, part: str, mu_squared: float) -> None:
        self._spent[self._part(part)] = self._spent.get(self._part(part), 0.0) + mu_squared

    def _part(self, part: str) -> str:
        return f"{self.table}/{part}"

    def _label(self, label: str) -> str:
        return f"{self.table}: {label}"


__all__ = ["REPORT", "SHARE_POWER", "LinkedPlan", "MechanismsOfTable", "make_linked_plan"]

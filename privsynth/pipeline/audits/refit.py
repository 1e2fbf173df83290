"""The same generator, trained on other rows: what shadow models and generations of the officer's audit are made of.

In memory and outside the ledger: what it makes is for the audit of this run alone and is never written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from privsynth.codecs.column_facts import ColumnFacts
from privsynth.generators.registry import GENERATORS, load_generator
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Request
from privsynth.privacy.accounting import gdp_epsilon, gdp_mu
from privsynth.privacy.budget import MAX_EPSILON, MIN_EPSILON, Bill, Budget
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.randomness import KeyedFunction
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import Column, Schema
from privsynth.table import Table


@dataclass(frozen=True, kw_only=True)
class Refit:
    """Trains a generator of ours anew, with the noise of the original; call it with a frame.

    Attributes:
      generator: its name in the registry.
      epsilon, delta, max_rows_per_unit: of the original promise. Frames have rows and no units, so that the promise is
        made stricter instead: a row gets the noise that a unit of k rows got.
      schema: what was declared.
      facts: what each column is.
    """

    generator: str
    epsilon: float
    delta: float
    max_rows_per_unit: int
    schema: Schema
    facts: Mapping[str, ColumnFacts]

    def __call__(self, frame: pd.DataFrame, *, seed: int) -> pd.DataFrame:
        """Return as many synthetic rows as `frame` has, in the columns and types of `frame`.

        Guarantee: none to anybody outside; the bill is thrown away.
        Args:
          frame: rows in the types of `AuditTables.train`.
          seed: of the synthetic rows; noise is fresh in each call.
        """
        names = [str(name) for name in frame.columns]
        table = Table(pa.table({name: _arrow(frame[name], self.facts[name]) for name in names}))
        schema = Schema(columns={name: self._column(name, names) for name in names}, rules=self._rules(names))
        mu = gdp_mu(self.epsilon, self.delta) / self.max_rows_per_unit
        epsilon = float(np.clip(gdp_epsilon(mu, self.delta), MIN_EPSILON, MAX_EPSILON))
        budget = Budget(epsilon=epsilon, delta=self.delta)
        generator = load_generator(self.generator)
        types = {name: table.column(name).type for name in names}
        request = Request.on_all_rows(schema, types, budget, generator, seed=seed)
        request = replace(request, dataset="refit", n_synthetic=max(len(frame), 1), figures=False)
        public, _ = learn(
            PrivateRows.held(table.data), request, GaussianMechanisms(Bill(request.plan)), KeyedFunction()
        )
        return plain_frame(public.rows.frame(names)[names])

    def _column(self, name: str, names: Sequence[str]) -> Column:
        fact, book = self.facts[name], self.schema.column(name).follows
        changes: dict[str, object] = {"kind": fact.kind, "format": None, "decimal": None, "observed": False}
        if fact.kind in ("numeric", "datetime"):
            changes["precision"] = fact.precision
        if book is not None and book.column not in names:
            changes["follows"] = None
        return self.schema.column(name).model_copy(update=changes)

    def _rules(self, names: list[str]) -> tuple[str, ...]:
        kept = (rule for rule in self.schema.parsed_rules() if rule.shape != "derived")
        return tuple(rule.text for rule in kept if set(rule.columns) <= set(names))


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a synthetic frame with integers as floats, as the audits have them."""
    out = frame.copy()
    for name in frame.columns:
        if pd.api.types.is_integer_dtype(frame[name].dtype):
            out[name] = frame[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return out


def _arrow(column: pd.Series, fact: ColumnFacts) -> pa.Array:
    """Return a column of a clean frame as the container that its kind is declared on."""
    if fact.kind in ("numeric", "integer"):
        return pa.array(column.to_numpy(dtype=np.float64, na_value=np.nan), pa.float64(), from_pandas=True)
    if fact.kind in ("datetime", "date"):
        return pa.array(column.to_numpy(dtype="datetime64[s]"), pa.timestamp("s"))
    return pa.array(column.astype(object).where(column.notna(), None), pa.string())


def refit_of_model(
    model: SyntheticModel,
    *,
    promise: tuple[float, float] | None,
    max_rows_per_unit: int,
    schema: Schema,
    facts: Mapping[str, ColumnFacts],
) -> Callable[..., pd.DataFrame] | None:
    """Return the refit of a model; None if its promise is not known or its generator keeps none."""
    generator = GENERATORS.get(model.fitted.name)
    if promise is None or promise[0] <= 0 or promise[1] <= 0 or generator is None or not generator.private:
        return None
    epsilon, delta = promise
    return Refit(
        generator=model.fitted.name,
        epsilon=epsilon,
        delta=delta,
        max_rows_per_unit=max_rows_per_unit,
        schema=schema,
        facts=facts,
    )


def promise_beside(folder: Path) -> tuple[float, float, int] | None:
    """Return (epsilon, delta, rows of a unit) from the report.json of the release that a model folder is part of."""
    try:
        data = json.loads((folder.resolve().parent / "report.json").read_text(encoding="utf-8"))
        promise = data["guarantee"]
        return float(promise["epsilon"]), float(promise["delta"]), int(promise["max_rows_per_unit"] or 1)
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Rows of a model of units: drawn so that rows come as often as in the real table, whatever a unit's rows weighed.

Where units may have several rows, a generator counts those of units with many at less than their number, and it learns
beside the columns how many rows the unit has. How many rows units of each number have is known from a release of its
own. So rows are drawn with a likelihood for that number, the share of rows that it should have over the share that it
has in the model: P(row) ∝ Σ P(row, n)·w(n). Conditional sampling does that without rejection.

Source: post-stratification (Holt & Smith 1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.codecs.columns import SurrogateCodec
from privsynth.codecs.encoded_table import MAX_CLASSES, RowsPerUnit
from privsynth.codecs.loaded import MAX_NAME, items, number, only, require, text
from privsynth.codecs.table import TableCodec
from privsynth.generators.registry import FittedGenerator
from privsynth.sampling.conditional import complete

ROWS_TRIED = 50_000  # rows drawn to find the shares of a model (own): exact to a few thousandths
MOST_WEIGHT = 20.0  # of a class, to the mean row: what a model hardly has, it has learned too little of


@dataclass(frozen=True)
class ModelOfUnits:
    """How many rows units have, and how rows are drawn by it.

    Attributes:
      rows_per_unit: as released.
      weights: for each code, its share of rows over its share in the model.
      column: the unit column, where the rows of a synthetic unit are drawn together and share a surrogate; None where
        each row has one of its own.
      constant: columns that have one value in all rows of a unit.
    """

    rows_per_unit: RowsPerUnit
    weights: tuple[float, ...]
    column: str | None = None
    constant: tuple[str, ...] = ()

    @classmethod
    def of(cls, fitted: FittedGenerator, rows_per_unit: RowsPerUnit, rng: np.random.Generator) -> ModelOfUnits:
        """Return the weights of a model whose last attribute is the code, if there are several; post-processing."""
        size = rows_per_unit.n_codes + 1
        if rows_per_unit.n_codes == 1:
            return cls(rows_per_unit, (1.0,))
        found = np.bincount(fitted.sample_codes(ROWS_TRIED, rng)[-1], minlength=size)[:-1] / ROWS_TRIED
        wanted = rows_per_unit.row_shares
        weights = np.minimum(wanted / np.maximum(found, 1 / ROWS_TRIED), MOST_WEIGHT)
        return cls(rows_per_unit, tuple(weights.tolist()))

    @property
    def sizes(self) -> list[int]:
        """Numbers of codes, NULL included, of what the model has beside the columns: one attribute, or none."""
        return [len(self.weights) + 1] if len(self.weights) > 1 else []

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            **self.rows_per_unit.to_json(),
            "weights": list(self.weights),
            **({"column": self.column, "constant": list(self.constant)} if self.column is not None else {}),
        }

    @classmethod
    def from_json(cls, data: Any) -> ModelOfUnits:
        """Return what `to_json` wrote.

        Raises:
          Malformed: it is something else.
        """
        data = only(
            data,
            {"classes", "shares", "most_used", "weights", "joined", "column", "constant"},
            "the numbers of rows of units",
            optional=frozenset({"joined", "column", "constant"}),
        )
        per_unit = RowsPerUnit.from_json(data)
        given = items(data["weights"], "the shares", at_most=MAX_CLASSES)
        weights = tuple(number(n, 0.0, 1e6, "a share of units") for n in given)
        require(len(weights) == per_unit.n_codes, "the weights of units do not fit")
        require(float(np.array(per_unit.units) @ np.array(weights)[per_unit.codes]) > 0, "no unit has a row")
        column = text(data["column"], "the unit column", at_most=MAX_NAME) if "column" in data else None
        constant = tuple(
            text(name, "a constant column", at_most=MAX_NAME)
            for name in items(data.get("constant", []), "the constant columns")
        )
        return cls(per_unit, weights, column, constant)

    def check_columns(self, codec: TableCodec) -> None:
        """Return if the columns that are named can be drawn so.

        Raises:
          Malformed: if not.
        """
        known = codec.by_name
        require(
            self.column is None or isinstance(known.get(self.column), SurrogateCodec),
            "the unit column is no column of identifiers",
        )
        require(all(name in known and codec.attributes_of(name) for name in self.constant), "a constant is no column")


@dataclass(frozen=True)
class RowsOfUnits:
    """A model of rows, made of one that knows how many rows the row's unit has.

    Attributes:
      fitted: has that as its last attribute, unless units are not told apart.
      units: the weight of each number.
      attributes: how many there are without it.
    """

    fitted: FittedGenerator
    units: ModelOfUnits
    attributes: int

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes of rows."""
        return self.complete(np.full((self.attributes, n_rows), -1, dtype=np.int32), {}, rng)

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return codes of rows given what is known (see `conditional.complete`)."""
        if not self.units.sizes:
            return complete(self.fitted, known, evidence, rng)
        weight = np.array([*self.units.weights, 0.0])
        unknown = np.full((1, known.shape[1]), -1, dtype=np.int32)
        every = {**evidence, self.attributes: weight / weight.max()}
        return complete(self.fitted, np.concatenate([known, unknown]), every, rng)[:-1]

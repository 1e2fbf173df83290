"""A fitted network with its interactions and potentials: how it is saved, restored and drawn from, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from privsynth.codecs.loaded import (
    MAX_ITEMS,
    MAX_WIDTH,
    attributes_of_table,
    checked_settings,
    code_sizes,
    flag,
    items,
    number,
    require,
    whole,
)
from privsynth.generators.arn.calibration import (
    CalibrationTable,
    Potential,
    TiltSettings,
    ceiling_of,
    draw_tilted,
    fit_tilt,
    log_weights,
)
from privsynth.generators.arn.conditional import complete_network
from privsynth.generators.arn.interactions import Interactions, check_interactions
from privsynth.generators.arn.next_event import fitted as next_event
from privsynth.generators.arn.sampling import sample_network
from privsynth.generators.registry import MAX_TENSOR_VALUE
from privsynth.progress import Progress, no_progress

_PART_ROWS = 50_000  # candidates and their weights of so many rows are in memory at once
# What a model file may ask for; the defaults are 4 and 64.
MAX_OVERSAMPLE, MAX_BLOCKS = 64, 4_096


@dataclass(frozen=True)
class FittedArn:
    """A network and the potentials that tilt its rows.

    Its products of matrices take well under a millisecond. Where another process works on the same cores, two threads
    wait for each other, spinning, after every one of them, and take longer than one: so one is what they get.

    Attributes:
      weights: float32 arrays of the network.
      interactions: terms of three and four attributes that are added to the network's logits.
      potentials: tables of the marginal model with log weights of their cells.
      sizes: number of codes of each attribute.
      no_null: attributes whose NULL is never drawn.
      order: in which attributes are drawn.
      hidden: width of the network.
      tilt: how rows are chosen.
      ceiling: largest log weight of a row.
      paid: the noisy tables as they were released; not saved with the model.
    """

    name: ClassVar[str] = "arn"
    weights: Mapping[str, np.ndarray]
    interactions: Interactions
    potentials: tuple[Potential, ...]
    sizes: tuple[int, ...]
    no_null: tuple[bool, ...]
    order: tuple[int, ...]
    hidden: int
    tilt: TiltSettings
    ceiling: float = 0.0
    paid: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def network_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes of the network as it is, not tilted."""
        with threadpool_limits(1, user_api="blas"):
            return sample_network(self.weights, self.sizes, self.no_null, self.order, self.interactions, n_rows, rng)

    def sample_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes, tilted to the marginal model's tables."""
        parts = [np.zeros((len(self.sizes), 0), dtype=np.uint16)]
        for start in range(0, n_rows, _PART_ROWS):
            size = min(_PART_ROWS, n_rows - start)
            parts.append(self._draw(size, rng))
        return np.concatenate(parts, axis=1)

    def _draw(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        return draw_tilted(
            n_rows,
            self.sizes,
            self.potentials,
            self.ceiling,
            self.tilt,
            lambda count: self.network_codes(count, rng),
            rng,
        )

    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known (see `generators.conditional.complete`)."""
        with threadpool_limits(1, user_api="blas"):
            return complete_network(self, known, evidence, rng)

    def tilted(
        self, tables: list[CalibrationTable], rng: np.random.Generator, progress: Progress = no_progress
    ) -> FittedArn:
        """Return the model with the potentials under which its rows have these tables."""
        codes = self.network_codes(self.tilt.rows, rng)
        found = tuple(fit_tilt(codes, self.sizes, tables, settings=self.tilt, progress=progress))
        ceiling = ceiling_of(log_weights(codes, self.sizes, found), self.tilt.most)
        return replace(self, potentials=found, ceiling=ceiling)

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the network's weights, the interactions', and potentials and tables, flat and side by side."""
        empty = np.zeros(0, dtype=np.float32)
        values = np.concatenate([empty, *(potential.values.ravel() for potential in self.potentials)])
        shares = np.concatenate([empty, *(potential.shares.ravel() for potential in self.potentials)])
        network = {f"network.{name}": array for name, array in self.weights.items()}
        terms = {"interactions.scores": self.interactions.scores, "interactions.values": self.interactions.values}
        return {**network, **terms, "tilt.values": values, "tilt.shares": shares}

    def settings(self) -> dict[str, Any]:
        """Return sizes, order, what the terms and the potentials belong to, and settings."""
        return {
            "sizes": list(self.sizes),
            "no_null": list(self.no_null),
            "order": list(self.order),
            "hidden": self.hidden,
            "tilt": asdict(self.tilt),
            "ceiling": self.ceiling,
            "score_owner": self.interactions.owner.tolist(),
            "terms": self.interactions.terms.tolist(),
            "tables": [list(potential.attributes) for potential in self.potentials],
        }


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedArn | next_event.FittedNextEvent:
    """Return the model that was saved: that of one table, or of the rows of linked ones.

    Raises:
      ValueError: tensors and settings do not fit each other.
    """
    if settings.get("network") == next_event.KIND:
        return next_event.restore(tensors, settings)
    sizes = code_sizes(settings["sizes"])
    order = tuple(whole(at, 0, len(sizes) - 1, "a place in the order") for at in settings["order"])
    no_null = tuple(flag(value, "a setting of the generator") for value in settings["no_null"])
    tables = [attributes_of_table(table, len(sizes)) for table in items(settings["tables"], "the tables")]
    if sorted(order) != list(range(len(sizes))) or len(no_null) != len(sizes):
        raise ValueError("the order of the attributes does not fit their number")
    hidden = whole(settings["hidden"], 1, MAX_WIDTH, "the width of the network")
    weights = {name.removeprefix("network."): array for name, array in tensors.items() if name.startswith("network.")}
    shapes = [tuple(sizes[at] for at in attributes) for attributes in tables]
    require(all(math.prod(shape) <= MAX_ITEMS for shape in shapes), "a table has too many cells")
    ends = np.cumsum([math.prod(shape) for shape in shapes], dtype=np.int64)
    flat = [np.ascontiguousarray(tensors[name], dtype=np.float32) for name in ("tilt.values", "tilt.shares")]
    if any(array.shape != (int(ends[-1]) if len(ends) else 0,) for array in flat):
        raise ValueError("the tensors of the tilt do not fit the tables")
    values, shares = (np.split(array, ends[:-1]) if len(ends) else [] for array in flat)
    return FittedArn(
        weights=check_weights(weights, sizes, hidden),
        interactions=check_interactions(
            tensors["interactions.scores"],
            settings["score_owner"],
            settings["terms"],
            tensors["interactions.values"],
            sizes,
        ),
        potentials=tuple(
            Potential(attributes, value.reshape(shape), share.reshape(shape))
            for attributes, shape, value, share in zip(tables, shapes, values, shares, strict=True)
        ),
        sizes=sizes,
        no_null=no_null,
        order=order,
        hidden=hidden,
        tilt=_tilt(settings["tilt"]),
        ceiling=number(settings["ceiling"], -MAX_TENSOR_VALUE, MAX_TENSOR_VALUE, "the ceiling"),
    )


def _tilt(data: Any) -> TiltSettings:
    """Return settings under which a row is drawn in finite time and memory."""
    found = checked_settings(TiltSettings, data)
    bounded = found.rows >= 1 and 1 <= found.oversample <= MAX_OVERSAMPLE and 1 <= found.blocks <= MAX_BLOCKS
    require(bounded and found.most > 0, "a setting of the tilt is out of range")
    return found


def check_weights(weights: Mapping[str, np.ndarray], sizes: Sequence[int], hidden: int) -> dict[str, np.ndarray]:
    """Return the weights as contiguous float32 arrays.

    Raises:
      ValueError: one is missing, or its shape does not fit the attributes.
    """
    width = sum(sizes)
    shapes = {
        "first.weight": (hidden, width + len(sizes)),
        "first.bias": (hidden,),
        "middle.weight": (hidden, hidden),
        "middle.bias": (hidden,),
        "last.weight": (width, hidden),
        "last.bias": (width,),
    }
    checked = {}
    for name, shape in shapes.items():
        array = np.ascontiguousarray(weights[name], dtype=np.float32)
        if array.shape != shape:
            raise ValueError(f"the tensor '{name}' does not fit the attributes")
        checked[name] = array
    return checked

"""`arn`: an autoregressive network trained with Opacus DP-SGD, anchored to the marginal model before and after.

Buy the marginal generator's tables; fit its mixture; train the network on rows of the mixture (free); train its
interactions of three and four attributes on the real rows with DP-SGD; tilt its rows until the mixture's tables come
true again (free). What it adds is what the tables cannot carry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch

from privsynth.codecs.encoded_table import Encoded
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
from privsynth.errors import ConfigError
from privsynth.generators.arn.calibration import (
    Potential,
    Table,
    TiltSettings,
    ceiling_of,
    draw_tilted,
    fit_tilt,
    log_weights,
    mixture_tables,
)
from privsynth.generators.arn.conditional import complete_network
from privsynth.generators.arn.interactions import (
    Head,
    Interactions,
    attribute_scores,
    check_interactions,
    choose_terms,
)
from privsynth.generators.arn.network import Network, check_weights, hidden_width, prefix_logits, to_numpy
from privsynth.generators.arn.pretraining import WarmSettings, warm_start
from privsynth.generators.arn.sampling import sample_network
from privsynth.generators.arn.training import TrainSettings, clip_threshold, number_of_coefficients, train
from privsynth.generators.dpsgd.torch_threads import one_thread
from privsynth.generators.marginal.generator import MarginalGenerator, buy_tables
from privsynth.generators.marginal.measure import to_simplex
from privsynth.generators.registry import MAX_TENSOR_VALUE
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress

_CALIBRATION_ROWS = 4_096
_PART_ROWS = 50_000
# What a model file may ask for; the defaults are 4 and 64.
MAX_OVERSAMPLE, MAX_BLOCKS = 64, 4_096


@dataclass(frozen=True)
class FittedArn:
    """A network and the potentials that tilt its rows.

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

    @one_thread()
    def network_codes(self, n_rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return (attributes, n_rows) uint16 codes of the network as it is, not tilted."""
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

    @one_thread()
    def complete(self, known: np.ndarray, evidence: Mapping[int, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Return rows that agree with what is known (see `generators.conditional.complete`)."""
        return complete_network(self, known, evidence, rng)

    def tilted(self, tables: list[Table], rng: np.random.Generator, progress: Progress = no_progress) -> FittedArn:
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


@dataclass(frozen=True)
class ArnGenerator:
    """The generator and its settings; all of them public, none a function of the rows.

    Attributes:
      share: of the budget, in μ², that DP-SGD takes.
      sampling_probability, steps: of DP-SGD.
    """

    name: ClassVar[str] = "arn"
    share: float = 0.15
    sampling_probability: float = 1 / 8
    steps: int = 24
    warm: WarmSettings = field(default_factory=WarmSettings)
    training: TrainSettings = field(default_factory=TrainSettings)
    tilt: TiltSettings = field(default_factory=TiltSettings)
    marginal: MarginalGenerator = field(default_factory=MarginalGenerator)

    def training_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run."""
        return TrainingSpec(share=self.share, sampling_probability=self.sampling_probability, steps=self.steps)

    @one_thread()
    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress = no_progress,
    ) -> FittedArn:
        """Learn a model (see `Generator.fit`).

        Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and its training run.
        Raises:
          ConfigError: the plan has no training run, or there is nothing to model; nothing is spent.
        """
        if plan.training is None:
            raise ConfigError("the plan has no training run; make it with the generator's own training_spec()")
        if not data.attributes:
            raise ConfigError("there is no column to model; declare at least one")
        releases = buy_tables(data, mechanisms, plan, settings=self.marginal.fit_settings, rng=rng, progress=progress)
        mixture = self.marginal.fit_releases(data, releases, rng=rng, progress=progress)
        order = sampling_order(data)
        shares = [to_simplex(table.counts / max(data.n_rows, 1.0)) for table in releases.one_way]
        network = Network(data.sizes, hidden_width(data.sizes), rng=rng, shares=shares)
        synthetic = mixture.sample_codes(self.warm.rows, rng)
        warm_start(network, synthetic, order, self.warm, rng, progress, targets=data.targets)
        interactions = self._learn_interactions(network, data, mechanisms, plan, synthetic, order, rng, progress)
        untilted = FittedArn(
            weights=to_numpy(network),
            interactions=interactions,
            potentials=(),
            sizes=tuple(data.sizes),
            no_null=tuple(not attribute.can_be_null for attribute in data.attributes),
            order=order,
            hidden=network.hidden,
            tilt=self.tilt,
        )
        paid = [table.attributes for table in (*releases.one_way, *releases.tables)]
        paid += releases.pairs_of_rare
        return untilted.tilted(mixture_tables(mixture.p, data.sizes, paid), rng, progress)

    def _learn_interactions(
        self,
        network: Network,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        synthetic: np.ndarray,
        order: tuple[int, ...],
        rng: np.random.Generator,
        progress: Progress,
    ) -> Interactions:
        """Return the interactions that DP-SGD found.

        Guarantee: spends the plan's training run and nothing else; a table in which no three attributes have two
          codes each has no interactions, and then nothing is spent.
        """
        assert plan.training is not None
        scores, owner, association = attribute_scores(synthetic, data.sizes)
        most = number_of_coefficients(plan.training, data.n_rows, self.training)
        terms = choose_terms(owner, association, order, most=most, rng=rng)
        head = Head(data.sizes, order, scores, owner, terms)
        if len(terms):
            network.double()  # see dpsgd: the guarantee rests on double precision
            rows = torch.from_numpy(synthetic[:, :_CALIBRATION_ROWS].astype(np.int64).T.copy())
            clip = clip_threshold(
                head,
                prefix_logits(network, rows, order),
                rows,
                factor=self.training.clip_factor,
                max_rows_per_unit=data.max_rows_per_unit,
            )
            noise = mechanisms.training(clip=clip, label="DP-SGD of the network's interactions")
            train(head, network, data, noise, clip=clip, order=order, settings=self.training, progress=progress)
        return head.interactions()


def sampling_order(data: Encoded) -> tuple[int, ...]:
    """Return the attributes in the order in which they are drawn: targets last, so that they see all others."""
    rest = [at for at in range(len(data.attributes)) if at not in data.targets]
    return (*rest, *(at for at in range(len(data.attributes)) if at in data.targets))


def restore(tensors: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> FittedArn:
    """Return the model that was saved.

    Raises:
      ValueError: tensors and settings do not fit each other.
    """
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


GENERATOR = ArnGenerator()

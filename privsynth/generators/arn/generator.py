"""`arn`: an autoregressive network trained with Opacus DP-SGD, anchored to the marginal model before and after.

Buy the marginal generator's tables; fit its mixture; train the network on rows of the mixture (free); train its
interactions of three and four attributes on the real rows with DP-SGD; tilt its rows until the mixture's tables come
true again (free). What it adds is what the tables cannot carry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from privsynth.codecs.encoded_table import Encoded
from privsynth.errors import ConfigError
from privsynth.generators.arn.calibration import TiltSettings, mixture_tables
from privsynth.generators.arn.fitted import FittedArn
from privsynth.generators.arn.interaction_layers import Head
from privsynth.generators.arn.interactions import Interactions, attribute_scores, choose_terms
from privsynth.generators.arn.network import Network, hidden_width, prefix_logits, to_numpy
from privsynth.generators.arn.next_event.fitted import FittedNextEvent
from privsynth.generators.arn.next_event.generator import NextEventSettings, fit_next_event
from privsynth.generators.arn.pretraining import WarmSettings, warm_start
from privsynth.generators.arn.training import TrainSettings, clip_threshold, number_of_coefficients, train
from privsynth.generators.dpsgd.torch_threads import one_thread
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.fitted import FittedMarginal
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.marginal.measure import to_simplex
from privsynth.generators.marginal.rounds import MeasureRequest, select_and_measure
from privsynth.generators.nil_codes import without_nil
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress

_CALIBRATION_ROWS = 4_096  # public rows whose median gradient norm sets the threshold; more change it little


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
    next_event: NextEventSettings = field(default_factory=NextEventSettings)

    def training_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run."""
        return TrainingSpec(share=self.share, sampling_probability=self.sampling_probability, steps=self.steps)

    def histories_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run of one of several linked tables."""
        return self.next_event.training_spec()

    def expected_errors(self, facts: PublicFacts, plan: SpendingPlan) -> ExpectedErrors:
        """Return those of the marginals that it is anchored to (see `Generator.expected_errors`)."""
        return expected_errors(facts, plan)

    @one_thread()
    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress = no_progress,
    ) -> FittedArn | FittedNextEvent | FittedMarginal:
        """Learn a model (see `Generator.fit`); of the rows of linked tables a next-event network (`next_event`).

        Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and its training run.
        Raises:
          ConfigError: the plan has no training run, or there is nothing to model; nothing is spent.
        """
        if plan.training is None:
            raise ConfigError("the plan has no training run; make it with the generator's own training_spec()")
        if not data.attributes:
            raise ConfigError("there is no column to model; declare at least one")
        if data.histories is not None:
            return fit_next_event(data, mechanisms, plan, self.marginal, self.next_event, rng=rng, progress=progress)
        settings = self.marginal.fit_settings
        measurements = select_and_measure(
            MeasureRequest(data=data, mechanisms=mechanisms, plan=plan, settings=settings, rng=rng, progress=progress)
        )
        mixture = self.marginal.fit_measurements(data, measurements, rng=rng, progress=progress)
        order = sampling_order(data)
        shares = [to_simplex(table.counts / max(data.n_rows, 1.0)) for table in measurements.one_way]
        network = Network(data.sizes, hidden_width(data.sizes), rng=rng, shares=shares)
        synthetic = mixture.sample_codes(self.warm.rows, rng)
        warm_start(network, synthetic, order, self.warm, rng, progress, targets=data.targets)
        interactions = self._learn_interactions(network, data, mechanisms, plan, synthetic, order, rng, progress)
        untilted = FittedArn(
            weights=to_numpy(network),
            interactions=interactions,
            potentials=(),
            sizes=tuple(data.sizes),
            no_null=tuple(not a.can_be_null for a in without_nil(data, measurements.one_way).attributes),
            order=order,
            hidden=network.hidden,
            tilt=self.tilt,
            paid=measurements.paid,
        )
        paid = [table.attributes for table in (*measurements.one_way, *measurements.tables)]
        paid += measurements.pairs_of_rare
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
    """Return the attributes in the order in which they are drawn: targets last, so that they see all others.

    The number of rows of the unit comes first: rows are drawn by it.
    """
    first = () if data.unit_attribute is None else (data.unit_attribute,)
    rest = [at for at in range(len(data.attributes)) if at not in (*first, *data.targets)]
    return (*first, *rest, *(at for at in range(len(data.attributes)) if at in data.targets))


GENERATOR = ArnGenerator()

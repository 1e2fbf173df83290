"""`arn` for the rows of linked tables: the marginal model's histories, and what real ones add to them.

Buy the marginal generator's tables and fit its mixture; draw histories from it and train the network on them (free);
then train the network on the real histories with DP-SGD, one gradient a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.arn.next_event.fitted import FittedNextEvent
from privsynth.generators.arn.next_event.network import NextEventNetwork, hidden_width
from privsynth.generators.arn.next_event.training import (
    NextEventTraining,
    NextEventWarmStart,
    clip_threshold,
    train,
    warm_start,
)
from privsynth.generators.marginal.fitted import FittedMarginal
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class NextEventSettings:
    """How a next-event network is learned; public.

    Attributes:
      share: of a table's budget, in μ², that DP-SGD takes.
      sampling_probability, steps: of DP-SGD.
      warm, training: see there.
    """

    share: float = 0.3
    sampling_probability: float = 1 / 8
    steps: int = 48

    warm: NextEventWarmStart = field(default_factory=NextEventWarmStart)
    training: NextEventTraining = field(default_factory=NextEventTraining)

    def training_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run of one table."""
        return TrainingSpec(share=self.share, sampling_probability=self.sampling_probability, steps=self.steps)


def fit_next_event(
    data: Encoded,
    mechanisms: Mechanisms,
    plan: SpendingPlan,
    marginal: MarginalGenerator,
    settings: NextEventSettings,
    *,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> FittedNextEvent | FittedMarginal:
    """Learn the rows of a linked table (see `Generator.fit`); the marginal model if no row has anything to draw.

    Guarantee: spends the parts "one_way", "selection" and "measurement" of the plan and its training run.
    """
    mixture = marginal.fit(data, mechanisms, plan, rng=rng, progress=progress)
    drawn = drawing_order(data)
    if not drawn:
        return mixture
    histories = drawn_histories(data, mixture, settings.warm.rows)
    shares = np.split(mixture.p.mean(axis=0, dtype=np.float64), np.cumsum(data.sizes)[:-1])
    network = NextEventNetwork(
        data.sizes, drawn, hidden_width(data.sizes, drawn), rng=rng, shares=[shares[at] for at in drawn]
    )
    if histories.gathered().codes.shape[1]:
        warm_start(network, histories.gathered().codes, settings.warm, rng, progress)
    clip = clip_threshold(network, histories, settings.training)
    noise = mechanisms.training(clip=clip, label="DP-SGD of the next-event network")
    train(network, data, noise, clip=clip, settings=settings.training, progress=progress)
    given = [shares[at] for at in network.given]
    return FittedNextEvent(
        weights=network.arrays(),
        sizes=tuple(data.sizes),
        drawn=drawn,
        never=tuple(tuple(np.flatnonzero(codes).tolist()) for codes in mixture.never_drawn()),
        hidden=network.hidden,
        shares=np.concatenate([np.zeros(0), *given]).astype(np.float32),
        paid=mixture.paid,
    )


def drawing_order(data: Encoded) -> tuple[int, ...]:
    """Return the attributes that are drawn, in their order: those of the histories first; targets last."""
    assert data.histories is not None
    first = data.histories.first
    rest = [at for at in range(len(data.attributes)) if at not in data.given and at not in first]
    return (*first, *(at for at in rest if at not in data.targets), *(at for at in rest if at in data.targets))


def drawn_histories(data: Encoded, mixture: FittedMarginal, most: int) -> Encoded:
    """Return rows of histories drawn from the marginal model, by person, as many as are used of a person. Free.

    Args:
      most: rows at most.
    """
    assert data.histories is not None
    codes, person = data.histories.draw(mixture, most)
    order = np.argsort(person, kind="stable")
    codes, person = codes[:, order], person[order]
    starts = np.searchsorted(person, person, side="left")
    kept = np.flatnonzero(np.arange(len(person)) - starts < data.max_rows_per_unit)[:most]
    return replace(data, rows=CodedRows(codes[:, kept], person[kept]), histories=None)

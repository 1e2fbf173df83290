"""`tvae`: a variational autoencoder, trained with Opacus DP-SGD; the usual name, for comparison.

Encoder and decoder both lie on the path of real rows, so both are clipped and noised. What differs from the usual TVAE:
rows are codes whose domain is paid for (no mixture models are fitted to columns), there is no early stop and no learned
noise scale, the decoder's biases start from noisy one-way tables, codes are drawn from the softmax and not its maximum,
and latent points are drawn from a paid normal distribution.

Source: Xu, Skoularidou, Cuesta-Infante & Veeramachaneni 2019 (1907.00503), section 4.5; Abadi et al. 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from privsynth.codecs.encoded_table import Encoded
from privsynth.errors import ConfigError
from privsynth.generators.dpsgd.layers import (
    hidden_width,
    log_shares,
    to_arrays,
    without_null,
)
from privsynth.generators.dpsgd.loop import (
    PUBLIC_ROWS,
    Averaged,
    RowCoins,
    UnitSteps,
    clip_threshold,
    public_rows,
    shares_of,
)
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.measure import measure_one_way, paid_tables
from privsynth.generators.nil_codes import without_nil
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.generators.tvae.fitted import FittedTvae
from privsynth.generators.tvae.network import Autoencoder
from privsynth.generators.tvae.prior import buy_prior
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress

_DRAWS = 4_096  # public normal draws a step, of which each row takes one


@dataclass(frozen=True, kw_only=True)
class TvaeGenerator:
    """The generator and its settings; all of them public, none a function of the rows.

    Attributes:
      share: of the budget, in μ², that DP-SGD takes.
      sampling_probability, steps: of DP-SGD.
      latent: dimensions of a latent point.
      learning_rate: of Adam, with a cosine to zero.
      reconstruction: weight of the reconstruction against the divergence; 2 is TVAE's.
      clip_factor: threshold as a multiple of the median gradient norm on public rows.
      average_from: share of the steps after which the weights are averaged.
      radius: of the ball that latent points are brought into before they are summed.
    """

    name: ClassVar[str] = "tvae"
    share: float = 0.6
    sampling_probability: float = 1 / 32
    steps: int = 512
    latent: int = 12
    learning_rate: float = 4e-3
    reconstruction: float = 2.0
    clip_factor: float = 0.5
    average_from: float = 0.7
    radius: float = 6.0

    def training_spec(self) -> TrainingSpec:
        """Return the public shape of the DP-SGD run."""
        return TrainingSpec(share=self.share, sampling_probability=self.sampling_probability, steps=self.steps)

    def expected_errors(self, facts: PublicFacts, plan: SpendingPlan) -> ExpectedErrors:
        """Return those of its one-way tables; it measures no pairs (see `Generator.expected_errors`)."""
        return expected_errors(facts, plan, pairs=False)

    def fit(
        self,
        data: Encoded,
        mechanisms: Mechanisms,
        plan: SpendingPlan,
        *,
        rng: np.random.Generator,
        progress: Progress = no_progress,
    ) -> FittedTvae:
        """Learn a model (see `Generator.fit`).

        Guarantee: spends "one_way" on one-way tables, the plan's training run on encoder and decoder, and "selection"
          and "measurement" on the distribution of latent points.
        Raises:
          ConfigError: the plan has no training run, or there is nothing to model; nothing is spent.
        """
        if plan.training is None:
            raise ConfigError("the plan has no training run; make it with the generator's own training_spec()")
        if not data.attributes:
            raise ConfigError("there is no column to model; declare at least one")
        one_way = measure_one_way(data, mechanisms, mu_squared=plan.parts["one_way"])
        shares = shares_of([table.counts for table in one_way], data.n_rows)
        sizes = tuple(data.sizes)
        hidden = hidden_width(sizes, inputs_each_code=2)
        network = Autoencoder(sizes, hidden=hidden, latent=self.latent, bias=log_shares(shares), rng=rng)
        draws = _Draws(self.latent, len(sizes), rng)
        self._train(network, data, mechanisms, draws, shares, rng, progress)
        mean, root = buy_prior(
            data,
            lambda codes: network.latent_points(codes, draws.take(codes, self.steps))[0],
            mechanisms,
            plan,
            latent=self.latent,
            radius=self.radius,
        )
        return FittedTvae(
            weights=to_arrays(network.decoder, "decoder"),
            mean=mean.astype(np.float32),
            root=root.astype(np.float32),
            sizes=sizes,
            no_null=without_null(without_nil(data, one_way)),
            hidden=hidden,
            paid=paid_tables(one_way),
        )

    def _train(
        self,
        network: Autoencoder,
        data: Encoded,
        mechanisms: Mechanisms,
        draws: _Draws,
        shares: list[np.ndarray],
        rng: np.random.Generator,
        progress: Progress,
    ) -> None:
        """Train in place, and leave the mean of the last steps' weights."""

        def losses(module: nn.Module, codes: torch.Tensor, step: int) -> torch.Tensor:
            found: torch.Tensor = module(codes, draws.take(codes, step), self.reconstruction)
            return found

        codes = public_rows(shares, PUBLIC_ROWS, rng)
        clip = clip_threshold(network, codes, losses, factor=self.clip_factor, max_rows_per_unit=data.max_rows_per_unit)
        noise = mechanisms.training(clip=clip, label="DP-SGD of the autoencoder")
        averaged = Averaged(network)

        def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, betas=(0.9, 0.99))

        with UnitSteps(network, data, noise, losses, clip=clip, optimizer=adam) as run:
            for step in range(noise.steps):
                cosine = 0.5 * (1 + math.cos(math.pi * step / noise.steps))
                run.step(step, learning_rate=self.learning_rate * max(cosine, 0.05))
                if step + 1 >= self.average_from * noise.steps:
                    averaged.add()
                if step % 16 == 0:
                    progress("training", step / noise.steps)
        averaged.settle()
        progress("training", 1.0)


class _Draws:
    """Public standard normal draws for rows, fresh in each step."""

    def __init__(self, latent: int, attributes: int, rng: np.random.Generator) -> None:
        self._latent = latent
        self._coins = RowCoins(attributes, rng)
        self._seed = int(rng.integers(0, 2**63))
        self._step, self._normals = -1, torch.empty(0)

    def take(self, codes: torch.Tensor, step: int) -> torch.Tensor:
        """Return (…, latent) draws for codes (…, attributes): a function of the row's codes and the step."""
        if step != self._step:
            drawn = np.random.default_rng([self._seed, step]).standard_normal((_DRAWS, self._latent))
            self._step, self._normals = step, torch.from_numpy(drawn)
        return self._normals[self._coins.choose(codes, step, _DRAWS)]


GENERATOR = TvaeGenerator()

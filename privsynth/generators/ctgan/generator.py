"""`ctgan`: a conditional GAN whose critic is trained with Opacus DP-SGD; the usual name, for comparison.

Only the critic sees rows, and only its gradient on real rows is clipped and noised. Its gradient on generated rows, and
all that the generator learns, is post-processing. What differs from the usual CTGAN, and why:

* The real rows of a step are the Poisson sample, never rows picked by a condition. Each is shown with a condition that
  it meets: the code of one of its own attributes. Generated rows get conditions drawn from noisy one-way counts, in
  training and when rows are drawn.
* pac = 1: a critic that looks at several rows at once would mix units.
* The critic's layers are scaled to a spectral norm of one at most after each step, which is post-processing. A gradient
  penalty would look at points between real and generated rows, so at real rows.
* Gradients on generated rows are clipped as those of real rows are, so that both sides are treated alike.
* No batch normalisation, no dropout, a fixed number of steps.

Source: Xu et al. 2019 (1907.00503), section 4; Arjovsky, Chintala & Bottou 2017; Miyato et al. 2018; for the list of
errors of private GANs: Ganev et al. 2024 (2405.10994) and Annamalai et al. 2024 (2406.13985).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from privsynth.codecs.encoded_table import Encoded
from privsynth.errors import ConfigError
from privsynth.generators.ctgan.adversary import Critic, GeneratorSteps, real_losses
from privsynth.generators.ctgan.fitted import FittedCtgan, draw_conditions
from privsynth.generators.dpsgd.layers import (
    Perceptron,
    log_shares,
    to_arrays,
    without_null,
)
from privsynth.generators.dpsgd.loop import PUBLIC_ROWS, RowCoins, UnitSteps, clip_threshold, public_rows, shares_of
from privsynth.generators.marginal.expected import expected_errors
from privsynth.generators.marginal.measure import measure_one_way, paid_tables
from privsynth.generators.nil_codes import without_nil
from privsynth.generators.registry import ExpectedErrors, PublicFacts
from privsynth.privacy.budget import SpendingPlan, TrainingSpec
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class CtganGenerator:
    """The generator and its settings; all of them public, none a function of the rows.

    Attributes:
      share: of the budget, in μ², that DP-SGD takes.
      sampling_probability, steps: of DP-SGD, so of the critic.
      noise: dimensions of the generator's random input.
      hidden: width of the generator's layers; it sees no row, so that no noise enters it.
      critic_hidden: width of the critic's layers; noise enters every weight alike, so it is small.
      critic_rate, generator_rate: learning rates of Adam.
      clip_factor: threshold as a multiple of the median gradient norm on public rows.
      generated: rows that the generator makes in each step.
      generator_steps: of the generator, for each of the critic.
      temperature: of the softmax with Gumbel noise; 0.2 is CTGAN's.
      average_from: share of the steps after which the generator's weights are averaged.
    """

    name: ClassVar[str] = "ctgan"
    share: float = 0.6
    sampling_probability: float = 1 / 32
    steps: int = 512
    noise: int = 32
    hidden: int = 128
    critic_hidden: int = 32
    critic_rate: float = 1e-3
    generator_rate: float = 1e-3
    clip_factor: float = 1.0
    generated: int = 512
    generator_steps: int = 1
    temperature: float = 0.2
    average_from: float = 0.7

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
    ) -> FittedCtgan:
        """Learn a model (see `Generator.fit`).

        Guarantee: spends "one_way" on one-way tables and the plan's training run on the critic. "selection" and
          "measurement" are left unspent; the ledger keeps the whole reservation charged.
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
        generator = Perceptron(
            (self.noise + sum(sizes), self.hidden, self.hidden, sum(sizes)),
            rng=rng,
            last_scale=0.1,
            last_bias=log_shares(shares),
        )
        self._train(generator, data, mechanisms, shares, rng, progress)
        return FittedCtgan(
            weights=to_arrays(generator, "generator"),
            shares=np.concatenate(shares).astype(np.float32),
            sizes=sizes,
            no_null=without_null(without_nil(data, one_way)),
            hidden=self.hidden,
            noise=self.noise,
            paid=paid_tables(one_way),
        )

    def _train(
        self,
        generator: Perceptron,
        data: Encoded,
        mechanisms: Mechanisms,
        shares: list[np.ndarray],
        rng: np.random.Generator,
        progress: Progress,
    ) -> None:
        """Train the generator in place against a critic; leave the mean of the last steps' weights."""
        sizes = tuple(data.sizes)
        critic = Critic(sizes, hidden=self.critic_hidden, rng=rng)
        coins = RowCoins(len(sizes), rng)

        def losses(module: nn.Module, codes: torch.Tensor, step: int) -> torch.Tensor:
            return real_losses(module, codes, coins.choose(codes, step, len(sizes)), sizes)

        codes = public_rows(shares, PUBLIC_ROWS, rng)
        clip = clip_threshold(critic, codes, losses, factor=self.clip_factor, max_rows_per_unit=data.max_rows_per_unit)
        noise = mechanisms.training(clip=clip, label="DP-SGD of the critic")
        flat = np.concatenate(shares)
        follower = GeneratorSteps(
            generator,
            sizes,
            noise=self.noise,
            rate=self.generator_rate,
            temperature=self.temperature,
            conditions=lambda rows: draw_conditions(flat, sizes, rows, rng),
            rng=rng,
        )

        def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, betas=(0.9, 0.99))

        with UnitSteps(critic, data, noise, losses, clip=clip, optimizer=adam) as run:
            for step in range(noise.steps):
                extra = run.without_rows(lambda module: module(follower.rows(self.generated)))
                run.step(step, learning_rate=self.critic_rate, extra=extra)
                critic.limit()
                for _ in range(self.generator_steps):
                    follower.step(critic, self.generated, averaging=step + 1 >= self.average_from * noise.steps)
                if step % 16 == 0:
                    progress("training", step / noise.steps)
        follower.settle()
        progress("training", 1.0)


GENERATOR = CtganGenerator()

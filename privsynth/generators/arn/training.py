"""Stage 2: DP-SGD with Opacus' module and optimiser, our Poisson sample of units and our noise.

Opacus gives the checks and the frame of the module (see `bookkeeping`) and of the optimiser
(`DPOptimizerFastGradientClipping`). Which units take part and the noise come from `TrainingNoise`, so from the secure
stream: Opacus' own data loader, accountant state, clip factor and noise are not used.

Why a unit's contribution never exceeds the threshold C. The forward and backward passes run in double precision; a
unit's coefficient is min(1, C·(1 − 10⁻⁶) / norm), so what rounding does to norm and sum (some 10⁻¹²) is covered by the
margin. A unit whose norm is not finite has a part of zeros, so that it has no influence on the others. The sum of a
step is put on a grid of integers; `grid_sensitivity` adds what that rounding can do. What is left to trust is that
double-precision matrix products of a row do not depend on its neighbours by more than that; single precision would be
off by some 10⁻⁶ a unit, thousands of units together, and no margin that small could be argued for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.arn.interaction_layers import Head
from privsynth.generators.arn.network import Network, prefix_logits, row_losses
from privsynth.generators.dpsgd.optimizer import (
    MICRO_BATCH,
    SecureOptimizer,
    Units,
    strip,
    zero_gradients,
)
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.mechanisms import TrainingNoise
from privsynth.progress import Progress, no_progress

_CACHED_NUMBERS = 50_000_000  # logits of so many rows × codes are kept from step to step


class SoftThreshold(torch.optim.Optimizer):
    """Gradient descent whose way, the sum of all noisy gradients, is shrunk by what noise alone would have gone.

    A coefficient stays at zero until its way is longer than `threshold` standard deviations of the noise in it, which
    is public. So coefficients without signal stay out of the model, however many there are. Post-processing.

    Args:
      parameters: start at zero.
      learning_rate: of the noisy mean gradients.
      sigma: standard deviation of the noise in a coordinate of one mean gradient.
      threshold: in standard deviations.

    Source: regularised dual averaging (Xiao 2010); soft thresholding (Donoho 1995).
    """

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], *, learning_rate: float, sigma: float, threshold: float
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate})
        self._sigma, self._threshold, self._steps = sigma, threshold, 0
        self._way = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take the noisy gradients in `p.grad` and set the parameters."""
        self._steps += 1
        noise = self._threshold * self._sigma * math.sqrt(self._steps)
        group = self.param_groups[0]
        for way, parameter in zip(self._way, group["params"], strict=True):
            way += parameter.grad
            parameter.copy_(-group["lr"] * way.sign() * (way.abs() - noise).clamp(min=0.0))


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How the coefficients are trained on real rows; public, and the same for every table.

    Attributes:
      distance: sum of the learning rates of all steps; the curvature is about one, so 2 goes most of the way.
      threshold: standard deviations of noise that a coefficient has to exceed, and is shrunk by.
      clip_factor: threshold as a multiple of the median gradient norm on synthetic rows.
      most: coefficients at most.
    """

    distance: float = 2.0
    threshold: float = 1.5
    clip_factor: float = 2.0
    most: int = 12_000


def unit_losses(
    module: BookKeepingModule, sizes: Sequence[int], base: torch.Tensor, codes: torch.Tensor, present: torch.Tensor
) -> torch.Tensor:
    """Return (units,) losses: the sum over a unit's rows of −log p(row), each attribute given those before it.

    Args:
      base: (units, rows, D) logits of the network.
      codes: (units, rows, attributes).
      present: (units, rows); a row that is not there counts nothing.
    """
    losses = row_losses(module(base, codes), codes, torch.zeros_like(codes, dtype=torch.bool), sizes)
    return (losses * present.to(losses.dtype)).sum(dim=1)


def clipped_sum(
    module: BookKeepingModule, sizes: Sequence[int], base: torch.Tensor, codes: torch.Tensor, present: torch.Tensor
) -> None:
    """Leave in `p.grad` the sum over units of their gradients, each clipped; zeros if there are no units.

    Guarantee: each unit's part has norm at most the module's threshold, and depends on no other unit.
    """
    if len(codes):
        module.clipped_backward(unit_losses(module, sizes, base, codes, present))
    else:
        zero_gradients(module)


def number_of_coefficients(noise: SubsampledGaussianEvent, n_rows: float, settings: TrainSettings) -> int:
    """Return how many coefficients the budget can tell from noise; from paid and public figures.

    With m of them of unit variance a gradient has norm √m, and the noise in each, over the whole run, is about
    √m / (μN) standard deviations, where μ ≈ q√T / σ: with m = μN it is 1/√m, near the error of sampling itself.
    """
    mu = noise.sampling_probability * math.sqrt(noise.steps) / noise.noise_multiplier
    return int(min(settings.most, max(256.0, mu * n_rows)))


def clip_threshold(
    head: Head, base: torch.Tensor, codes: torch.Tensor, *, factor: float, max_rows_per_unit: int
) -> float:
    """Return C: a multiple of the median gradient norm on synthetic rows.

    How many rows a unit has is private, and its gradient is their sum: the threshold grows with √k, which is what k
    rows as different as those of strangers would come to.

    Args:
      base: (rows, D) logits of the network.
      codes: (rows, attributes).
    """
    module = BookKeepingModule(head, clip=1.0)
    module.train()
    losses = unit_losses(module, head.sizes, base[:, None], codes[:, None], torch.ones((len(codes), 1)))
    norms = module.clipped_backward(losses)
    strip(module)
    return max(factor * float(norms.median()) * math.sqrt(max_rows_per_unit), 1e-3)


def train(
    head: Head,
    network: Network,
    data: Encoded,
    noise: TrainingNoise,
    *,
    clip: float,
    order: Sequence[int],
    settings: TrainSettings,
    progress: Progress = no_progress,
) -> None:
    """Train the head in place on real rows.

    Guarantee: exactly `noise.steps` steps; each takes a fresh Poisson sample of units and releases the noisy sum of
      their clipped gradients, also when nobody is in the sample. Nothing else of the rows of `data` has any
      effect. Losses are never looked at.
    Args:
      head: with coefficients of zero.
      network: in double precision; it is not changed.
      clip: threshold C for a unit, from synthetic rows.
      order: in which attributes are sampled.
    """
    units = Units.of(data)
    module = BookKeepingModule(head, clip=clip)
    module.train()
    parameters = list(head.parameters())
    expected_batch = max(noise.sampling_probability * data.n_rows, 1.0)
    inner = SoftThreshold(
        parameters,
        learning_rate=settings.distance / noise.steps,
        sigma=noise.noise_multiplier * clip / expected_batch,
        threshold=settings.threshold,
    )
    optimizer = SecureOptimizer(inner, noise=noise, clip=clip, expected_batch=expected_batch)
    base = BaseLogits(network, order, units)
    for step in range(noise.steps):
        _one_step(module, head.sizes, optimizer, units, base)
        optimizer.step()
        if step % 5 == 0:
            progress("training", step / noise.steps)
    strip(module)
    progress("training", 1.0)


class BaseLogits:
    """The network's logits of real rows: kept if they fit into memory, else found again each time. Private."""

    def __init__(self, network: Network, order: Sequence[int], units: Units) -> None:
        self._network, self._order, self._units = network, order, units
        self._kept: torch.Tensor | None = None
        if units.codes.shape[0] * sum(network.sizes) <= _CACHED_NUMBERS:
            parts = torch.split(units.codes, MICRO_BATCH)
            width = network.last.weight.new_empty((0, sum(network.sizes)))
            self._kept = torch.cat([width, *(prefix_logits(network, part, order) for part in parts)])

    def take(self, place: np.ndarray) -> torch.Tensor:
        """Return (…, D) logits of rows at (…) places."""
        rows = torch.from_numpy(place)
        if self._kept is not None:
            return self._kept[rows]
        found = prefix_logits(self._network, self._units.codes[rows.flatten()], self._order)
        return found.reshape(*rows.shape, -1)


def _one_step(
    module: BookKeepingModule, sizes: Sequence[int], optimizer: SecureOptimizer, units: Units, base: BaseLogits
) -> None:
    """Accumulate the clipped sum of one Poisson sample, in parts that fit into memory; leaves `p.grad` zero."""
    optimizer.zero_grad()
    chosen = np.flatnonzero(optimizer.noise.mask(units.n_units))
    for part in units.parts(chosen):
        place, present = units.take(part)
        clipped_sum(module, sizes, base.take(place), units.codes[torch.from_numpy(place)], present)
        optimizer.accumulate()
    # `optimizer.step` accumulates once more: nothing, which is also all there is when nobody was chosen.
    zero_gradients(module)

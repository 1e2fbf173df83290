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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from opacus.optimizers import DPOptimizerFastGradientClipping

from privsynth._validate import positive
from privsynth.generators.arn.bookkeeping import BookKeepingModule
from privsynth.generators.arn.interactions import Head
from privsynth.generators.arn.network import Network, prefix_logits, row_losses
from privsynth.generators.encoded import Encoded, Progress, no_progress
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.mechanisms import TrainingNoise, grid_sensitivity, on_grid

MICRO_BATCH = 2_048
_CACHED_NUMBERS = 50_000_000  # logits of so many rows × codes are kept from step to step
_GRID_SLACK = 2.0**-10
_NUMPY_OF = {torch.float32: np.float32, torch.float64: np.float64}


class SecureOptimizer(DPOptimizerFastGradientClipping):
    """Opacus' optimiser with exactly rounded noise from `TrainingNoise` on an integer grid.

    Args:
      optimizer: takes the noisy mean gradient; whatever it does is post-processing.
      noise: mask and noise of the run.
      clip: C, the bound on the norm of a unit's contribution.
      expected_batch: constant divisor, from paid figures.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, noise: TrainingNoise, clip: float, expected_batch: float
    ) -> None:
        positive(clip=clip, expected_batch=expected_batch, noise_multiplier=noise.noise_multiplier)
        super().__init__(
            optimizer,
            noise_multiplier=noise.noise_multiplier,
            max_grad_norm=clip,
            expected_batch_size=expected_batch,
            loss_reduction="mean",
        )
        self.noise = noise
        size = sum(p.numel() for p in self.params)
        self.grid_step = 2.0 ** math.floor(math.log2(clip * _GRID_SLACK / math.sqrt(size)))
        self.sensitivity = grid_sensitivity(clip, size, self.grid_step)
        self._sums: np.ndarray | None = None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients and what was accumulated."""
        self._sums = None
        for parameter in self.params:
            parameter.grad = None

    def accumulate(self) -> None:
        """Add the clipped sums in `p.grad` to those of this step so far."""
        first = self._sums is None
        if self._sums is None:
            self._sums = np.zeros(sum(p.numel() for p in self.params))
        at = 0
        for parameter in self.params:
            part = self._sums[at : at + parameter.numel()]
            at += parameter.numel()
            if parameter.grad is not None:
                found = parameter.grad.reshape(-1).numpy()
                np.copyto(part, found) if first else np.add(part, found, out=part)

    def add_noise(self) -> None:
        """Put the clipped sums on the grid, add noise, and leave the noisy mean in `p.grad`.

        All parameters are one vector here, and numpy works on it: for so few numbers, waking torch's threads once for
        each parameter and operation costs more than the operations do.

        Guarantee: one step of the plan's training run, if each unit's part of the sums has norm at most `clip`.
        """
        if self.noise_multiplier != self.noise.noise_multiplier:
            raise RuntimeError("the noise multiplier is the plan's and cannot be changed")
        assert self._sums is not None
        sums, self._sums = self._sums, None
        # Cannot happen after clipping; but a sum that is not finite must never decide what leaves.
        sums[~np.isfinite(sums)] = 0.0
        noisy = self.noise.add(on_grid(sums, self.grid_step), l2_sensitivity=self.sensitivity)
        np.multiply(noisy, self.grid_step, out=sums)
        np.divide(sums, self.expected_batch_size, out=sums)
        values = torch.from_numpy(sums.astype(_NUMPY_OF[self.params[0].dtype], copy=False))
        for parameter, part in zip(self.params, torch.split(values, [p.numel() for p in self.params]), strict=True):
            parameter.grad = part.reshape(parameter.shape)

    def scale_grad(self) -> None:
        """Do nothing: `add_noise` leaves the mean."""


@dataclass(frozen=True, repr=False)
class Units:
    """Rows by unit. Private.

    Attributes:
      codes: (rows, attributes) int64, rows of a unit side by side.
      start: (units + 1,) where each unit's rows begin.
    """

    codes: torch.Tensor
    start: np.ndarray

    @classmethod
    def of(cls, data: Encoded) -> Units:
        """Return the rows of `data` by unit."""
        order = np.argsort(data.unit, kind="stable")
        count = np.unique(data.unit, return_counts=True)[1]
        if len(count) and count.max() > data.max_rows_per_unit:
            raise ValueError("a unit has more rows than max_rows_per_unit")
        codes = torch.from_numpy(data.codes[:, order].astype(np.int64).T.copy())
        return cls(codes, np.concatenate([[0], np.cumsum(count)]).astype(np.int64))

    @property
    def n_units(self) -> int:
        """Number of units. Private."""
        return len(self.start) - 1

    def parts(self, units: np.ndarray) -> Iterator[np.ndarray]:
        """Yield some units in parts that fit into memory: those with many rows first, few of them together."""
        count = np.diff(self.start)[units]
        units = units[np.argsort(-count, kind="stable")]
        at = 0
        while at < len(units):
            widest = int(self.start[units[at] + 1] - self.start[units[at]])
            size = max(1, MICRO_BATCH // widest)
            yield units[at : at + size]
            at += size

    def take(self, units: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Return places of rows (units, most rows of one) and flags of the same shape: which rows are there."""
        most = int(np.diff(self.start)[units].max())
        place = self.start[units][:, None] + np.arange(most)[None, :]
        present = place < self.start[units + 1][:, None]
        return np.where(present, place, self.start[units][:, None]), torch.from_numpy(present)


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


def zero_gradients(module: torch.nn.Module) -> None:
    """Set every gradient to zeros, not to None."""
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)


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
      their clipped gradients, also when nobody is in the sample. Nothing else of `data.codes` and `data.unit` has any
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


def strip(module: BookKeepingModule) -> None:
    """Remove Opacus' hooks and every figure of a unit from a module."""
    module.forget()
    module.cleanup()
    for parameter in module.parameters():
        parameter.grad = None
        if hasattr(parameter, "summed_grad"):
            del parameter.summed_grad

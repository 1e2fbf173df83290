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
from privsynth.generators.arn.adapter import Adapted
from privsynth.generators.arn.bookkeeping import BookKeepingModule
from privsynth.generators.arn.network import encode, random_known, row_losses
from privsynth.generators.encoded import Encoded, Progress, no_progress
from privsynth.privacy.mechanisms import TrainingNoise, grid_sensitivity, on_grid
from privsynth.randomness import KeyedFunction, uniform_from_words

MICRO_BATCH = 2_048
_PURPOSE = 17  # of the coins, apart from other uses of a keyed function
_GRID_SLACK = 2.0**-10


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

    def add_noise(self) -> None:
        """Put the clipped sum on the grid, add noise, and leave the result in `p.grad`.

        Guarantee: one step of the plan's training run, if each unit's part of `summed_grad` has norm at most `clip`.
        """
        if self.noise_multiplier != self.noise.noise_multiplier:
            raise RuntimeError("the noise multiplier is the plan's and cannot be changed")
        sums = torch.cat([p.summed_grad.reshape(-1) for p in self.params]).to(torch.float64).numpy()
        # Cannot happen after clipping; but a sum that is not finite must never decide what leaves.
        sums = np.where(np.isfinite(sums), sums, 0.0)
        noisy = self.noise.add(on_grid(sums, self.grid_step), l2_sensitivity=self.sensitivity)
        values = torch.from_numpy(noisy.astype(np.float64) * self.grid_step)
        for parameter, part in zip(self.params, torch.split(values, [p.numel() for p in self.params]), strict=True):
            parameter.grad = part.reshape(parameter.shape).to(parameter.dtype)
            parameter.summed_grad = None


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

    def take(self, units: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes (units, most rows of one, attributes) and flags (units, most rows): which rows are there."""
        most = int(np.diff(self.start)[units].max())
        place = self.start[units][:, None] + np.arange(most)[None, :]
        present = place < self.start[units + 1][:, None]
        place = np.where(present, place, self.start[units][:, None])
        return self.codes[torch.from_numpy(place)], torch.from_numpy(present)


def unit_losses(
    module: BookKeepingModule, sizes: Sequence[int], codes: torch.Tensor, weight: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Return (units,) losses, the weighted sum over the unit's rows.

    Args:
      codes, known: (units, rows, attributes).
      weight: (units, rows); zero for rows that are not there.
    """
    losses = row_losses(module(encode(codes, known, sizes, torch.float64)), codes, known, sizes)
    return (losses * weight.to(losses.dtype)).sum(dim=1)


def clipped_sum(
    module: BookKeepingModule, sizes: Sequence[int], codes: torch.Tensor, weight: torch.Tensor, known: torch.Tensor
) -> None:
    """Leave in `p.grad` the sum over units of their gradients, each clipped; zeros if there are no units.

    Guarantee: each unit's part has norm at most the module's threshold, and depends on no other unit.
    """
    if len(codes):
        module.clipped_backward(unit_losses(module, sizes, codes, weight, known))
    else:
        zero_gradients(module)


def zero_gradients(module: torch.nn.Module) -> None:
    """Set every gradient to zeros, not to None."""
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How the cores are trained on real rows; public, and the same for every table.

    Attributes:
      learning_rate: of the noisy mean gradient in whitened coordinates; a cosine to zero.
      momentum: of the noisy gradients, which are averaged, so that it does not change the size of a step.
      clip_factor: threshold as a multiple of the median gradient norm on synthetic rows.
      average_from: share of the steps after which the weights are averaged.
      ranks: (inputs, outputs) of the core of the first, middle and last layer.
    """

    learning_rate: float = 0.2
    momentum: float = 0.8
    clip_factor: float = 2.5
    average_from: float = 0.6
    ranks: tuple[tuple[int, int], ...] = ((16, 8), (8, 8), (8, 32))


def known_flags(
    coins: KeyedFunction, units: np.ndarray, rows: int, attributes: int, *, step: int, order: Sequence[int]
) -> torch.Tensor:
    """Return (units, rows, attributes) flags of what the network is told of each row in this step.

    The coins are secret, and a keyed function of unit, row and step: a neighbour has the same coins for the units that
    both hold. Were they published, or drawn in a row, adding a unit would shift the coins of all later ones.
    """
    draws = attributes + 2
    slot = np.arange(rows * draws, dtype=np.uint64) + np.uint64(step << 34)
    first = np.repeat(units.astype(np.uint64), len(slot))
    words = coins.words(first, np.tile(slot, len(units)), purpose=_PURPOSE)
    uniform = uniform_from_words(words).reshape(len(units) * rows, draws)
    return torch.from_numpy(random_known(uniform, order)).reshape(len(units), rows, attributes)


def train(
    adapted: Adapted,
    data: Encoded,
    noise: TrainingNoise,
    *,
    clip: float,
    order: Sequence[int],
    settings: TrainSettings,
    progress: Progress = no_progress,
    coins: KeyedFunction | None = None,
) -> None:
    """Train the cores in place on real rows.

    Guarantee: exactly `noise.steps` steps; each takes a fresh Poisson sample of units and releases the noisy sum of
      their clipped gradients, also when nobody is in the sample. Nothing else of `data.codes` and `data.unit` has any
      effect. Losses are never looked at.
    Args:
      adapted: in double precision.
      clip: threshold C for a unit, from synthetic rows.
      order: in which attributes are sampled.
      coins: secret; what each row shows of itself. Fresh if None.
    """
    coins = coins if coins is not None else KeyedFunction()
    units = Units.of(data)
    module = BookKeepingModule(adapted, clip=clip)
    module.train()
    parameters = list(adapted.parameters())
    inner = torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=settings.momentum)
    expected_batch = max(noise.sampling_probability * data.n_rows, 1.0)
    optimizer = SecureOptimizer(inner, noise=noise, clip=clip, expected_batch=expected_batch)
    mean = [torch.zeros_like(p) for p in parameters]
    averaged = 0
    for step in range(noise.steps):
        _one_step(module, adapted.sizes, optimizer, units, step, order, coins)
        cosine = 0.5 * (1 + math.cos(math.pi * step / noise.steps))
        inner.param_groups[0]["lr"] = settings.learning_rate * (1 - settings.momentum) * cosine
        optimizer.step()
        if step + 1 >= settings.average_from * noise.steps:
            averaged += 1
            for total, parameter in zip(mean, parameters, strict=True):
                total += (parameter.detach() - total) / averaged
        if step % 5 == 0:
            progress("training", step / noise.steps)
    strip(module)
    with torch.no_grad():
        for total, parameter in zip(mean, parameters, strict=True):
            parameter.copy_(total)
    progress("training", 1.0)


def _one_step(
    module: BookKeepingModule,
    sizes: Sequence[int],
    optimizer: SecureOptimizer,
    units: Units,
    step: int,
    order: Sequence[int],
    coins: KeyedFunction,
) -> None:
    """Accumulate the clipped sum of one Poisson sample, in parts that fit into memory; leaves `p.grad` zero."""
    optimizer.zero_grad()
    chosen = np.flatnonzero(optimizer.noise.mask(units.n_units))
    for part in units.parts(chosen):
        codes, present = units.take(part)
        known = known_flags(coins, part, codes.shape[1], codes.shape[2], step=step, order=order)
        clipped_sum(module, sizes, codes, present, known)
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

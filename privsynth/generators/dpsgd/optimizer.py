"""One step of DP-SGD: clipped gradient sums a unit, noise from the ledger's mechanisms, on an integer grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from opacus.optimizers import DPOptimizerFastGradientClipping

from privsynth._validate import positive
from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.privacy.mechanisms import TrainingNoise, grid_sensitivity, on_grid

MICRO_BATCH = 2_048  # rows at once; bounds memory, and has no part in the sums
_GRID_SLACK = 2.0**-10  # of the threshold, that rounding to the grid may add to the sensitivity
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
        rows = data.gathered()  # a step may take any unit, so that all must be in memory
        order = np.argsort(rows.unit, kind="stable")
        count = np.unique(rows.unit, return_counts=True)[1]
        if len(count) and count.max() > data.max_rows_per_unit:
            raise ValueError("a unit has more rows than max_rows_per_unit")
        codes = torch.from_numpy(rows.codes[:, order].astype(np.int64).T.copy())
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


def zero_gradients(module: torch.nn.Module) -> None:
    """Set every gradient to zeros, not to None."""
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)


def strip(module: BookKeepingModule) -> None:
    """Remove Opacus' hooks and every figure of a unit from a module."""
    module.forget()
    module.cleanup()
    for parameter in module.parameters():
        parameter.grad = None
        if hasattr(parameter, "summed_grad"):
            del parameter.summed_grad

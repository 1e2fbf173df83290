"""DP-SGD on units, with Opacus' module and optimiser and our Poisson sample and noise (see `generators.arn.dpsgd`).

`UnitSteps` is one training run: what sees rows is one module, its gradient is taken unit by unit and clipped, and noise
from `mechanisms.training` is added in every step of a number that was fixed before the first look. Gradients of what
sees no row are added after the noise: Opacus' optimiser overwrites `p.grad`, so that added before they would be lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
import torch
from torch import nn

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.dpsgd.optimizer import SecureOptimizer, Units, strip, zero_gradients
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.generators.marginal.measure import to_simplex
from privsynth.privacy.mechanisms import TrainingNoise

RowLosses = Callable[[nn.Module, torch.Tensor, int], torch.Tensor]
Weights = Callable[[torch.Tensor], torch.Tensor]

PUBLIC_ROWS = 1_024  # whose median gradient norm sets the threshold; more change it little
_LEAST_CLIP = 1e-3  # should all gradients vanish: a threshold must lie above zero


def public_rows(shares: Sequence[np.ndarray], rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return (rows, attributes) int64 codes drawn independently from paid one-way tables; free."""
    drawn = [rng.choice(len(share), size=rows, p=share) for share in shares]
    return np.stack(drawn, axis=1).astype(np.int64)


def shares_of(counts: Sequence[np.ndarray], n_rows: float) -> list[np.ndarray]:
    """Return probability vectors from noisy one-way counts."""
    return [to_simplex(count / max(n_rows, 1.0)) for count in counts]


def clip_threshold(
    module: nn.Module, codes: np.ndarray, losses: RowLosses, *, factor: float, max_rows_per_unit: int
) -> float:
    """Return C: a multiple of the median gradient norm of one row, on public rows.

    How many rows a unit has is private, and its gradient is their sum: the threshold grows with √k, which is what k
    rows as different as those of strangers would come to.

    Args:
      codes: (rows, attributes) of `public_rows`.
    """
    probe = BookKeepingModule(module, clip=1.0)
    probe.train()
    rows = torch.from_numpy(codes)[:, None, :]
    norms = probe.clipped_backward(losses(probe, rows, 0)[:, 0])
    strip(probe)
    return max(factor * float(norms.median()) * math.sqrt(max_rows_per_unit), _LEAST_CLIP)


class UnitSteps:
    """A DP-SGD run, as a context: inside it the module is Opacus', after it the module is bare again.

    Guarantee: each `step` takes a fresh Poisson sample of units and releases the noisy sum of their gradients, each
      clipped to `clip`, also when nobody is in the sample. Nothing else of the rows of `data` has any effect.
      Losses are never looked at.
    Args:
      module: what sees rows, in double precision; linear layers hold all of its parameters.
      noise: mask and noise of the run.
      losses: from (module, codes (units, rows, attributes), step) to (units, rows) losses; each must be a function of
        its own row, public randomness and the module.
      optimizer: makes an optimiser of parameters; whatever it does is post-processing.
      weights: what each row of a unit weighs, (units, rows) of flags of the same shape that say which rows are there; a
        function of a unit's own flags. One each if None.
    """

    def __init__(
        self,
        module: nn.Module,
        data: Encoded,
        noise: TrainingNoise,
        losses: RowLosses,
        *,
        clip: float,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        weights: Weights | None = None,
    ) -> None:
        self._units = Units.of(data)
        self._losses = losses
        self._weights: Weights = torch.Tensor.double if weights is None else weights
        self._parameters = list(module.parameters())
        self._inner = optimizer(self._parameters)
        expected = max(noise.sampling_probability * data.n_rows, 1.0)
        self._module = BookKeepingModule(module, clip=clip)
        self._optimizer = SecureOptimizer(self._inner, noise=noise, clip=clip, expected_batch=expected)

    def __enter__(self) -> UnitSteps:
        self._module.train()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        strip(self._module)

    def without_rows(self, losses: Callable[[nn.Module], torch.Tensor]) -> list[torch.Tensor]:
        """Return the mean gradients of (rows,) losses that see no real row, to be given to `step`.

        Each is clipped as a unit's is. That protects nobody; but were real rows alone shortened, a critic would come
        to rest where real and generated rows differ.
        """
        found = losses(self._module)
        self._module.clipped_backward(found)
        gradients = [parameter.grad / len(found) for parameter in self._parameters if parameter.grad is not None]
        self._optimizer.zero_grad()
        return gradients

    def step(self, number: int, *, learning_rate: float, extra: Sequence[torch.Tensor] | None = None) -> None:
        """Take one step.

        Args:
          number: of the step, handed to the losses.
          extra: gradients that no row has part in, one a parameter; they are added after the noise.
        """
        self._optimizer.zero_grad()
        chosen = np.flatnonzero(self._optimizer.noise.mask(self._units.n_units))
        for part in self._units.parts(chosen):
            codes, present = _rows_of(self._units, part)
            losses = self._losses(self._module, codes, number)
            self._module.clipped_backward((losses * self._weights(present)).sum(dim=1))
            self._optimizer.accumulate()
        # `pre_step` accumulates once more: nothing, which is also all there is when nobody was chosen.
        zero_gradients(self._module)
        self._optimizer.pre_step()
        for parameter, gradient in zip(self._parameters, extra or (), strict=False):
            assert parameter.grad is not None
            parameter.grad += gradient
        for group in self._inner.param_groups:
            group["lr"] = learning_rate
        self._inner.step()


def _rows_of(units: Units, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes (units, most rows of one, attributes) and flags (units, most rows): which rows are there."""
    place, present = units.take(chosen)
    return units.codes[torch.from_numpy(place)], present


class Averaged:
    """The mean of a module's weights over the last steps; post-processing."""

    def __init__(self, module: nn.Module) -> None:
        self._parameters = list(module.parameters())
        self._mean = [torch.zeros_like(p) for p in self._parameters]
        self._count = 0

    def add(self) -> None:
        """Take the weights of now into the mean."""
        self._count += 1
        for mean, parameter in zip(self._mean, self._parameters, strict=True):
            mean += (parameter.detach() - mean) / self._count

    def settle(self) -> None:
        """Set the weights to their mean."""
        with torch.no_grad():
            for mean, parameter in zip(self._mean, self._parameters, strict=True):
                parameter.copy_(mean)


class RowCoins:
    """Public randomness for rows: which of some public draws a row takes is a fixed function of its codes and the step.

    A row's draw must not depend on which rows stand beside it: drawn in order, one unit more would give all later ones
    another draw. It need not be secret, since DP-SGD holds for any draw that does not depend on other units.

    Args:
      attributes: number of codes of a row.
    """

    def __init__(self, attributes: int, rng: np.random.Generator) -> None:
        # Odd multipliers: multiplication by them is a bijection of 64-bit words.
        words = rng.integers(0, 2**63, attributes + 2, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._weights, self._step, self._mix = words[:attributes], words[attributes], words[attributes + 1]

    def choose(self, codes: torch.Tensor, step: int, count: int) -> torch.Tensor:
        """Return (…,) int64 in 0 … count − 1 for codes (…, attributes)."""
        shift = np.uint64((int(self._step) * (step + 1)) % 2**64)
        words = (codes.numpy().astype(np.uint64) + np.uint64(1)) * self._weights
        mixed = words.sum(axis=-1, dtype=np.uint64) + shift
        mixed = (mixed ^ (mixed >> np.uint64(32))) * self._mix
        mixed = (mixed ^ (mixed >> np.uint64(29))) * self._mix
        return torch.from_numpy(((mixed >> np.uint64(33)) % np.uint64(count)).astype(np.int64))

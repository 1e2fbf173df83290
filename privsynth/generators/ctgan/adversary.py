"""The two sides of `ctgan`: the critic, which sees rows one by one, and the generator's steps, which see none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from privsynth.generators.dpsgd.layers import Perceptron, offsets, one_hot
from privsynth.generators.dpsgd.loop import Averaged

Conditions = Callable[[int], tuple[np.ndarray, np.ndarray]]

_POWER_STEPS = 2  # go on from where the last ones stood, so that few suffice (Miyato et al. 2018 take one)


class Critic(nn.Module):
    """A score of each row with its condition: high for real rows, low for generated ones; layers of norm one at most.

    Args:
      sizes: number of codes of each attribute.
      hidden: width of its two hidden layers.
    """

    def __init__(self, sizes: tuple[int, ...], *, hidden: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.body = Perceptron((2 * sum(sizes), hidden, hidden, 1), rng=rng)
        # Plain tensors, not buffers: Opacus refuses buffers, since they could carry figures from row to row.
        self._left = [torch.from_numpy(rng.standard_normal(layer.out_features)) for layer in self.body.linears]
        self.limit(power_steps=50)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (…,) scores of inputs (…, 2 D)."""
        scores: torch.Tensor = self.body(inputs)[..., 0]
        return scores

    def limit(self, *, power_steps: int = _POWER_STEPS) -> None:
        """Scale each layer down to a spectral norm of about one, found by power iteration from where it stood last."""
        with torch.no_grad():
            for index, layer in enumerate(self.body.linears):
                left, weight = self._left[index], layer.weight
                for _ in range(power_steps):
                    right = weight.T @ left
                    left = weight @ (right / right.norm().clamp(min=1e-12))
                    norm = left.norm().clamp(min=1e-12)
                    left = left / norm
                self._left[index] = left
                weight.mul_(1.0 / max(float(norm), 1.0))


def real_losses(critic: nn.Module, codes: torch.Tensor, shown: torch.Tensor, sizes: tuple[int, ...]) -> torch.Tensor:
    """Return (…,) losses of real rows: their scores, negated, each row with one of its own codes as the condition.

    Args:
      codes: (…, attributes).
      shown: (…,) the attribute whose code is the condition.
    """
    rows = one_hot(codes, sizes)
    place = (codes + offsets(sizes)).gather(-1, shown[..., None])
    condition = torch.zeros_like(rows).scatter_(-1, place, 1.0)
    return -critic(torch.cat([rows, condition], dim=-1))


class GeneratorSteps:
    """The generator's training: against the critic and towards its conditions. It sees no row.

    Args:
      generator: from random inputs and a condition to logits (rows, D).
      noise: dimensions of the random input.
      rate: learning rate of Adam.
      temperature: of the softmax with Gumbel noise.
      conditions: draws (rows,) attributes and places of codes.
      rng: published.
    """

    def __init__(
        self,
        generator: Perceptron,
        sizes: tuple[int, ...],
        *,
        noise: int,
        rate: float,
        temperature: float,
        conditions: Conditions,
        rng: np.random.Generator,
    ) -> None:
        self._generator, self._sizes, self._noise = generator, sizes, noise
        self._temperature, self._conditions, self._rng = temperature, conditions, rng
        self._optimizer = torch.optim.Adam(generator.parameters(), lr=rate, betas=(0.5, 0.9))
        self._averaged = Averaged(generator)

    def rows(self, count: int) -> torch.Tensor:
        """Return (count, 2 D) generated rows with their conditions, for the critic."""
        with torch.no_grad():
            return self._make(count)[0]

    def step(self, critic: Critic, count: int, *, averaging: bool) -> None:
        """Take one step on freshly generated rows.

        Args:
          averaging: whether the weights after it belong to the mean.
        """
        made, missed = self._make(count)
        # The critic's hooks note what passes through it only while it is in training.
        critic.eval()
        loss = missed - critic(made).mean()
        gradients = torch.autograd.grad(loss, list(self._generator.parameters()))
        critic.train()
        for parameter, gradient in zip(self._generator.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()
        if averaging:
            self._averaged.add()

    def settle(self) -> None:
        """Set the generator's weights to the mean of the steps that were averaged."""
        self._averaged.settle()

    def _make(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return rows with their conditions, and the mean cross-entropy of the conditions."""
        attribute, place = self._conditions(count)
        condition = torch.zeros((count, sum(self._sizes)), dtype=torch.float64)
        condition[torch.arange(count), torch.from_numpy(place)] = 1.0
        inputs = torch.cat([torch.from_numpy(self._rng.standard_normal((count, self._noise))), condition], dim=1)
        logits = self._generator(inputs)
        gumbel = torch.from_numpy(self._rng.gumbel(size=tuple(logits.shape)))
        soft = [
            block.softmax(-1) for block in torch.split((logits + gumbel) / self._temperature, list(self._sizes), dim=-1)
        ]
        totals = torch.stack([block.logsumexp(-1) for block in torch.split(logits, list(self._sizes), dim=-1)], dim=-1)
        picked = (logits * condition).sum(-1)
        missed = totals.gather(-1, torch.from_numpy(attribute)[:, None])[:, 0] - picked
        return torch.cat([*soft, condition], dim=1), missed.mean()

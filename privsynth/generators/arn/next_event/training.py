"""How the network is trained: on drawn histories, which is free, and then on those of real persons, with DP-SGD.

A person is one unit: the gradients of all rows that a person has in the table are summed, by weights that fall with
their number, and the sum is clipped once. So a person with many rows moves a step by no more than one with few.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from privsynth.codecs.encoded_table import Encoded
from privsynth.generators.arn.next_event.network import NextEventNetwork, row_losses
from privsynth.generators.dpsgd.loop import UnitSteps
from privsynth.generators.dpsgd.optimizer import Units, strip
from privsynth.generators.dpsgd.per_unit_gradients import BookKeepingModule
from privsynth.privacy.mechanisms import TrainingNoise
from privsynth.privacy.unit_weights import weight_of_row
from privsynth.progress import Progress, no_progress

_LEAST_CLIP = 1e-3  # should all gradients vanish: a threshold must lie above zero


@dataclass(frozen=True, kw_only=True)
class NextEventWarmStart:
    """How the network is trained on drawn histories; public.

    Attributes:
      rows: rows of drawn histories at most.
      steps, batch, learning_rate: of Adam, with a cosine to zero.
    """

    rows: int = 60_000
    steps: int = 900
    batch: int = 512
    learning_rate: float = 4e-3


@dataclass(frozen=True, kw_only=True)
class NextEventTraining:
    """How the network is trained on real rows; public.

    Attributes:
      learning_rate: of steps whose gradients have norm one, at most; with a cosine to zero.
      wander: standard deviation of how far noise alone moves a weight over all steps, at most: with little budget or
        few persons, steps are smaller.
      clip_factor: threshold as a multiple of the median norm of a person's gradient in drawn histories.
      persons: of drawn histories, whose norms are looked at.
    """

    learning_rate: float = 3.0
    wander: float = 0.025
    clip_factor: float = 1.0
    persons: int = 512


def row_weights(present: torch.Tensor) -> torch.Tensor:
    """Return (persons, rows) what each row weighs, for flags that say which rows are there.

    One over the length that the sum of a person's gradients would have, if a quarter of the pairs of rows pulled alike:
    the same as in the tables of `generators.marginal.clip_units`.
    """
    weight = torch.from_numpy(weight_of_row(present.sum(dim=1).numpy()))
    return present * weight[:, None]


def warm_start(
    network: NextEventNetwork,
    codes: np.ndarray,
    settings: NextEventWarmStart,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> None:
    """Train the network in place on rows of drawn histories.

    Guarantee: none needed; `codes` (attributes, rows) are rows of a paid model.
    """
    rows = torch.from_numpy(codes.astype(np.int64).T.copy())
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98))
    places = np.empty(0, dtype=np.int64)
    for step in range(settings.steps):
        while len(places) < settings.batch:
            places = np.concatenate([places, rng.permutation(len(rows))])
        at, places = places[: settings.batch], places[settings.batch :]
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _cosine(step, settings.steps)
        loss = row_losses(network, rows[torch.from_numpy(at)], network.drawn, network.drawn_sizes).mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if step % 25 == 0:
            progress("warm start", step / settings.steps)
    progress("warm start", 1.0)


def clip_threshold(network: NextEventNetwork, histories: Encoded, settings: NextEventTraining) -> float:
    """Return C: a multiple of the median norm of a person's gradient in drawn histories.

    Args:
      histories: drawn rows, by person.
    """
    units = Units.of(histories)
    module = BookKeepingModule(network, clip=1.0)
    module.train()
    norms = [torch.zeros(0, dtype=torch.float64)]
    for part in units.parts(np.arange(min(units.n_units, settings.persons))):
        place, present = units.take(part)
        losses = row_losses(module, units.codes[torch.from_numpy(place)], network.drawn, network.drawn_sizes)
        norms.append(module.clipped_backward((losses * row_weights(present)).sum(dim=1)))
    strip(module)
    found = torch.cat(norms)
    return max(settings.clip_factor * float(found.median()) if len(found) else 1.0, _LEAST_CLIP)


def train(
    network: NextEventNetwork,
    data: Encoded,
    noise: TrainingNoise,
    *,
    clip: float,
    settings: NextEventTraining,
    progress: Progress = no_progress,
) -> None:
    """Train the network in place on real rows.

    Guarantee: exactly `noise.steps` steps, each the noisy sum of the persons' gradients, each clipped to `clip` (see
      `UnitSteps`). Losses are never looked at.
    """

    def losses(module: nn.Module, codes: torch.Tensor, _step: int) -> torch.Tensor:
        return row_losses(module, codes, network.drawn, network.drawn_sizes)

    each = 1.0 if data.rows_per_unit is None else max(data.rows_per_unit.mean_used, 1.0)
    largest = first_rate(noise, data.n_rows / each, settings)
    with UnitSteps(network, data, noise, losses, clip=clip, optimizer=_descent, weights=row_weights) as steps:
        for step in range(noise.steps):
            # Sums are divided by the expected number of rows; a mean is over persons.
            steps.step(step, learning_rate=largest * each / clip * _cosine(step, noise.steps))
            if step % 5 == 0:
                progress("training", step / noise.steps)
    progress("training", 1.0)


def first_rate(noise: TrainingNoise, persons: float, settings: NextEventTraining) -> float:
    """Return the learning rate of the first step, for gradients of norm one; from paid and public figures.

    Args:
      persons: with any row; a released number.
    """
    of_step = noise.noise_multiplier / max(noise.sampling_probability * persons, 1.0)
    rates = math.sqrt(sum(_cosine(step, noise.steps) ** 2 for step in range(noise.steps)))
    return min(settings.learning_rate, settings.wander / (of_step * rates))


def _descent(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def _cosine(step: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / steps))

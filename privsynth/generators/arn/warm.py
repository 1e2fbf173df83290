"""Stage 1: the network is trained on rows sampled from the marginal model, which is free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from privsynth.generators.arn.network import Network, encode, random_known, row_losses
from privsynth.generators.encoded import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class WarmSettings:
    """How the warm start is trained; public.

    Attributes:
      rows: rows sampled from the marginal model.
      steps, batch, learning_rate: of Adam, with a cosine to zero.
    """

    rows: int = 98_304
    steps: int = 300
    batch: int = 1024
    learning_rate: float = 3e-3


def warm_start(
    network: Network,
    codes: np.ndarray,
    order: Sequence[int],
    settings: WarmSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> None:
    """Train the network in place on synthetic codes (attributes, rows).

    Guarantee: none needed; `codes` are rows of a paid model.
    """
    rows = torch.from_numpy(codes.astype(np.int64).T.copy())
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98))
    places = np.empty(0, dtype=np.int64)
    for step in range(settings.steps):
        if len(places) < settings.batch:
            places = np.concatenate([places, rng.permutation(len(rows))])
        at, places = places[: settings.batch], places[settings.batch :]
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + np.cos(np.pi * step / settings.steps))
        batch = rows[torch.from_numpy(at)]
        known = torch.from_numpy(random_known(rng.random((len(at), batch.shape[1] + 2)), order))
        loss = row_losses(network(encode(batch, known, network.sizes)), batch, known, network.sizes).mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        if step % 25 == 0:
            progress("warm start", step / settings.steps)
    progress("warm start", 1.0)

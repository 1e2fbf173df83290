"""A mixture of products fitted to noisy tables. Everything here is post-processing.

The model is B components of equal weight; in each, the attributes are independent: P ∈ [0,1]^{D×B}, one softmax block
an attribute. A pair's table is P_i P_jᵀ / B, so there is no junction tree and no limit on which pairs are measured
(RAP-softmax, Aydore et al. 2021; MixtureOfProducts of private-pgm). The fit stops when Σ((model − measured)/σ)² of each
group of tables reaches its number of entries, beyond which it would follow the noise, or when it no longer gets nearer.
Where there are so many rows that it never gets there, it ends after a given amount of work.

Many mixtures explain the same tables, and most of them hold dependence that nobody measured: between two attributes
whose pair was not bought, and of a third on two together. The fit therefore minimises

    ½ χ²  +  pull · N / σ · Σ_attributes I(component; code)

where I is mutual information: of the mixtures that explain the tables the one that depends least, as the distribution
of maximum entropy does (Jaynes 1957). A dependence of strength one then bends an entry by about pull · σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.loss import MarginalLoss
from privsynth.generators.marginal.measure import Measurement, to_simplex
from privsynth.parallel import ThreadMap, threads
from privsynth.progress import Progress, no_progress

# Of the logits at the start. Components that start far apart explain noise by being unlike each other: with a spread of
# one the pairs are a little worse, and three columns together, and what follows from many of them, much more so.
SPREAD = 0.5
PULL_STEPS = 100  # after so many steps the pull fades as 1/step: a wide table must not wait for it
PLATEAU_STEPS, PLATEAU_GAIN = 60, 2e-3  # stop when so many steps did not bring χ² down by so much an entry
# Tables of one width within a group may miss by what chance allows, so many standard deviations of √(2 / entries) an
# entry: to meet the last of it in a few entries the fit would follow the noise of all others.
CHANCE = 3.0
MOST_WORK, LEAST_STEPS = 1e12, 400  # multiplications in all: about a minute of one processor; and steps even so
WIDTHS = (1, 2, 3)  # of tables
SHARD_COLUMNS, LEAST_SHARDS = 384, 2  # a shard's stack fits into the cache; two, so that two threads have work
CENTRE_STEPS = 32  # in which no logit can rise by more than 32 learning rates: exp stays far from overflow
FIRST_MOMENT, SECOND_MOMENT = 0.9, 0.99  # of Adam; the second below the usual 0.999, since a fit has few steps
PROGRESS_STEPS = 25  # between two reports


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture.

    Attributes:
      theta: (D, B) float32 logits, to go on from.
      p: (D, B) float32 probabilities, a block of rows an attribute.
    """

    theta: np.ndarray
    p: np.ndarray


def fit_mixture(
    sizes: Sequence[int],
    groups: Sequence[Sequence[Measurement]],
    *,
    n_rows: float,
    settings: FitSettings,
    rng: np.random.Generator,
    progress: Progress = no_progress,
    start: Mixture | None = None,
    towards: Mixture | None = None,
) -> Mixture:
    """Return the mixture that explains noisy tables to within their noise; the same for any number of threads.

    Args:
      groups: tables by group, the first of them one table for each attribute, in order; the fit goes on until each
        group is explained, and in each those over one, two and three attributes, so that none hides others.
      n_rows: the paid number of rows, which turns counts into shares.
      rng: published randomness; breaks the symmetry of the components.
      start: a mixture to go on from, else the noisy one-way shares, with logits spread by `SPREAD`.
      towards: of the mixtures that explain the tables the one nearest to this is wanted, component by component; the
        one that depends least if None.
    """
    components = settings.components_for(sum(sizes))
    if not sizes:
        return Mixture(np.zeros((0, components), np.float32), np.zeros((0, components), np.float32))
    divided = [[table for table in group if len(table.attributes) == n] for group in groups for n in WIDTHS]
    loss = MarginalLoss(sizes, divided, n_rows=n_rows)
    if start is None:
        shares = np.concatenate([to_simplex(table.counts / n_rows) for table in groups[0]])
        apart = SPREAD * rng.standard_normal((len(shares), components))
        theta = (np.log(shares + 1e-7)[:, None] + apart).astype(np.float32)
    else:
        theta = start.theta
    shards = max(LEAST_SHARDS, round(theta.shape[1] / SHARD_COLUMNS))
    anchors: list[np.ndarray | None] = [None] * shards
    if towards is not None:
        anchors = list(np.array_split(towards.theta, shards, axis=1))
    split = zip(np.array_split(theta, shards, axis=1), anchors, strict=True)
    parts = [_Shard(part, loss, settings, anchor) for part, anchor in split]
    # Matrix products are too small for threads of their own: those would wait for each other more than they work.
    with threadpool_limits(1, user_api="blas"), threads(shards) as run:
        _descend(loss, parts, settings, settings.pull * n_rows / _typical_sigma(groups), progress, run)
    theta = np.concatenate([shard.best for shard in parts], axis=1)
    loss.blocks.centre(theta)
    return Mixture(theta, loss.blocks.shares(theta))


def _typical_sigma(groups: Sequence[Sequence[Measurement]]) -> float:
    """Return the median over tables of the noise in an entry, in rows; one-way tables are left out."""
    sigmas = [float(np.min(table.sigma)) for group in groups[1:] for table in group]
    return max(float(np.median(sigmas)), 1.0) if sigmas else np.inf


def _descend(
    loss: MarginalLoss, shards: Sequence[_Shard], settings: FitSettings, pull: float, progress: Progress, run: ThreadMap
) -> None:
    """Move the shards until the fit stops; leaves the best logits in them.

    Args:
      pull: how much the mutual information of component and codes, in nats, counts beside half of χ².
    """
    stacks = [shard.stack for shard in shards]
    components = sum(stack.shape[1] for stack in stacks)
    affordable = int(MOST_WORK / (loss.work * components))
    steps = min(settings.max_steps, max(LEAST_STEPS, affordable))
    best = np.inf
    mark = (np.inf, 0)
    for step in range(1, steps + 1):
        left = _unexplained(loss.compare(stacks, run), loss.entries)
        better = left < best or step == 1
        best = min(best, left)
        if left < mark[0] - PLATEAU_GAIN * float(loss.entries.sum()):
            mark = (left, step)
        # Where noise drowns the tables no model comes nearer than chance lets it, which may be just above one.
        stuck = step - mark[1] > PLATEAU_STEPS
        last = not left or (stuck and not pull) or step == steps
        if stuck:  # it may be the pull that holds it back
            pull, mark = 0.0, (mark[0], step)
        apart = pull * min(1.0, PULL_STEPS / step) / components
        run(partial(_Shard.step, step=step, keep=better, stay=last, apart=apart), shards)
        if last:
            break
        if step % PROGRESS_STEPS == 0:
            progress("fitting", step / steps)
    progress("fitting", 1.0)


def _unexplained(chi: np.ndarray, entries: np.ndarray) -> float:
    """Return how much of χ² no noise explains: of groups, and of tables of one width in them less what chance allows.

    A sum, so that a table which contradicts others, and never can be met, does not hide how far those have come.

    Args:
      chi: χ² / entries, by group and width.
      entries: likewise.
    """
    by_group, number = (values.reshape(-1, len(WIDTHS)).sum(axis=1) for values in (chi * entries, entries))
    most = 1.0 + CHANCE * np.sqrt(2.0 / np.maximum(entries, 1.0))
    return float(np.maximum(by_group - number, 0.0).sum() + (np.maximum(chi - most, 0.0) * entries).sum())


class _Shard:
    """Some of the components, and Adam (Kingma & Ba 2015) on them, with a rate that falls as 1/√step after a while.

    Args:
      theta: (D, …) logits at the start.
      anchor: (D, …) logits that these are pulled towards; the mean of all components if None.
    Attributes:
      stack: (height, …) probabilities, see `MarginalLoss`.
      best: (D, …) the logits that were to be kept.
    """

    def __init__(
        self, theta: np.ndarray, loss: MarginalLoss, settings: FitSettings, anchor: np.ndarray | None = None
    ) -> None:
        self._loss, self._settings, self._anchor = loss, settings, anchor
        self._theta = theta.copy()
        self.best = np.empty_like(self._theta)
        self._first, self._second = np.zeros_like(self._theta), np.zeros_like(self._theta)
        self.stack = np.empty((loss.height, theta.shape[1]), np.float32)
        self._pull = np.empty_like(self.stack)
        loss.blocks.centre(self._theta)
        self._fill()

    def _fill(self) -> None:
        self._loss.blocks.shares(self._theta, out=self.stack[: len(self._theta)])
        self._loss.coarsen(self.stack)

    def step(self, *, step: int, keep: bool, stay: bool, apart: float) -> None:
        """Move by what the last comparison found, unless this is the last one; before that keep the logits.

        Args:
          apart: how much the mutual information counts, for each component. Its gradient in p is log p − log mean(p),
            or log p − log anchor; `LogitBlocks.backward` drops the constant by which a block of logits differs from
            log p.
        """
        if keep:
            np.copyto(self.best, self._theta)
        if stay:
            return
        grad = self._loss.pull(self.stack, self._pull)
        if apart:
            anchor = self._anchor
            if anchor is None:
                anchor = np.log(self._loss.mean + 1e-9).astype(np.float32)[:, None]
            grad += np.float32(apart) * (self._theta - anchor)
        self._adam(self._loss.blocks.backward(self.stack[: len(self._theta)], grad), step)
        if step % CENTRE_STEPS == 0:
            self._loss.blocks.centre(self._theta)
        self._fill()

    def _adam(self, grad: np.ndarray, step: int) -> None:
        """Move the logits; `grad` is used up. The moments are kept as sums, ten and a hundred times the means."""
        first, second = self._first, self._second
        first *= FIRST_MOMENT
        first += grad
        np.square(grad, out=grad)
        second *= SECOND_MOMENT
        second += grad
        unbiased = (1 - SECOND_MOMENT**step) ** 0.5
        np.sqrt(second, out=grad)
        grad += 1e-9 * unbiased
        np.divide(first, grad, out=grad)
        grad *= self._settings.rate(step) * unbiased / (1 - FIRST_MOMENT**step)
        self._theta -= grad

"""The only place where noise is added. Everything that a release says about real rows went through one of these.

`Mechanisms` is a protocol, so that tests can put a stub, a recorder or a player in its place: with a stub that returns
constants, every public byte of the pipeline must be the same whatever the rows are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import norm

from privsynth._validate import positive
from privsynth.errors import BudgetExceeded
from privsynth.privacy.accounting import round_up
from privsynth.privacy.budget import Bill, Spend
from privsynth.privacy.rounded_gaussian import MAX_SIGMA, NoiseAhead, check_sigma, rounded_gaussian
from privsynth.randomness import BitSource, SecureStream, poisson_mask

# Largest noise on a coarse grid, in its steps, before what rounding to the grid adds: a sixteenth of `MAX_SIGMA`.
COARSE_SIGMA = 2.0**36


@dataclass(frozen=True)
class Noisy:
    """Released integers, each with Gaussian noise of standard deviation `sigma`.

    They are int64, or float64 multiples of a power of two where noise beyond 2**40 required a coarse grid.
    """

    values: np.ndarray
    sigma: float


@dataclass(frozen=True)
class StableKeys:
    """A released histogram of open domains: one mapping for each column.

    Attributes:
      counts: for each column, key -> noisy count, only keys at or above `threshold`.
      sigma: standard deviation of each count.
      threshold: what a noisy count has to reach.
      known: for each column, the noisy count of every key that was known beforehand, however small.
    """

    counts: list[dict[str, int]]
    sigma: float
    threshold: int
    known: list[dict[str, int]]


class TrainingNoise(Protocol):
    """Noise and Poisson masks of one DP-SGD run, charged as a whole."""

    steps: int
    sampling_probability: float
    noise_multiplier: float

    def mask(self, n_units: int) -> np.ndarray:
        """Return (n_units,) booleans: the Poisson sample of the next step."""
        ...

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        """Return the integer sums of one step with noise; at most `steps` times."""
        ...


class Mechanisms(Protocol):
    """What may take exact figures and return released ones."""

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        """Release integers with exactly rounded Gaussian noise."""
        ...

    def stable_keys(
        self,
        counts: Sequence[Mapping[str, int]],
        *,
        max_rows_per_unit: int,
        part: str,
        mu_squared: float,
        delta: float,
        label: str,
        known: Sequence[str] = (),
        unit_weight: int | None = None,
    ) -> StableKeys:
        """Release the frequent keys of open domains with their noisy counts, and those of all known keys."""
        ...

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Cut the plan's μ² into its parts anew, see `Bill.share_out`."""
        ...

    def training(self, *, clip: float, label: str, steps: int | None = None) -> TrainingNoise:
        """Charge steps of the plan's training run, all of them if None, and return their noise."""
        ...


class GaussianMechanisms:
    """The mechanisms of a real run: exactly rounded Gaussian noise from a secure stream, entered in a bill.

    Args:
      bits: the source of all randomness, in the order of the calls; None for secure streams.
    """

    def __init__(self, bill: Bill, bits: BitSource | None = None) -> None:
        self._bill = bill
        self._given = bits
        self._bits = bits if bits is not None else SecureStream()

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        """Return `values` plus Gaussian noise, rounded to integers.

        Guarantee: μ-GDP with μ² = mu_squared (rounded down), if neighbouring tables move `values`, a vector of
          integers, by at most `l2_sensitivity` in L2 norm. The sum and its rounding are exact. Where noise is larger
          than can be drawn, the integers are first rounded to a coarse grid, and the noise is that of the grid's
          larger sensitivity (`grid_sensitivity`); the grid follows from the price and public numbers.
        Args:
          values: integers of any shape, at most 2**53 in size.
          l2_sensitivity: in the units of `values`.
          part: part of the plan that pays.
          mu_squared: price; the noise multiplier is mu_squared**-0.5, rounded up.
        Raises:
          BudgetExceeded: before any noise is drawn.
        Source: Dong, Roth & Su (2022), theorem 2.7.
        """
        positive(l2_sensitivity=l2_sensitivity, mu_squared=mu_squared)
        values = _integers(values)
        noise_multiplier = round_up(mu_squared**-0.5)
        sigma = round_up(noise_multiplier * l2_sensitivity, 12)
        step = _coarse_step(sigma)
        if step > 1:
            values = on_grid(values, step)
            sigma = round_up(noise_multiplier * grid_sensitivity(l2_sensitivity, values.size, step), 12)
        check_sigma(sigma)
        self._bill.charge(
            Spend(
                label=label,
                part=part,
                mechanism="Gaussian",
                noise_multiplier=noise_multiplier,
                l2_sensitivity=l2_sensitivity,
                mu_squared=noise_multiplier**-2,
            )
        )
        noisy = values + rounded_gaussian(values.size, sigma, self._bits).reshape(values.shape)
        return Noisy(noisy, sigma) if step == 1 else Noisy(noisy * float(step), sigma * step)

    def stable_keys(
        self,
        counts: Sequence[Mapping[str, int]],
        *,
        max_rows_per_unit: int,
        part: str,
        mu_squared: float,
        delta: float,
        label: str,
        known: Sequence[str] = (),
        unit_weight: int | None = None,
    ) -> StableKeys:
        """Return the keys whose noisy count reaches a threshold, for each of several open domains.

        Keys that are known beforehand, independently of the table, need no threshold: the noisy counts of all of them
        are released in every column, including those that no row holds.

        Guarantee: μ-GDP with μ² = mu_squared on the keys that both neighbours hold, and total probability at
          most `delta` that a key which only one unit holds is released. A unit has at most k =
          `max_rows_per_unit` rows, which weigh at most w = `unit_weight` together, and each row at most one key a
          column: the counts move by at most w·√columns in L2. A key held by one unit alone has a count of at most w and
          passes T = w + σ·Φ⁻¹(1 − delta / (columns·k)) + ½ with probability at most delta / (columns·k); a unit alone
          holds at most k such keys a column. Known keys are held by both neighbours, with a count of zero if no row
          has them. Where noise is larger than can be drawn, counts are first rounded to a coarse grid of step s: the
          at most k·columns counts that a unit moves then move by up to √(k·columns) steps more in L2, and a count of w
          is at most ⌊w/s⌋ + 1 steps.
        Args:
          counts: for each column, key -> exact count of rows, or of the whole steps that they weigh.
          delta: for the whole call.
          unit_weight: k if None, for rows that weigh one each.
          known: keys from a public list that does not depend on any row; sorted, each once.
        Raises:
          BudgetExceeded: before any noise is drawn.
        Source: Wilkins, Kifer, Zhang & Karrer (2024), Gaussian sparse histogram; design §2.
        """
        positive(mu_squared=mu_squared, delta=delta)
        columns, k = len(counts), max_rows_per_unit
        most = k if unit_weight is None else unit_weight
        positive(unit_weight=most)
        sensitivity = round_up(most * math.sqrt(columns), 12)
        noise_multiplier = round_up(mu_squared**-0.5)
        sigma = round_up(noise_multiplier * sensitivity, 12)
        step = _coarse_step(sigma)
        if step > 1:
            most = most // step + 1
            steps = sensitivity / step * (1 + 1e-9) + math.sqrt(k * columns)
            sigma = round_up(noise_multiplier * round_up(steps, 12), 12)
        check_sigma(sigma)
        threshold = stable_threshold(max_rows_per_unit=k, columns=columns, sigma=sigma, delta=delta, unit_weight=most)
        self._bill.charge(
            Spend(
                label=label,
                part=part,
                mechanism="Gaussian with threshold",
                noise_multiplier=noise_multiplier,
                l2_sensitivity=sensitivity,
                mu_squared=noise_multiplier**-2,
                delta=delta,
            )
        )
        kept, of_known = [], []
        for column in counts:
            # Sorted by key, so that the order of rows cannot show.
            keys = sorted({*column, *known})
            exact = np.fromiter((column.get(key, 0) for key in keys), dtype=np.int64, count=len(keys))
            exact = exact if step == 1 else on_grid(exact, step)
            noisy = dict(zip(keys, (exact + rounded_gaussian(len(keys), sigma, self._bits)).tolist(), strict=True))
            kept.append({key: n * step for key, n in noisy.items() if n >= threshold})
            of_known.append({key: noisy[key] * step for key in known})
        return StableKeys(kept, sigma * step, threshold * step, of_known)

    def share_out(self, parts: Mapping[str, float]) -> None:
        """Cut the plan's μ² into its parts anew, see `Bill.share_out`."""
        self._bill.share_out(parts)

    def training(self, *, clip: float, label: str, steps: int | None = None) -> TrainingNoise:
        """Charge the plan's DP-SGD run, or so many steps of it.

        Guarantee: the plan's subsampled Gaussian event of so many steps, if each step adds the gradients of a fresh
          Poisson sample of units, each clipped to `clip`, and calls `add` with its true sensitivity, in integers.
        """
        event = self._bill.charge_training(label, clip, steps)
        # The next step's noise is drawn while this one computes, from its own stream unless one was given for all.
        ahead = NoiseAhead(SecureStream()) if self._given is None else None
        return _GaussianTraining(event.steps, event.sampling_probability, event.noise_multiplier, self._bits, ahead)


class _GaussianTraining:
    def __init__(
        self,
        steps: int,
        sampling_probability: float,
        noise_multiplier: float,
        bits: BitSource,
        ahead: NoiseAhead | None,
    ) -> None:
        self.steps = steps
        self.sampling_probability = sampling_probability
        self.noise_multiplier = noise_multiplier
        self._bits = bits
        self._ahead = ahead
        self._masks = self._adds = 0

    def mask(self, n_units: int) -> np.ndarray:
        if self._masks >= self.steps or self._masks != self._adds:
            raise BudgetExceeded("each training step takes one sample and adds noise once")
        self._masks += 1
        return poisson_mask(n_units, self.sampling_probability, self._bits)

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        if self._adds + 1 != self._masks:
            raise BudgetExceeded("each training step takes one sample and adds noise once")
        self._adds += 1
        positive(l2_sensitivity=l2_sensitivity)
        sums = _integers(sums)
        sigma = round_up(self.noise_multiplier * l2_sensitivity, 12)
        if self._ahead is None:
            drawn = rounded_gaussian(sums.size, sigma, self._bits)
        else:
            drawn = self._ahead.draw(sums.size, sigma, again=self._adds < self.steps)
        noisy: np.ndarray = sums + drawn.reshape(sums.shape)
        return noisy


def stable_threshold(
    *, max_rows_per_unit: int, columns: int, sigma: float, delta: float, unit_weight: int | None = None
) -> int:
    """Return the threshold of `GaussianMechanisms.stable_keys`; a public number."""
    quantile = -float(norm.ppf(delta / (columns * max_rows_per_unit))) * (1 + 1e-12)
    return math.ceil((max_rows_per_unit if unit_weight is None else unit_weight) + sigma * quantile + 0.5)


def _coarse_step(sigma: float) -> int:
    """Return the step of the grid for noise of this standard deviation: 1, or a power of two if it cannot be drawn."""
    if not MAX_SIGMA < sigma < math.inf:
        return 1
    return int(2 ** math.ceil(math.log2(sigma / COARSE_SIGMA)))


def _integers(values: np.ndarray) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError("mechanisms take integers; put sums of fractions on a grid first")
    return values.astype(np.int64, copy=False)


def on_grid(values: np.ndarray, step: float) -> np.ndarray:
    """Return float values as integer multiples of `step`, rounded to nearest.

    Each entry moves by at most half a step, so two neighbours that differ by at most Δ in an entry differ by at most
    Δ / step + 1 in integers; `grid_sensitivity` adds that slack.
    """
    return np.rint(np.asarray(values, dtype=np.float64) / step).astype(np.int64)


def grid_sensitivity(l2_sensitivity: float, size: int, step: float) -> float:
    """Return the L2 sensitivity, in grid steps, of `size` fractions put on a grid: Δ / step + √size."""
    return round_up(l2_sensitivity / step * (1 + 1e-9) + math.sqrt(size), 12)

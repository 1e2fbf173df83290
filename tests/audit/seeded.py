"""Faults that are put into our mechanisms and our DP-SGD, and the worst-case tables that show them.

Each audit runs the real code many times with a unit and without it, on the tables where that unit shows most, and
hands the scores to `distinguishing.distinguish`. Bits come from a seed, so that a bound is the same
each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from unittest.mock import patch

import numpy as np
from distinguishing import Distinguished, distinguish
from doubles import SeededBits

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.arn.interaction_layers import Head
from privsynth.generators.arn.interactions import attribute_scores, choose_terms
from privsynth.generators.arn.network import Network
from privsynth.generators.arn.training import TrainSettings, train
from privsynth.privacy import mechanisms
from privsynth.privacy.accounting import SubsampledGaussianEvent, epsilon_of, gdp_mu
from privsynth.privacy.budget import Bill, Budget, SpendingPlan
from privsynth.privacy.mechanisms import GaussianMechanisms, TrainingNoise

ALPHA = 1e-4  # a bound exceeds the truth with at most this probability: the false-alarm rate of each audit
DELTA = 1e-6
UNIT = 1_000  # size of a sensitivity in integers, so that rounding does not matter
ROWS = 3  # rows of a unit where the fault is to protect one row only


def real(parts: dict[str, float], seed: int, training: SubsampledGaussianEvent | None = None) -> GaussianMechanisms:
    """Return the mechanisms of the product with a plan of these parts."""
    plan = SpendingPlan(budget=Budget(epsilon=8.0), parts=parts, discovery_delta=DELTA, training=training)
    return GaussianMechanisms(Bill(plan), SeededBits(seed))


def halved(count: int, sigma: float, bits, draw=mechanisms.rounded_gaussian) -> np.ndarray:
    """Draw half the noise."""
    return draw(count, sigma / 2, bits)


# --- counts ---------------------------------------------------------------------------------------------------------

COUNTS = 400_000


def counts(claim: tuple[float, float], *, moved: int = UNIT, half: bool = False) -> Distinguished:
    """Audit `gaussian`: a count that the unit moves by the whole declared sensitivity, or by `moved`."""
    sides = []
    for seed, shift in ((1, moved), (2, 0)):
        price = gdp_mu(*claim) ** 2
        with patch.object(mechanisms, "rounded_gaussian", halved if half else mechanisms.rounded_gaussian):
            noisy = real({"part": price}, seed).gaussian(
                np.full(COUNTS, 10_000 + shift), l2_sensitivity=float(UNIT), part="part", mu_squared=price, label="t"
            )
        sides.append(noisy.values.astype(float))
    return distinguish(*sides, delta=claim[1], alpha=ALPHA)


# --- open domains ---------------------------------------------------------------------------------------------------

TRIALS = 1_200


def domain(claim: tuple[float, float], *, from_data: bool) -> Distinguished:
    """Audit `stable_keys`: a value that only the unit has. Half of the claimed delta is the threshold's."""
    price = gdp_mu(claim[0], claim[1] / 2) ** 2
    sides = []
    with patch.object(mechanisms, "stable_threshold", (lambda **_: -(10**9)) if from_data else stable_threshold):
        for base, column in ((0, {"often": 500, "once": 1}), (TRIALS, {"often": 500})):
            seen = []
            for trial in range(TRIALS):
                found = real({"part": price}, base + trial).stable_keys(
                    [column], max_rows_per_unit=1, part="part", mu_squared=price, delta=DELTA, label="t"
                )
                seen.append("once" in found.counts[0])
            sides.append(np.array(seen, dtype=float))
    return distinguish(*sides, delta=claim[1], alpha=ALPHA)


stable_threshold = mechanisms.stable_threshold


# --- selection ------------------------------------------------------------------------------------------------------


def selection(claim: tuple[float, float], *, paid: bool) -> Distinguished:
    """Audit a selection followed by a measurement: two tables tie unless the unit tips the scale."""
    price = gdp_mu(*claim) ** 2 / 2
    sides = []
    for base, scores in ((0, (500 + UNIT, 500)), (TRIALS, (500, 500))):
        chosen = []
        for trial in range(TRIALS):
            ours = real({"selection": price, "measurement": price}, 7 * 10**6 + base + trial)
            exact = np.array(scores, dtype=np.int64)
            if paid:
                known = ours.gaussian(
                    exact, l2_sensitivity=float(UNIT), part="selection", mu_squared=price, label="t"
                ).values
            else:
                known = exact
            best = 0 if known[0] > known[1] else 1
            ours.gaussian(
                exact[best : best + 1], l2_sensitivity=float(UNIT), part="measurement", mu_squared=price, label="t"
            )
            chosen.append(1.0 - best)
        sides.append(np.array(chosen))
    return distinguish(*sides, delta=claim[1], alpha=ALPHA)


# --- batches --------------------------------------------------------------------------------------------------------

BATCHES = SubsampledGaussianEvent(noise_multiplier=1.0, sampling_probability=0.25, steps=16)
BATCH_DELTA = 1e-2
RUNS = 6_000
OTHERS = 3


@cache
def batches_claim() -> tuple[float, float]:
    return epsilon_of([BATCHES], BATCH_DELTA), BATCH_DELTA


class Shuffled:
    """Batches of one unit each, from a new permutation every epoch, in the place of Poisson samples; many tables side
    by side.
    """

    def __init__(self, noise: TrainingNoise, units: int, rng: np.random.Generator) -> None:
        self.noise, self.units, self.rng, self.left = noise, units, rng, np.zeros((RUNS, 0), dtype=np.int64)

    def mask(self, n_units: int) -> np.ndarray:
        self.noise.mask(0)
        if self.left.shape[1] == 0:
            self.left = self.rng.permuted(np.tile(np.arange(self.units), (RUNS, 1)), axis=1)
        picked, self.left = self.left[:, 0], self.left[:, 1:]
        return (np.arange(self.units)[None, :] == picked[:, None]).reshape(-1)

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        return self.noise.add(sums, l2_sensitivity=l2_sensitivity)


def batches(*, shuffled: bool) -> Distinguished:
    """Audit `training`: everybody else's gradient points away from the canary's, all of them at the threshold.

    Tables of 3 or 4 units stand side by side, a coordinate each: every coordinate is a run of its own.
    """
    sides = []
    for seed, inside in ((11, True), (12, False)):
        units = OTHERS + inside
        noise = real({}, seed, BATCHES).training(clip=1.0, label="t")
        faulty = Shuffled(noise, units, np.random.default_rng(seed))
        gradient = np.array([-UNIT] * OTHERS + [UNIT] * inside, dtype=np.int64)
        score = np.zeros(RUNS)
        for _ in range(BATCHES.steps // 4):  # an epoch of four steps: in one of them the canary makes +1 of -1
            steps = []
            for _ in range(4):
                mask = (faulty if shuffled else noise).mask(RUNS * units).reshape(RUNS, units)
                steps.append(noise.add((mask * gradient).sum(axis=1), l2_sensitivity=float(UNIT)) / UNIT + 1)
            sigma = BATCHES.noise_multiplier
            score += np.log(np.mean(np.exp((2 * np.array(steps) - 2) / sigma**2), axis=0))
        sides.append(score)
    return distinguish(*sides, delta=BATCH_DELTA, alpha=ALPHA)


# --- gradient canary ------------------------------------------------------------------------------------------------

SIZES, ORDER = (2, 2, 2), (0, 1, 2)
STEPS = 400
CLIP = 0.05


class Watched:
    """The noise of a training run as an attacker of the gradients sees it, with a fault.

    Attributes:
      seen: what each step released, in multiples of the claimed sensitivity.
    """

    def __init__(self, noise: TrainingNoise, *, factor: float = 1.0) -> None:
        self.noise, self.factor = noise, factor
        self.steps, self.sampling_probability = noise.steps, noise.sampling_probability
        self.noise_multiplier = noise.noise_multiplier
        self.seen: list[float] = []

    def mask(self, n_units: int) -> np.ndarray:
        return self.noise.mask(n_units)

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        assert sums.shape == (1,), "one coefficient, so that the canary's direction is known"
        noisy = self.noise.add(sums, l2_sensitivity=l2_sensitivity * self.factor)
        self.seen.append(-float(noisy[0]) / l2_sensitivity)
        return noisy


def one_side(rows: int, claim: tuple[float, float], *, seed: int, clip: float, factor: float) -> np.ndarray:
    """Return what each step of `train` released, each a run of one step on its own; `rows` rows 1, 1, 1 and no others.

    The one coefficient is the parity of three attributes: every row has the same gradient, well above the threshold.
    """
    rng = np.random.default_rng(0)
    network = Network(SIZES, 4, rng=rng, shares=[np.full(2, 0.5)] * 3).double()
    codes = rng.integers(0, 2, (3, 200)).astype(np.uint16)
    scores, owner, association = attribute_scores(codes, SIZES)
    head = Head(SIZES, ORDER, scores, owner, choose_terms(owner, association, ORDER, most=20, rng=rng))
    attributes = tuple(Attribute(f"a{i}", 2, True, False) for i in range(3))
    data = Encoded(CodedRows(np.ones((3, rows), dtype=np.uint16), np.arange(rows)), attributes, 1, float(rows), ORDER)
    event = SubsampledGaussianEvent(noise_multiplier=1 / gdp_mu(*claim), sampling_probability=1.0, steps=STEPS)
    noise = Watched(real({}, seed, event).training(clip=clip, label="t"), factor=factor)
    train(head, network, data, noise, clip=clip, order=ORDER, settings=TrainSettings(distance=1e-9))
    return np.array(noise.seen)


def canary(claim: tuple[float, float], *, noise: float = 1.0, clipping: bool = True, rows: int = 1) -> Distinguished:
    """Audit `train`: a unit alone in the table.

    Args:
      noise: how much of it is drawn.
      clipping: off: a threshold ten times as high, with noise for the old one.
      rows: of the unit, each treated as a unit of its own.
    """
    clip, factor = (CLIP, noise) if clipping else (10 * CLIP, noise / 10)
    inside = one_side(rows, claim, seed=21, clip=clip, factor=factor)
    outside = one_side(0, claim, seed=22, clip=clip, factor=factor)
    return distinguish(inside, outside, delta=claim[1], alpha=ALPHA, cut=0.5)  # half of what the canary adds


# --- the catalogue --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A fault, what is claimed, and how it is looked for.

    Attributes:
      name, part: for the page.
      claim: returns the claimed (epsilon, delta).
      audit: `audit(faulty)` runs the correct or the faulty code.
      gaussian: the bound is by mu-GDP, which is exact for one Gaussian step; else for any mechanism.
    """

    name: str
    part: str
    claim: Callable[[], tuple[float, float]]
    audit: Callable[[bool], Distinguished]
    gaussian: bool = False

    def bound(self, faulty: bool) -> float:
        """Return the lower bound on epsilon that the audit finds."""
        found = result(self.name, faulty)
        return found.mu_epsilon if self.gaussian else found.epsilon


LOW, OPEN, MIDDLE = (3.0, DELTA), (3.0, 2 * DELTA), (5.0, DELTA)
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("half the noise in counts", "counts", lambda: LOW, lambda bad: counts(LOW, half=bad)),
        Fault(
            "counts for units of three rows, noise for one",
            "counts",
            lambda: LOW,
            lambda bad: counts(LOW, moved=UNIT * (ROWS if bad else 1)),
        ),
        Fault("domain taken from the data", "stable keys", lambda: OPEN, lambda bad: domain(OPEN, from_data=bad)),
        Fault("selection that is not paid for", "counts", lambda: LOW, lambda bad: selection(LOW, paid=not bad)),
        Fault("shuffled batches accounted as Poisson", "training", batches_claim, lambda bad: batches(shuffled=bad)),
        Fault(
            "half the noise in DP-SGD",
            "DP-SGD",
            lambda: MIDDLE,
            lambda bad: canary(MIDDLE, noise=0.5 if bad else 1.0),
            gaussian=True,
        ),
        Fault(
            "no clipping in DP-SGD",
            "DP-SGD",
            lambda: MIDDLE,
            lambda bad: canary(MIDDLE, clipping=not bad),
            gaussian=True,
        ),
        Fault(
            "rows clipped instead of units in DP-SGD",
            "DP-SGD",
            lambda: MIDDLE,
            lambda bad: canary(MIDDLE, rows=ROWS if bad else 1),
            gaussian=True,
        ),
    )
}


@cache
def result(name: str, faulty: bool) -> Distinguished:
    """Return what an audit found, run once a process."""
    if FAULTS[name].part == "DP-SGD" and not faulty:
        return _correct_training()
    return FAULTS[name].audit(faulty)


@cache
def _correct_training() -> Distinguished:
    return canary(MIDDLE)

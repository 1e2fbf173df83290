"""Stand-ins for `privsynth.privacy.mechanisms.Mechanisms`, one for each kind of proof.

* `StubMechanisms`: constants. Whatever the rows are, everything that a run makes public must be the same.
* `RecordingMechanisms` and `ReplayMechanisms`: run on a table and keep what each mechanism was given and gave; run on a
  neighbour and give the same answers. What was given may differ by the declared sensitivity at most.
* `ExactMechanisms`: no noise, so that a test can say what must come out.

None of them keeps a budget, and none of them protects anybody: they are for invented rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from privsynth.privacy.mechanisms import Noisy, StableKeys, stable_threshold


@dataclass(frozen=True)
class Call:
    """What one mechanism was told, given, and gave.

    Attributes:
      public: what it was told: name, label, part, prices, sensitivity, shape. Must not depend on rows.
      given: exact figures: an integer array, or one mapping a column.
      l2_sensitivity: how far neighbours may move `given`, as the caller declared (or as the mechanism derives).
      gave: what it returned.
    """

    public: tuple[Any, ...]
    given: Any
    l2_sensitivity: float
    gave: Any


def distance(one: Any, other: Any) -> float:
    """Return the L2 distance of two given figures; a key that one lacks counts as zero there."""
    if isinstance(one, np.ndarray):
        return float(np.linalg.norm((one.astype(object) - other.astype(object)).astype(float)))
    squares = [
        (a.get(key, 0) - b.get(key, 0)) ** 2 for a, b in zip(one, other, strict=True) for key in a.keys() | b.keys()
    ]
    return math.sqrt(sum(squares))


class _Doubles:
    """The calls of the protocol, recorded, with answers left to `_answer` and `_keys`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        raise NotImplementedError

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        raise NotImplementedError

    def _known(self, counts: Sequence[Mapping[str, int]], sigma: float, known: tuple[str, ...]) -> list[dict[str, int]]:
        exact = [np.array([column.get(key, 0) for key in known], dtype=np.int64) for column in counts]
        return [dict(zip(known, self._answer(n, sigma).tolist(), strict=True)) for n in exact]

    def gaussian(self, values: np.ndarray, *, l2_sensitivity: float, part: str, mu_squared: float, label: str) -> Noisy:
        if not np.issubdtype(values.dtype, np.integer):
            raise AssertionError("what is released must be whole numbers")
        sigma = l2_sensitivity * mu_squared**-0.5
        public = ("gaussian", label, part, mu_squared, l2_sensitivity, values.shape)
        gave = Noisy(self._answer(values, sigma), sigma)
        self.calls.append(Call(public, values.copy(), l2_sensitivity, gave))
        return gave

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
        most = max_rows_per_unit if unit_weight is None else unit_weight
        l2_sensitivity = most * math.sqrt(len(counts))
        sigma = l2_sensitivity * mu_squared**-0.5
        threshold = stable_threshold(
            max_rows_per_unit=max_rows_per_unit, columns=len(counts), sigma=sigma, delta=delta, unit_weight=most
        )
        public = ("stable_keys", label, part, mu_squared, delta, max_rows_per_unit, len(counts), tuple(known), most)
        gave = StableKeys(
            self._keys(counts, sigma, threshold), sigma, threshold, self._known(counts, sigma, tuple(known))
        )
        self.calls.append(Call(public, [dict(c) for c in counts], l2_sensitivity, gave))
        return gave

    def share_out(self, parts: Mapping[str, float]) -> None:
        self.calls.append(
            Call(("share_out", "parts of the plan", "", tuple(parts.items())), np.zeros(0, dtype=np.int64), 0.0, None)
        )

    def training(self, *, clip: float, label: str, steps: int | None = None) -> RecordedTraining:
        return RecordedTraining(self, clip, label)


@dataclass
class RecordedTraining:
    """A DP-SGD run whose sums are recorded; the Poisson sample of the first units is the same on a neighbour."""

    owner: _Doubles
    clip: float
    label: str
    steps: int = 5
    sampling_probability: float = 0.5
    noise_multiplier: float = 1.0
    taken: int = field(default=0)

    def mask(self, n_units: int) -> np.ndarray:
        self.taken += 1
        return np.random.default_rng([7, self.taken]).random(n_units) < self.sampling_probability

    def add(self, sums: np.ndarray, *, l2_sensitivity: float) -> np.ndarray:
        return self.owner.gaussian(
            sums,
            l2_sensitivity=l2_sensitivity,
            part="training",
            mu_squared=self.noise_multiplier**-2,
            label=f"{self.label}, step {self.taken}",
        ).values


class ExactMechanisms(_Doubles):
    """No noise. Keys at or above the threshold come out, as in the real thing."""

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        return values.astype(np.int64)

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        return [{key: column[key] for key in sorted(column) if column[key] >= threshold} for column in counts]


class RecordingMechanisms(ExactMechanisms):
    """Noise from a seed, so that a test can be repeated, and a record of every call."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        return values + np.rint(self._rng.normal(0, sigma, values.shape)).astype(np.int64)

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        noisy = [{key: c[key] + round(self._rng.normal(0, sigma)) for key in sorted(c)} for c in counts]
        return super()._keys(noisy, sigma, threshold)


class ReplayMechanisms(_Doubles):
    """Give the answers of a record, one by one, and record what was asked this time."""

    def __init__(self, record: RecordingMechanisms) -> None:
        super().__init__()
        self.record = record.calls

    def _next(self) -> Call:
        if len(self.calls) >= len(self.record):
            raise AssertionError("more was asked than on the neighbour")
        return self.record[len(self.calls)]

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        answer: np.ndarray = self._next().gave.values
        if answer.shape != values.shape:
            raise AssertionError("the shape of what is asked depends on the rows")
        return answer

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        answer: list[dict[str, int]] = self._next().gave.counts
        return answer

    def _known(self, counts: Sequence[Mapping[str, int]], sigma: float, known: tuple[str, ...]) -> list[dict[str, int]]:
        answer: list[dict[str, int]] = self._next().gave.known
        return answer

    def violations(self) -> list[str]:
        """Return what differs between the two runs and may not: what was said, how much was asked, by how far."""
        found = []
        if len(self.calls) != len(self.record):
            found.append(f"{len(self.calls)} calls against {len(self.record)}")
        for mine, theirs in zip(self.calls, self.record, strict=False):
            if mine.public != theirs.public:
                found.append(f"told differently: {mine.public} against {theirs.public}")
            moved = distance(mine.given, theirs.given)
            if moved > mine.l2_sensitivity * (1 + 1e-9):
                found.append(f"'{mine.public[1]}' moved by {moved:.3f}, declared {mine.l2_sensitivity:.3f}")
        return found


class StubMechanisms(_Doubles):
    """Constants: every count is `value`, no key is frequent but the ones given."""

    def __init__(self, value: int = 50, keys: Sequence[str] = ()) -> None:
        super().__init__()
        self.value, self.keys = value, keys

    def _answer(self, values: np.ndarray, sigma: float) -> np.ndarray:
        return np.full(values.shape, self.value, dtype=np.int64)

    def _keys(self, counts: Sequence[Mapping[str, int]], sigma: float, threshold: int) -> list[dict[str, int]]:
        return [dict.fromkeys(self.keys, threshold + self.value) for _ in counts]

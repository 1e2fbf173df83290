"""Stand-ins of the tests: those of mechanisms, which ship, and sources of random words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privsynth.testing.doubles import (
    Call,
    ExactMechanisms,
    RecordedTraining,
    RecordingMechanisms,
    ReplayMechanisms,
    StubMechanisms,
    distance,
)

__all__ = [
    "Call",
    "ExactMechanisms",
    "RecordedTraining",
    "RecordingMechanisms",
    "ReplayMechanisms",
    "ScriptedBits",
    "SeededBits",
    "StubMechanisms",
    "distance",
]


class ScriptedBits:
    """A `BitSource` that hands out chosen words, then fails the test."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = list(words)
        self.taken = 0

    def uint64(self, count: int) -> np.ndarray:
        assert self.taken + count <= len(self.words), "more random words were taken than the test chose"
        self.taken += count
        return np.array(self.words[self.taken - count : self.taken], dtype=np.uint64)


class SeededBits:
    """A repeatable `BitSource`, for statistics with a stated false-alarm rate."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def uint64(self, count: int) -> np.ndarray:
        return self._rng.integers(0, 2**64, count, dtype=np.uint64)

"""A noisy membership curve: does nearness to a synthetic row reveal who was in training?

One noisy table nearness × side (training or holdout). Nearness is an integer, computed from the row itself and
synthetic rows in integer arithmetic, so that no row's score can depend on other real rows.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from privsynth.codecs.encoded_table import CodedRows
from privsynth.findings.finding import Finding
from privsynth.privacy.mechanisms import Mechanisms
from privsynth.public_figures.inputs import PaidInputs
from privsynth.public_figures.noisy_table import SOURCE, NoisyTable, area_figure, counts_of

BINS = 8  # of nearness: few, so that each holds more rows than noise (own)
MAX_BASE = 2_000  # synthetic rows that each row is compared with; bounds the time (own)
# Comparisons of rows, about: they decide how many synthetic rows each is compared with, and bound the time (own). Few
# show less, so that 200 are not given up until that takes a quarter of an hour.
WORK, MOST_WORK, USUAL_BASE, LEAST_BASE = 1e8, 2e9, 200, 10
MAX_ATTRIBUTES = 40  # that are compared, at random: two points each stay far below 255, the end of uint8
CHUNK = 2_048  # rows compared at once: 4 MiB of points with 2,000 synthetic rows (own)
AT_ONCE = 1 << 18  # rows coded at once; bounds memory (own)


def membership_findings(
    inputs: PaidInputs, mechanisms: Mechanisms, *, mu_squared: float, rng: np.random.Generator
) -> list[Finding]:
    """Return the area under the curve of a membership attack by nearness, with the curve.

    Guarantee: one Gaussian release of `mu_squared` of the part "report". A unit's rows are all on one side and move
      one count each. The holdout is counted too, and has the same guarantee.
    """
    measure = _Measure(inputs, rng)
    release = mechanisms.gaussian(
        inputs.data.add_up(partial(count_near, measure=measure)).ravel(),
        l2_sensitivity=float(inputs.data.max_rows_per_unit),
        part="report",
        mu_squared=mu_squared,
        label="counts of nearness to a synthetic row × training or holdout",
    )
    return [_finding(NoisyTable.around(release.values.reshape(BINS, 2), release.sigma, rng))]


def count_near(rows: CodedRows, measure: _Measure) -> np.ndarray:
    """Return the (BINS, 2) table nearness × side of one partition. Private."""
    assert rows.trained is not None
    return counts_of((measure.bin_of(rows.codes), rows.trained.astype(np.uint16)), (BINS, 2))


class _Measure:
    """How nearness is measured; a function of public facts.

    Attributes:
      used: attributes that are compared.
      ordered: of them, those whose neighbouring codes are alike.
      base: (len(used), m) uint16 codes of synthetic rows to compare with.
      known: sorted hashes of all synthetic rows, duplicates included.
      edges: ascending; a row of nearness v is in bin #(edges <= v), one that equals a synthetic row in the last of
        the `BINS`, whose number does not depend on the edges.
    """

    def __init__(self, inputs: PaidInputs, rng: np.random.Generator) -> None:
        count = len(inputs.data.sizes)
        self.used = np.sort(rng.permutation(count)[:MAX_ATTRIBUTES])
        self.ordered = np.array([inputs.data.attributes[i].ordered for i in self.used])
        rows = rng.permutation(inputs.synthetic.shape[1])
        size = number_of_base_rows(inputs.data.n_rows)
        base, rest = np.sort(rows[: min(size, len(rows) // 2)]), rows[len(rows) // 2 :][: 4 * MAX_BASE]
        self.base = inputs.synthetic[np.ix_(self.used, base)]
        self.known = _hashes(inputs.synthetic)
        self.known.sort()
        seen = self.count(inputs.synthetic[:, rest])
        self.edges = (
            np.unique(np.quantile(seen, np.linspace(0, 1, BINS)[1:-1], method="nearest")) if len(seen) else seen
        )

    def bin_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the (n,) uint16 bins of rows, higher for rows nearer to a synthetic one."""
        bins = np.empty(codes.shape[1], dtype=np.uint16)
        for start in range(0, codes.shape[1], AT_ONCE):
            some = codes[:, start : start + AT_ONCE]
            found = np.searchsorted(self.edges, self.count(some), side="right")
            bins[start : start + AT_ONCE] = np.where(self._has(_hashes(some)), BINS - 1, found)
        return bins

    def _has(self, words: np.ndarray) -> np.ndarray:
        """Return (n,) booleans: a synthetic row has the hash."""
        if not len(self.known):
            return np.zeros(len(words), dtype=bool)
        order = np.argsort(words)  # sorted look-ups are kinder to the cache
        there = np.empty(len(words), dtype=bool)
        there[order] = self.known.take(np.searchsorted(self.known, words[order]), mode="clip") == words[order]
        return there

    def count(self, codes: np.ndarray) -> np.ndarray:
        """Return (n,) the largest number of points that a row shares with one base row.

        Two for each attribute with the same code, one for neighbouring codes of an ordered one.
        """
        own, best = codes[self.used], np.zeros(codes.shape[1], dtype=np.int64)
        if not self.base.shape[1]:
            return best
        for start in range(0, own.shape[1], CHUNK):
            part = own[:, start : start + CHUNK]
            points = np.zeros((self.base.shape[1], part.shape[1]), dtype=np.uint8)
            for row, base, ordered in zip(part, self.base, self.ordered, strict=True):
                equal = (base[:, None] == row).view(np.uint8)
                points += equal
                points += equal
                if ordered:  # few codes, so that uint16 does not wrap around
                    points += (base[:, None] + np.uint16(1) == row).view(np.uint8)
                    points += (base[:, None] - np.uint16(1) == row).view(np.uint8)
            best[start : start + CHUNK] = points.max(axis=0)
        return best


def number_of_base_rows(n_rows: float) -> int:
    """Return with how many synthetic rows each row is compared, by the released number of rows."""
    n_rows = max(n_rows, 1.0)
    least = int(np.clip(MOST_WORK / n_rows, LEAST_BASE, USUAL_BASE))
    return int(np.clip(WORK / n_rows, least, MAX_BASE))


def _hashes(codes: np.ndarray) -> np.ndarray:
    """Return (n,) words of whole rows; equal rows get equal words."""
    words = np.full(codes.shape[1], 0x9E3779B97F4A7C15, dtype=np.uint64)
    for start in range(0, codes.shape[1], AT_ONCE):
        some = words[start : start + AT_ONCE]
        for row in codes[:, start : start + AT_ONCE]:
            some ^= row
            some *= np.uint64(0xD6E8FEB86659FD93)
            some ^= some >> np.uint64(32)
    return words


def _finding(table: NoisyTable) -> Finding:
    common = {"family": "membership", "name": "membership_auc", "group": "nearness, with noise"}
    source = f"distance to the closest synthetic row; {SOURCE}"
    meaning = (
        "An attacker who sees the synthetic rows takes a row for a member if it is close to one of them: the closer, "
        "the surer. 0.5 is guessing, 1 is knowing who was in the training rows. An attack that fails proves nothing "
        "about other attacks."
    )
    return area_figure(
        table,
        meaning=meaning,
        source=source,
        better="lower",
        detail={"roc": _roc(table), "threat_model": "no-box"},
        **common,
    )


def _roc(table: NoisyTable) -> list[list[float]]:
    """Return [false positive rate, true positive rate], rising, from the nearest bin on."""
    counts = np.maximum(table.counts[::-1], 0.0)
    shares = np.cumsum(counts, axis=0) / np.maximum(counts.sum(axis=0), 1.0)
    return [[0.0, 0.0], *([round(float(f), 6), round(float(t), 6)] for f, t in shares[:-1]), [1.0, 1.0]]

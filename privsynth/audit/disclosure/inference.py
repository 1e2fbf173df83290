"""Inference: a person's secret, guessed from the synthetic rows nearest in the known columns.

A number is guessed right within 5 % of its true size (not of the guess, which the attacker chooses), a time within 5 %
of the interquartile range. Equally near rows vote, so their order does not matter; missing equals missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables, numbers, texts, thin
from privsynth.audit.common.settings import AuditContext, Level
from privsynth.audit.disclosure.attacker_knowledge import SAME, Space, auxiliary, distance_chunks, secrets, space_of
from privsynth.audit.disclosure.excess_risk import Attack, arm, risk_finding
from privsynth.audit.disclosure.targets import MIN_SIDE, NO_ROWS, choose_targets
from privsynth.findings.finding import Finding
from privsynth.findings.insufficient import insufficient
from privsynth.schema.definition import TIME_KINDS

# People attacked on each side; bounds the time (own).
TARGETS: dict[Level, int] = {"quick": 500, "standard": 1_000, "deep": 3_000}
MEANING = "The attacker reads the value of this column off the synthetic rows nearest to a person in what is known."


def inference(tables: AuditTables, *, rng: np.random.Generator, context: AuditContext) -> list[Finding]:
    """Return the excess risk of each secret."""
    who = choose_targets(tables, rng=rng, at_most=min(TARGETS[context.settings.level], context.settings.max_targets))
    if who is None:
        return [insufficient("disclosure", "inference", NO_ROWS)]
    chosen, why = secrets(tables, context.settings)
    space = space_of(tables, context)
    frames = (
        tables.synthetic.iloc[thin(len(tables.synthetic), context.settings.max_rows, rng)],
        who.members,
        who.others,
        who.reference,
    )
    places = [RowPoints(frame, space.points(frame)) for frame in frames]
    return [_one(tables, secret, why, places, space, context.settings.claimed, len(chosen)) for secret in chosen]


@dataclass(frozen=True, repr=False, eq=False)
class RowPoints:
    """Rows and their encoding as points."""

    frame: pd.DataFrame
    points: np.ndarray

    def where(self, rows: np.ndarray, axes: np.ndarray) -> RowPoints:
        """Return some rows and coordinates."""
        return RowPoints(self.frame.iloc[rows], self.points[np.ix_(rows, axes)])


def _one(
    tables: AuditTables,
    secret: str,
    why: str,
    places: list[RowPoints],
    space: Space,
    claimed: tuple[float, float] | None,
    tests: int,
) -> Finding:
    columns, known = auxiliary(tables, secret)
    judge = Judge(tables, secret)
    axes = space.axes(columns)
    seen = [place.where(np.flatnonzero(place.frame[secret].notna()), axes) for place in places]
    synthetic, members, others, population = seen
    size = min(len(members.frame), len(others.frame))
    if not columns or size < MIN_SIDE or min(len(synthetic.frame), len(population.frame)) == 0:
        few = "there are too few people whose value is known, or nothing is known of them."
        return insufficient("disclosure", "inference", few, group=secret)
    hits = [judge.hits(synthetic, part)[:size] for part in (members, others)]
    return risk_finding(
        Attack(
            name="inference",
            group=secret,
            members=arm(hits[0]),
            others=arm(hits[1]),
            naive=float(judge.hits(population, others).mean()),
            naive_label="uses real rows of other people in place of the release",
            meaning=f"{MEANING} {why} {known}",
            source="own; WP216; the risk is that of Giomi et al. (2023)",
            bounded=True,
            detail={
                "constant_guess_rate": judge.constant(synthetic.frame, others.frame),
                "synthetic_rows": len(synthetic.frame),
                "reference_rows": len(population.frame),
            },
        ),
        claimed=claimed,
        tests=tests,
    )


class Judge:
    """Decides whether guesses at one secret column are right."""

    def __init__(self, tables: AuditTables, secret: str) -> None:
        self.secret = secret
        self.is_number = tables.is_number(secret)
        self.is_time = tables.kinds.get(secret) in TIME_KINDS
        cells = numbers(tables.synthetic[secret]) if self.is_number else np.zeros(0)
        cells = cells[np.isfinite(cells)]
        self.scale = float(np.subtract(*np.quantile(cells, [0.75, 0.25]))) if len(cells) else 0.0

    def values(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n,) secrets, numbers or texts."""
        return numbers(frame[self.secret]) if self.is_number else texts(frame[self.secret])[0]

    def right(self, frame: pd.DataFrame, guess: np.ndarray) -> np.ndarray:
        """Return (n,) booleans: the guess is right."""
        truth = self.values(frame)
        if not self.is_number:
            return np.asarray(truth == guess)
        tolerance = 0.05 * (self.scale if self.is_time else np.abs(truth))
        return np.asarray(np.abs(guess - truth) <= tolerance + 1e-9)

    def central(self, values: np.ndarray) -> float | str:
        """Return the lower median of numbers, or the most frequent text."""
        if self.is_number:
            return float(np.partition(values, (len(values) - 1) // 2)[(len(values) - 1) // 2])
        seen, counts = np.unique(values.astype(str), return_counts=True)
        return str(seen[np.argmax(counts)])

    def constant(self, synthetic: pd.DataFrame, frame: pd.DataFrame) -> float:
        """Return how often the same guess for everyone is right."""
        guess = np.full(len(frame), self.central(self.values(synthetic)), dtype=None if self.is_number else object)
        return float(self.right(frame, guess).mean())

    def hits(self, base: RowPoints, targets: RowPoints) -> np.ndarray:
        """Return (n,) booleans: the vote of the nearest rows of `base`, ties included, is right."""
        values = self.values(base.frame)
        guesses = np.empty(len(targets.frame), dtype=np.float64 if self.is_number else object)
        for chunk in distance_chunks(base.points, targets.points):
            ties = chunk.partial <= chunk.partial.min(axis=1, keepdims=True) + SAME
            for i, tied in enumerate(ties, start=chunk.rows.start):
                guesses[i] = self.central(values[tied])
        return self.right(targets.frame, guesses)

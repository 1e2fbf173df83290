"""Intervals cover as often as they say: many releases of the same rows, each with fresh noise.

Of n intervals at 95 %, the share that covers has a standard deviation of √(0.95 · 0.05 / n). The tests below have n of
4,000 and more, where 93 % and 97 % lie at least 5.8 of them away: fewer than one false alarm in 10⁷ runs, and the seeds
are fixed. Intervals of one release share noise where they share a denominator, so the releases are counted by group.
"""

from __future__ import annotations

import numpy as np
import pytest
from release.noisy.made import AGE, AXES, SEX, WARD, WARDS, counted, full, rows_of, tables_of

from privsynth.release.noisy.answer import answer_from

RELEASES = 4_000
MARGINALS = [full(WARD), full(AGE), full(WARD, AGE), full(WARD, SEX)]
VALUE = np.array([*AXES[AGE].value, np.nan])


def truths(codes: np.ndarray, question: str) -> dict[tuple[str, ...], float]:
    """Return what is asked, of the rows themselves, with the amount that stands for each bin."""
    found = {}
    for at, ward in enumerate(WARDS):
        here = codes[:, codes[WARD] == at]
        kind = question.partition("(")[0].split()[0]
        if kind == "mean":
            found[ward,] = float(np.nanmean(VALUE[here[AGE]]))
        elif kind == "share":
            found[ward,] = float((here[SEX] == 0).mean())
        else:
            found[ward,] = float(here.shape[1])
    return found


def covered(codes: np.ndarray, question: str, releases: int, *, holdout: float = 0.0) -> dict[tuple[str, ...], float]:
    """Return for each group how often its interval held the truth."""
    truth, rng = truths(codes, question), np.random.default_rng(20_261_130)
    held = dict.fromkeys(truth, 0)
    exact = counted(codes, MARGINALS)
    for _ in range(releases):
        if holdout:
            exact = counted(codes[:, rng.random(codes.shape[1]) >= holdout], MARGINALS)
        tables = tables_of(exact, MARGINALS, rng, holdout=holdout)
        for row in answer_from(tables, question).rows:
            low, high = -np.inf if row.low is None else row.low, np.inf if row.high is None else row.high
            held[row.group] += low <= truth[row.group] <= high
    return {group: count / releases for group, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("question", ["count by ward", "share(sex = F) by ward", "mean(age) by ward"])
def test_intervals_cover_as_often_as_they_say(question):
    """The last group has some 25 rows, little more than the noise."""
    found = covered(rows_of(10_000), question, RELEASES)
    assert all(0.93 <= share <= 0.97 for share in list(found.values())[:3]), found
    # A share or a mean of so few rows is cut to where it can lie; that can only add coverage.
    assert found["burns",] >= 0.93, found


@pytest.mark.slow
def test_intervals_cover_the_whole_table_where_some_of_it_was_held_out():
    found = covered(rows_of(10_000), "count by ward", RELEASES, holdout=0.2)
    assert all(0.93 <= share <= 0.97 for share in found.values()), found


@pytest.mark.slow
def test_the_simulation_would_see_noise_that_is_understated():
    """With noise of 10 told as 8, an interval covers 88 %; of 4,000 that is 20 standard deviations below 95 %."""
    codes, rng, held = rows_of(10_000), np.random.default_rng(0), 0
    truth, exact = truths(codes, "count by ward"), counted(codes, MARGINALS[:1])
    for _ in range(1_000):
        (noisy,) = tables_of(exact, MARGINALS[:1], rng, sigma=10.0).tables
        told = tables_of([noisy.counts], MARGINALS[:1], None, sigma=8.0)
        rows = answer_from(told, "count by ward").rows
        held += sum(r.low <= truth[r.group] <= r.high for r in rows)  # type: ignore[operator]
    assert 0.85 < held / (1_000 * len(WARDS)) < 0.92

"""Fidelity on tables whose faults are known: each figure moves the right way and by the right size, and its interval
covers as often as it says.

Simulations fail by chance with probability below 1e-4 each: the number of misses is held against a binomial with a
miss rate of 7 %, for intervals of 95 % that are exact only in large samples.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privsynth.audit.common.discretise import distances
from privsynth.audit.common.jackknife import BLOCKS, assign_blocks, jackknife_variance, left_out_counts
from privsynth.audit.common.marginals import chance_distances, distance_interval
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.fidelity.association import pearson, strength_differences, strengths
from privsynth.audit.fidelity.marginal_distance import fidelity as audit
from privsynth.audit.fidelity.subsample_equivalence import sample_curve, share_at
from privsynth.audit.fidelity.tails_and_calendar import mean_difference, mean_ratio, quantile_difference
from privsynth.findings.group_share import effective
from privsynth.stats.intervals import cluster_variance


def fidelity(tables, level="standard"):
    return audit(tables, rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level=level)))


def one_v(counts):
    """The naive twin of `cramers_v`: one table, one term at a time."""
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(float)
    n, (rows, columns) = counts.sum(), counts.shape
    if min(rows, columns) < 2:
        return 0.0
    phi2 = 0.0
    for i in range(rows):
        for j in range(columns):
            expected = counts[i].sum() * counts[:, j].sum() / n
            phi2 += (counts[i, j] - expected) ** 2 / expected / n
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return min(1.0, np.sqrt(phi2 / least))


def shuffled(frame):
    """Return the frame with every column in an order of its own: no association is left."""
    rng = np.random.default_rng(3)
    return frame.apply(lambda column: column.sample(frac=1, random_state=rng, ignore_index=True))


def most_misses(n):
    return int(stats.binom.isf(1e-4, n, 0.07))


# Subsample equivalence


@pytest.mark.parametrize(
    ("case", "low", "high"),
    [("copy", 1.0, 1.0), ("redraw", 0.2, 0.5), ("5 % sample", 0.03, 0.08), ("noise", 0.0, 0.15)],
)
def test_equivalence_of_known_tables(people, tables_of, pick, case, low, high):
    train, holdout, fresh = people
    made = {
        "copy": lambda: train.copy(),
        "redraw": lambda: fresh,
        "5 % sample": lambda: train.sample(frac=0.05, random_state=1),
        "noise": lambda: shuffled(fresh).assign(age=fresh["age"] + 15),
    }[case]()
    findings = fidelity(tables_of(train, holdout, made))
    for ways in (2, 3):
        found = pick(findings, f"subsample_equivalence_{ways}way")
        assert low <= found.value <= high
        assert found.low <= found.value <= found.high
        assert found.baseline == pytest.approx(1 / 3, abs=0.12), "fresh real rows reach about a third"


def test_the_curve_of_samples_equals_its_naive_twin():
    rng = np.random.default_rng(0)
    train = np.stack([rng.integers(0, size, 400) for size in (3, 5, 40)]).astype(np.int32)
    marginals = [(0, 1), (1, 2)]
    shares, curve = sample_curve(train, (3, 5, 40), marginals, rng=np.random.default_rng(1))
    twin = np.random.default_rng(1)
    orders = [twin.permutation(400) for _ in range(2)]
    naive = []
    for share in shares[:-1]:
        size = round(share * 400)
        values = []
        for order in orders:
            for columns in marginals:
                p = Counter(zip(*train[list(columns)], strict=True))
                q = Counter(zip(*train[list(columns)][:, order[:size]], strict=True))
                values.append(0.5 * sum(abs(p[cell] / 400 - q[cell] / size) for cell in p))
        naive.append(np.mean(values))
    assert curve[:-1] == pytest.approx(np.minimum.accumulate(naive))
    assert (shares[-1], curve[-1]) == (1.0, 0.0)


def test_a_share_is_read_back_from_its_own_distance():
    shares = np.array([0.01, 0.1, 0.5, 1.0])
    curve = 0.03 * np.sqrt(1 / shares - 1)
    for share in (0.02, 0.3, 0.7, 1.0):
        assert share_at(0.03 * np.sqrt(1 / share - 1), shares, curve) == pytest.approx(share)
    assert share_at(9.0, shares, curve) == 0.01


def test_quick_leaves_equivalence_out(people, tables_of):
    assert not [f for f in fidelity(tables_of(*people), "quick") if "equivalence" in f.name]


# Distances


def test_chance_is_exact_where_cells_are_sparse():
    """The closed form is too small there; a deal of the pooled rows is not (error of 200 tables below 3 %)."""
    rng = np.random.default_rng(3)
    sizes, real, closed, dealt = (200,), [], [], []
    for _ in range(200):
        a, b = rng.integers(0, 200, (1, 60)), rng.integers(0, 200, (1, 90))
        found = distances(a, b, sizes, [(0,)])
        real.append(found.mean)
        closed.append(found.floors[0])
        dealt.append(chance_distances(a, b, sizes, [(0,)], rng=rng)[0])
    assert np.mean(dealt) == pytest.approx(np.mean(real), rel=0.03)
    assert np.mean(closed) < 0.9 * np.mean(real)


def test_the_interval_of_a_distance_covers_its_expectation():
    rng = np.random.default_rng(4)
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.4, 0.2, 0.05, 0.35])
    found = [distances(rng.choice(4, (1, 400), p=p), rng.choice(4, (1, 300), p=q), (4,), [(0,)]) for _ in range(400)]
    expected = np.mean([f.mean for f in found])
    intervals = [distance_interval(f, None) for f in found]
    misses = sum(not i.low <= expected <= i.high for i in intervals)
    assert misses <= most_misses(400)


@pytest.mark.slow
def test_the_excess_of_a_fresh_draw_is_zero_within_its_interval(draw, tables_of, pick):
    rng = np.random.default_rng(5)
    misses = {1: 0, 2: 0, 3: 0}
    for _ in range(40):
        parts = (draw(400, rng)[["age", "sex", "ill"]] for _ in range(3))
        findings = fidelity(tables_of(*parts), "quick")
        for ways in misses:
            found = pick(findings, f"tvd_{ways}way_excess")
            misses[ways] += not found.low <= 0 <= found.high
    assert max(misses.values()) <= most_misses(40)


def test_worst_columns_come_first(people, tables_of):
    train, holdout, fresh = people
    findings = fidelity(tables_of(train, holdout, fresh.assign(age=fresh["age"] + 10, sex="F")), "quick")
    assert {f.group for f in [f for f in findings if f.name == "tvd_1way"][:2]} == {"age", "sex"}


# Associations


def test_counts_without_a_block_equal_the_naive_twin():
    rng = np.random.default_rng(6)
    codes, blocks = rng.integers(0, 3, (2, 200)), assign_blocks(np.arange(200), rng)
    counts = left_out_counts(codes, (3, 4), (0, 1), blocks)
    for g in range(BLOCKS):
        kept = Counter(zip(*codes[:, blocks != g], strict=True))
        assert {cell: n for cell, n in np.ndenumerate(counts[1 + g]) if n} == kept
    assert counts[0].sum() == 200


def test_units_are_dealt_whole():
    units = np.repeat(np.arange(100), 3)
    blocks = assign_blocks(units, np.random.default_rng(0))
    assert (blocks.reshape(-1, 3) == blocks[::3, None]).all()
    assert len(np.unique(blocks)) == BLOCKS


def test_many_strengths_equal_one_at_a_time():
    rng = np.random.default_rng(7)
    codes = np.stack([rng.integers(0, 4, 300), rng.integers(0, 5, 300), np.zeros(300, int)])
    codes[1] = np.where(rng.random(300) < 0.5, codes[0], codes[1])
    blocks, sizes, pairs = assign_blocks(np.arange(300), rng), (6, 6, 2), [(0, 1), (0, 2)]
    found = strengths(codes, sizes, pairs, blocks)
    for row, pair in zip(found, pairs, strict=True):
        counts = left_out_counts(codes, sizes, pair, blocks)
        assert row == pytest.approx([one_v(c) for c in counts])


def test_the_interval_of_a_difference_of_strengths_covers():
    rng = np.random.default_rng(8)

    def one(n, tie):
        a = rng.integers(0, 3, n)
        return np.stack([a, np.where(rng.random(n) < tie, a, rng.integers(0, 3, n))])

    truth = 0.6 - 0.4
    found = []
    for _ in range(150):
        s, t = (
            strengths(one(n, tie), (3, 3), [(0, 1)], assign_blocks(np.arange(n), rng))
            for n, tie in ((600, 0.6), (900, 0.4))
        )
        found.append(strength_differences(s, t)[0])
    misses = sum(not i.low <= truth <= i.high for i in found)
    assert misses <= most_misses(150)
    widths = np.mean([i.high - i.low for i in found])
    assert widths < 1.3 * 2 * 2.05 * np.std([i.value for i in found]), "and is not wide for nothing"


def test_the_interval_of_a_correlation_covers_under_heavy_tails():
    """Fisher's interval assumes normal columns and misses a third of the time here."""
    rng = np.random.default_rng(9)

    def one(n):
        scale = np.sqrt(rng.gamma(2.5, 1, n))
        x, y = rng.normal(size=(2, n)) * scale
        return x, 0.8 * x + 0.6 * y * 1.0

    found = [pearson(*one(800)) for _ in range(300)]
    halves = [1.96 * np.sqrt(cluster_variance(pull)) for _, pull in found]
    misses = sum(abs(value - 0.8) > half for (value, _), half in zip(found, halves, strict=True))
    assert misses <= most_misses(300)
    assert found[0][0] == pytest.approx(0.8, abs=0.1)


def test_correlation_equals_numpy_and_leaves_missing_rows_out():
    rng = np.random.default_rng(10)
    a, b = rng.normal(size=(2, 200))
    a[:20] = np.nan
    value, pull = pearson(a, b)
    assert value == pytest.approx(np.corrcoef(a[20:], b[20:])[0, 1])
    assert not pull[:20].any()
    assert pearson(a, np.ones(200)) is None


def test_lost_and_kept_associations(people, tables_of, pick):
    train, holdout, fresh = people
    kept = fidelity(tables_of(train, holdout, fresh), "quick")
    excess = pick(kept, "association_difference_excess")
    assert excess.low < 0 < excess.high
    lost = fidelity(tables_of(train, holdout, shuffled(fresh)), "quick")
    assert pick(lost, "association_difference_excess").low > 0
    mean = pick(lost, "association_difference_mean")
    assert mean.low < mean.value < mean.high
    # age and income are the only pair of numbers that hang together: its loss is the whole mean over three pairs.
    real = np.corrcoef(*train[["age", "income"]].dropna().to_numpy().T)[0, 1]
    assert pick(lost, "correlation_difference", "age × income").value == pytest.approx(-real, abs=0.05)
    assert pick(lost, "correlation_difference_mean").value == pytest.approx(real / 3, abs=0.03)


# Shapes


def test_cut_tails_are_seen_and_measured(people, tables_of, pick):
    train, holdout, fresh = people
    top, bottom = train["income"].quantile([0.97, 0.03])
    cut = fresh.assign(income=fresh["income"].clip(bottom, top))
    findings = fidelity(tables_of(train, holdout, cut), "quick")
    share = pick(findings, "tail_share", "income (above the 99 % point)")
    assert share.value == pytest.approx(-0.01, abs=0.001)
    assert share.high < 0
    weight = pick(findings, "tail_weight", "income")
    assert weight.value == 0
    assert 0 < weight.high < 0.2
    point = pick(findings, "quantile_error", "income (99 % point)")
    expected = (top - train["income"].quantile(0.99)) / train["income"].std()
    assert point.value == pytest.approx(expected, rel=0.1)
    assert point.high < 0


def test_a_fresh_draw_has_the_same_tails(people, tables_of):
    findings = fidelity(tables_of(*people), "quick")
    for name, target in (("quantile_error", 0.0), ("tail_share", 0.0), ("tail_weight", 1.0)):
        found = [f for f in findings if f.name == name]
        assert found
        assert np.mean([f.low <= target <= f.high for f in found]) >= 0.75


def test_a_lost_weekend_is_two_sevenths(people, tables_of, pick):
    train, holdout, fresh = people
    days = fresh["seen"]
    workdays = days.where(days.dt.weekday < 5, days - pd.Timedelta(days=2))
    found = pick(
        fidelity(tables_of(train, holdout, fresh.assign(seen=workdays)), "quick"), "calendar_distance", "seen (weekday)"
    )
    assert found.value == pytest.approx(2 / 7, abs=0.04)
    assert found.low > 4 * found.baseline


def test_hours_are_compared_where_there_are_any(people, tables_of):
    def with_hours(frame, low, high, seed):
        hours = np.random.default_rng(seed).integers(low, high, len(frame)).astype("timedelta64[h]")
        return frame.assign(seen=frame["seen"] + hours)

    train, holdout, fresh = people
    assert not [f for f in fidelity(tables_of(*people), "quick") if f.group == "seen (hour)"]
    night = fidelity(
        tables_of(with_hours(train, 0, 12, 1), with_hours(holdout, 0, 12, 2), with_hours(fresh, 12, 24, 3)), "quick"
    )
    assert next(f for f in night if f.group == "seen (hour)").value == 1.0


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_the_interval_of_a_quantile_difference_covers(share):
    rng = np.random.default_rng(11)
    truth = np.exp(stats.norm.ppf(share) * 0.8) - np.exp(stats.norm.ppf(share))
    misses = 0
    for _ in range(300):
        found = quantile_difference(np.exp(rng.normal(0, 0.8, 900)), np.exp(rng.normal(0, 1, 1_200)), share)
        misses += not found.low <= truth <= found.high
    assert misses <= most_misses(300)


def test_the_intervals_of_means_and_ratios_cover():
    rng = np.random.default_rng(12)
    misses = Counter()
    for _ in range(400):
        a, b = rng.exponential(1.5, 500), rng.exponential(1.0, 800)
        gap, ratio = mean_difference(a, b), mean_ratio(a, b)
        misses["gap"] += not gap.low <= 0.5 <= gap.high
        misses["ratio"] += not ratio.low <= 1.5 <= ratio.high
        rare = mean_difference(rng.random(500) < 0.01, rng.random(800) < 0.01)
        misses["rare"] += not rare.low <= 0 <= rare.high
    assert max(misses.values()) <= most_misses(400)


def test_units_count_and_not_their_rows():
    """Five equal rows a unit are worth one: the share's effective rows, and the width of an interval, say so."""
    rng = np.random.default_rng(13)
    units = np.repeat(np.arange(400), 5)
    hit = (rng.random(400) < 0.3)[units]
    k, n = effective(hit, np.ones(2_000, bool), units)
    assert n == pytest.approx(400, rel=0.1)
    assert k / n == pytest.approx(hit.mean())
    assert effective(hit, np.ones(2_000, bool), np.arange(2_000)) == (hit.sum(), 2_000)
    ours = rng.random(3_000) < 0.3
    wide, narrow = mean_difference(ours, hit, units), mean_difference(ours, hit)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_the_jackknife_of_a_mean_is_its_variance():
    """The delete-a-group jackknife of a mean of 30 blocks; its own error is 13 % (95 %: 26 %)."""
    rng = np.random.default_rng(14)
    values, found = rng.normal(size=(200, 600)), []
    for x in values:
        blocks = assign_blocks(np.arange(600), rng)
        found.append(jackknife_variance(np.array([x[blocks != g].mean() for g in range(BLOCKS)])))
    assert np.mean(found) == pytest.approx(1 / 600, rel=0.1)

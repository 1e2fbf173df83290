"""Bias on tables whose faults are known: right way, right size, and never silent where evidence is missing.

Simulations fail by chance with probability below 1e-4 each.
"""

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from scipy import stats

from privsynth.audit.common.jackknife import assign_blocks
from privsynth.audit.common.marginals import coded
from privsynth.audit.common.predictors import TREES, holdout_predictions
from privsynth.audit.common.protected_groups import MIN_ROWS, Grouping, grouping
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.fairness.base_rates import _blocked, _one_direction, amplification, outcomes
from privsynth.audit.fairness.bias import bias as audit
from privsynth.audit.fairness.calibration import calibration, calibration_error
from privsynth.audit.fairness.downstream_gaps import downstream
from privsynth.audit.fidelity.subgroups import subgroup_fidelity
from privsynth.stats.intervals import cluster_variance, normal


def rng(seed=0):
    return np.random.default_rng(seed)


def bias(tables, level="quick"):
    return audit(tables, rng=rng(), context=AuditContext(AuditSettings(level=level, max_rows=800)))


def most_misses(n):
    return int(stats.binom.isf(1e-4, n, 0.07))


# Representation


def test_an_invented_group_is_reviewed_and_a_rare_one_is_not_judged(people, tables_of, pick):
    train, holdout, fresh = (part.copy() for part in people)
    fresh.loc[fresh.index[:300], "sex"] = "N"
    fresh.loc[fresh.index[300:303], "sex"] = "R"
    findings = bias(tables_of(train, holdout, fresh, targets=()))
    assert pick(findings, "representation", "sex=N").verdict == "review"
    assert "invented" in pick(findings, "representation", "sex=N").meaning
    assert pick(findings, "representation", "sex=R").verdict == "insufficient"


def test_a_small_group_has_no_verdict_but_a_place(people, tables_of, pick):
    train, holdout, fresh = (part[(part["sex"] != "X") | (np.arange(len(part)) < 200)] for part in people)
    assert (train["sex"] == "X").sum() < MIN_ROWS
    findings = bias(tables_of(train, holdout, fresh, targets=()))
    found = pick(findings, "representation", "sex=X")
    assert found.verdict == "insufficient"
    assert found.low < found.value < found.high


def test_units_of_several_rows_make_a_verdict_harder(people, tables_of, pick):
    """A group over-represented by a third: plain by rows, within chance by people of 30 rows each."""
    train, holdout, fresh = people
    units = np.where(train["sex"] == "X", -1 - np.arange(len(train)) // 400, np.arange(len(train)))
    more = fresh.copy()
    more.loc[more.index[more["sex"] == "F"][:80], "sex"] = "X"
    rows = bias(tables_of(train, holdout, more, targets=()))
    people_of = bias(tables_of(train, holdout, more, targets=(), unit_train=units))
    assert pick(rows, "representation", "sex=X").verdict == "review"
    widths = [pick(f, "representation", "sex=X").detail["log_disparity_half_width"] for f in (rows, people_of)]
    assert widths[1] > 2 * widths[0]
    assert pick(people_of, "representation", "sex=X").verdict == "insufficient"


@pytest.mark.parametrize(("level", "left"), [("quick", 1), ("standard", 0)])
def test_crossings_that_are_not_measured_are_named(people, tables_of, level, left):
    tables = tables_of(*(part.head(400) for part in people), targets=(), protected=("sex", "region"))
    findings = bias(tables, level)
    assert len([f for f in findings if f.group == "sex × region" and "crossed" in f.meaning]) == left
    assert bool([f for f in findings if f.name == "subgroup_fidelity" and f.group.startswith("sex=F, ")]) == (not left)


# Outcomes


def test_amplification_equals_its_naive_twin():
    counts = rng(1).integers(20, 400, (2, 3, 2)).astype(float)
    ours, real = counts
    total, naive = real.sum(), {True: 0.0, False: 0.0}
    for a in range(3):
        for t in range(2):
            p_a, p_t, p_at = real[a].sum() / total, real[:, t].sum() / total, real[a, t] / total
            z = (p_at - p_a * p_t) * total / np.sqrt(total * p_a * p_t * (1 - p_a) * (1 - p_t))
            y = 0 if abs(z) <= 2 else np.sign(z)
            naive[True] += y * (ours[a, t] / ours[a].sum() - real[a, t] / real[a].sum()) / 6
            naive[False] += y * (ours[a, t] / ours[:, t].sum() - real[a, t] / real[:, t].sum()) / 6
    for forward in (True, False):
        assert amplification(ours, real, forward=forward) == pytest.approx(naive[forward])


@pytest.mark.parametrize(("ours", "way"), [((0.2, 0.6), 0.1), ((0.4, 0.4), -0.1), ((0.3, 0.5), 0.0)])
def test_amplification_of_known_tables(ours, way):
    """Real rates 0.3 and 0.5; pulled apart by 0.2 the mean change over cells is 0.1, the other way -0.1."""
    real = np.array([[700.0, 300.0], [500.0, 500.0]])
    made = np.array([[1 - p, p] for p in ours]) * 1_000
    assert amplification(made, real, forward=True) == pytest.approx(way)


def test_the_interval_of_amplification_covers():
    draws = rng(2)
    misses = 0
    for _ in range(150):
        counts = {}
        for part, n, gap in (("synthetic", 1_500, 0.4), ("train", 2_000, 0.2)):
            group = draws.integers(0, 2, n)
            y = (draws.random(n) < 0.4 + gap * (group - 0.5)).astype(int)
            counts[part] = _blocked(group, y, (2, 2), assign_blocks(np.arange(n), draws))
        found = _one_direction("a → b", counts, True, "")
        misses += not found.low <= 0.1 <= found.high
    assert misses <= most_misses(150)


def test_injected_bias_is_amplification_both_ways(people, tables_of, pick):
    train, holdout, fresh = people
    men = fresh.index[(fresh["sex"] == "M") & (fresh["ill"] == "false")]
    women = fresh.index[(fresh["sex"] == "F") & (fresh["ill"] == "true")]
    pushed = fresh.copy()
    pushed.loc[men[:250], "ill"] = "true"
    pushed.loc[women[:150], "ill"] = "false"
    groups = grouping(tables_of(train, holdout, pushed), ("sex",))
    findings = outcomes(tables_of(train, holdout, pushed), groups, "ill", rng=rng())
    for arrow in ("sex → ill", "ill → sex"):
        found = pick(findings, "bias_amplification", arrow)
        assert found.low > 0
        assert found.verdict == "review"
        assert abs(found.baseline) < 0.03
    assert pick(findings, "base_rate_gap", "sex · ill=true").detail["amplification_low"] > 0


def test_a_column_that_gives_the_group_away_is_named(people, tables_of):
    train, holdout, fresh = people
    proxy = fresh.assign(region=np.where(fresh["sex"] == "F", "A", fresh["region"].to_numpy(dtype=object)))
    findings = bias(tables_of(train, holdout, proxy))
    shifts = [f for f in findings if f.name == "association_shift"]
    assert shifts[0].group == "sex × ill", "targets come first"
    assert shifts[1].group == "sex × region"
    assert shifts[1].low > 0.2
    assert abs(shifts[1].baseline) < 0.05


# Fidelity inside groups


def test_the_floor_of_a_small_group_is_its_distance_when_nothing_is_wrong(draw, tables_of, pick):
    small, big = [], []
    for seed in range(12):
        parts = [draw(900, rng(100 * seed + i)) for i in range(3)]
        tables = tables_of(*parts)
        findings = subgroup_fidelity(
            tables, coded(tables, AuditContext(AuditSettings())), grouping(tables, ("sex",)), rng=rng(seed)
        )
        for group, kept in (("sex=X", small), ("sex=F", big)):
            found = pick(findings, "subgroup_fidelity", group)
            if found.value is not None:
                kept.append((found.value, found.baseline))
    for kept in (np.array(small), np.array(big)):
        assert kept[:, 0].mean() == pytest.approx(kept[:, 1].mean(), rel=0.05)
    assert np.array(small)[:, 0].mean() > 1.5 * np.array(big)[:, 0].mean(), "small groups are further by chance alone"


# Models


def test_gaps_equal_fairlearn(people, tables_of, pick):
    tables = tables_of(*people)
    context = AuditContext(AuditSettings(level="quick", max_rows=1_500))
    groups = grouping(tables, ("sex",))
    findings = downstream(tables, groups, rng=rng(), context=context)
    found = holdout_predictions(tables, "ill", rng=rng(), context=context)
    guess = found.synthetic[TREES].argmax(axis=1)
    facts = {"y_true": found.y, "y_pred": guess, "sensitive_features": groups.holdout[found.rows]}
    gap = pick(findings, "selection_rate_gap", "sex · ill=true")
    assert gap.value == pytest.approx(demographic_parity_difference(**facts))
    odds = pick(findings, "equalized_odds_gap", "sex · ill=true")
    enough = pick(findings, "true_positive_rate", "sex=X · ill=true").verdict != "insufficient"
    enough &= pick(findings, "false_positive_rate", "sex=X · ill=true").verdict != "insufficient"
    kept = np.ones(len(guess), bool) if enough else groups.holdout[found.rows] != groups.labels.index("sex=X")
    assert odds.value == pytest.approx(equalized_odds_difference(**{k: v[kept] for k, v in facts.items()}))
    worst = pick(findings, "worst_group_accuracy", "sex · ill=true")
    right = [np.mean(guess[m] == found.y[m]) for m in (groups.holdout[found.rows] == g for g in range(3))]
    assert worst.value == pytest.approx(min(right))
    assert worst.detail["worst"] == groups.labels[int(np.argmin(right))]


def test_a_group_whose_labels_are_spoilt_is_served_worse(people, tables_of, pick):
    train, holdout, fresh = people
    men = fresh["sex"] == "M"
    flipped = fresh["ill"].map({"true": "false", "false": "true"})
    findings = bias(tables_of(train, holdout, fresh.assign(ill=fresh["ill"].where(~men, flipped))))
    worst = pick(findings, "worst_group_accuracy", "sex · ill=true")
    assert worst.verdict == "review"
    assert worst.detail["worst"] == "sex=M"
    assert worst.value < worst.baseline - 0.2
    off = pick(findings, "calibration_by_group", "sex=M · ill=true")
    assert off.verdict == "review"
    assert off.value > off.baseline + 0.15
    gap = pick(findings, "calibration_gap", "sex · ill=true")
    assert (gap.verdict, gap.detail["worst"]) == ("review", "sex=M")


# Calibration


def two_groups(n):
    member = np.arange(n) % 2
    return Grouping("g", ("g=a", "g=b"), member, member, member, ("g",)), member


def test_a_perfect_model_is_at_chance_and_its_groups_are_alike(pick):
    draws, gaps, values = rng(3), 0, []
    for _ in range(60):
        p = draws.random(2_000)
        y = (draws.random(2_000) < p).astype(int)
        groups, member = two_groups(2_000)
        findings = calibration(groups, "y", (y, {"synthetic": p, "real": p}), (member, np.arange(2_000)))
        found = pick(findings, "calibration_by_group", "g=a · y")
        values.append((found.value, found.detail["chance"]))
        gaps += pick(findings, "calibration_gap", "g · y").low > 0
        assert found.verdict == "pass"
    assert np.mean(values, axis=0)[0] == pytest.approx(np.mean(values, axis=0)[1], rel=0.1)
    assert gaps <= stats.binom.isf(1e-4, 60, 0.05)


def test_an_overconfident_group_is_measured(pick):
    draws = rng(4)
    groups, member = two_groups(4_000)
    p = draws.uniform(0.1, 0.6, 4_000)
    y = (draws.random(4_000) < p).astype(int)
    said = p + 0.2 * (member == 1)
    findings = calibration(groups, "y", (y, {"synthetic": said, "real": p}), (member, np.arange(4_000)))
    off, fine = (pick(findings, "calibration_by_group", f"g={g} · y") for g in "ba")
    assert off.value == pytest.approx(0.2, abs=0.03)
    assert off.detail["lean_low"] > 0.15
    assert "overestimated" in off.meaning
    assert off.verdict == "review"
    assert fine.verdict == "pass"
    assert pick(findings, "calibration_gap", "g · y").verdict == "review"


def test_calibration_error_equals_a_plain_loop_and_its_interval_covers():
    draws = rng(5)
    misses = 0
    for trial in range(200):
        p = draws.uniform(0.2, 0.9, 1_000)
        y = (draws.random(1_000) < p - 0.15).astype(int)
        found = calibration_error(p, y)
        if trial == 0:
            edges = np.quantile(p, np.linspace(0, 1, 11)[1:-1])
            bins = [np.digitize(p, edges) == b for b in range(10)]
            assert found.value == pytest.approx(sum(abs(p[b].mean() - y[b].mean()) * b.mean() for b in bins))
        interval = normal(found.value, cluster_variance(found.influence))
        misses += not interval.low <= 0.15 <= interval.high
    assert misses <= most_misses(200)

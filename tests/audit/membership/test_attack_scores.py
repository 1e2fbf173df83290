"""The attacks: naive twins, ties, scales, and what each must find: memorised rows, also shaken ones, among others.

Each table of tests below runs on fixed seeds. A fair game raises a false alarm in at most 5 % of seeds (all tests of a
run together); the shares that were injected lie well above what `detectable_tpr` promises to see.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from privsynth.audit.common.row_points import fit_encoder, nearest
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.membership import data_only_scores
from privsynth.audit.membership.attacks import ATTACKS, QUICK, attack_scores, pre_registered
from privsynth.audit.membership.membership import calibrated_cut, detectable_tpr
from privsynth.audit.membership.vulnerable_rows import achilles, most_vulnerable
from privsynth.audit.registry import run_audits
from privsynth.stats.intervals import auc_influence


def memorised(people, share, shake, seed=1):
    """Return a fresh table in which a share of the rows are training rows, numbers shaken by some of their spread."""
    train, _, fresh = people
    rng = np.random.default_rng(seed)
    k = int(share * len(fresh))
    copies = train.iloc[rng.choice(len(train), k, replace=False)].copy()
    for name in ("age", "income"):
        copies[name] = np.round(copies[name] + rng.normal(0, shake * train[name].std(), k), 2)
    return pd.concat([fresh.iloc[: len(fresh) - k], copies], ignore_index=True)


def attack(tables, seed=0, **more):
    return run_audits(tables, AuditSettings(seed=seed, names=("membership",), **more))


@pytest.mark.slow
@pytest.mark.parametrize(("share", "shake", "seed"), [(0.05, 0.0, 0), (0.05, 0.002, 1)])
def test_memorised_rows_among_others_are_noticed(people, tables_of, pick, share, shake, seed):
    train, holdout, _ = people
    findings = attack(tables_of(train, holdout, memorised(people, share, shake)), seed=seed)
    headline = pick(findings, "membership_headline")
    assert headline.verdict == "review"
    assert any("ratio" in name for name in headline.detail["beaten"])
    assert pick(findings, "membership_blind_auc").verdict == "pass"


@pytest.mark.slow
def test_an_independent_redraw_is_not(people, tables_of, pick):
    """At most 5 % of seeds raise an alarm; these two do not."""
    findings = [pick(attack(tables_of(*people), seed=seed), "membership_headline") for seed in (1, 2)]
    assert not any(f.verdict == "review" for f in findings)
    assert all(f.low < 0.5 < f.high for f in findings)


def test_the_power_that_is_told_is_the_power(people, tables_of, pick):
    """Hits drawn at the promised share beat the limit in about 80 % of draws; 2,000 draws, ±5 points is beyond 5 sd."""
    members, others, rate, alpha = 1_500, 750, 0.01, 0.001
    share = detectable_tpr(members, others, rate, alpha)
    rng = np.random.default_rng(0)
    limit = stats.beta(round(rate * others) + 1, others - round(rate * others)).ppf(1 - alpha / 2)
    hits = rng.binomial(members, share, 2_000)
    low = stats.beta(hits, members - hits + 1).ppf(alpha / 2)
    assert np.mean(low > limit) == pytest.approx(0.8, abs=0.05)
    assert detectable_tpr(5, 5, 0.01, alpha) is None


def test_attacks_are_settled_by_settings_alone():
    assert pre_registered(AuditSettings(level="quick")) == QUICK
    assert set(pre_registered(AuditSettings())) == set(ATTACKS) - {"mama_mia", "histories"}
    assert set(pre_registered(AuditSettings(level="deep", refit=lambda frame, *, seed: frame))) == set(ATTACKS) - {
        "histories"
    }


def test_the_threshold_never_sees_who_is_counted():
    """A threshold chosen on the counted rows would hold its rate exactly; one chosen elsewhere only on average."""
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(300):
        guess = rng.normal(size=400)
        rates.append(np.mean(guess[200:] > calibrated_cut(guess[:200], 0.05)))
    assert np.mean(rates) == pytest.approx(0.05, abs=0.006)
    assert np.std(rates) > 0.015


def test_ties_accuse_nobody():
    """Targets that all lie on a synthetic and on a reference row: distance zero to both, and no evidence."""
    zero = np.zeros((6, 3))
    for score in (
        data_only_scores.distance(zero, zero),
        data_only_scores.ratio(zero, zero),
        data_only_scores.density(zero, zero),
    ):
        assert (score == 0).all()
        assert np.sum(score > calibrated_cut(score, 0.1)) == 0
    even = data_only_scores.plagiarism(zero, zero, n_synthetic=50, n_reference=50)
    assert even == pytest.approx(np.zeros(6))


def test_plagiarism_counts_the_nearest_rows_of_both_tables():
    rng = np.random.default_rng(2)
    s, r, x = rng.normal(size=(40, 2)), rng.normal(size=(25, 2)), rng.normal(size=(15, 2))
    ours = data_only_scores.plagiarism(nearest(s, x, 7)[0], nearest(r, x, 7)[0], n_synthetic=40, n_reference=25)
    for i, point in enumerate(x):
        both = np.concatenate([s, r])
        first = np.argsort(np.linalg.norm(both - point, axis=1))[:7]
        count = int((first < 40).sum())
        assert ours[i] == pytest.approx(np.log((count + 0.5) / 40) - np.log((7 - count + 0.5) / 25))


def test_gen_lra_equals_two_kernel_densities():
    rng = np.random.default_rng(3)
    s, r, x, h = rng.normal(size=(60, 3)), rng.normal(size=(40, 3)), rng.normal(size=(12, 3)), 0.4
    at = nearest(s, x, 4)[1]

    def density(base, point):
        return np.mean(np.exp(-((base - point) ** 2).sum(axis=1) / (2 * h * h)))

    naive = [
        sum(np.log(density(np.vstack([r, target]), s[j])) - np.log(density(r, s[j])) for j in rows)
        for target, rows in zip(x, at, strict=True)
    ]
    assert data_only_scores.gen_lra(s, r, x, at, bandwidth=h) == pytest.approx(naive, rel=1e-4, abs=1e-5)


def test_gen_lra_survives_where_every_kernel_underflows():
    far = np.full((1, 2), 1e3)
    score = data_only_scores.gen_lra(far, np.zeros((5, 2)), far, np.zeros((1, 1), dtype=int), bandwidth=0.1)
    assert np.isfinite(score).all()
    assert score[0] > 100


def test_a_row_of_the_reference_is_not_its_own_neighbour(people, tables_of, monkeypatch):
    """Were it, the scale of the kernel would be taken from zeros. Incomes with pence: hardly any two rows are equal."""
    seen = []
    real = data_only_scores.kernel_bandwidth
    monkeypatch.setattr(data_only_scores, "kernel_bandwidth", lambda gaps: seen.append(gaps) or real(gaps))
    attack_scores(
        tables_of(*people), rng=np.random.default_rng(0), context=AuditContext(AuditSettings(max_targets=100))
    )
    (gaps,) = seen
    assert (gaps > 0).mean() > 0.9
    assert real(np.zeros(5)) == 0.02


@pytest.mark.parametrize("linear", [False, True])
def test_no_column_outweighs_the_others(people, tables_of, linear):
    """Income in thousandths and one income of 10^12 in the synthetic rows change hardly any distance."""
    train, holdout, fresh = people
    plain = fit_encoder(tables_of(train, holdout, fresh), linear=linear)
    grown = [frame.assign(income=frame["income"] * 1_000) for frame in (train, holdout, fresh)]
    grown[2].loc[0, "income"] = 1e12
    scaled = fit_encoder(tables_of(*grown), linear=linear)
    one, other = plain.points(train[:50]), scaled.points(grown[0][:50])
    assert one == pytest.approx(other, abs=0.02)
    for block in plain.blocks:
        spread = block.points(train)
        assert np.linalg.norm(spread[:, None] - spread[None, ::37], axis=2).max() <= 1.0 + 1e-9


def test_a_shaken_copy_beside_a_frequent_value_is_near_in_plain_units(tables_of):
    """Zeros that were shaken: by rank they are far from zero, by range they are not."""
    rng = np.random.default_rng(4)
    gain = np.where(rng.random(2_000) < 0.9, 0.0, rng.uniform(5, 100, 2_000))
    frame = pd.DataFrame({"gain": gain})
    tables = tables_of(frame, frame, frame, kinds={"gain": "numeric"}, targets=(), protected=())
    pair = pd.DataFrame({"gain": [0.0, 4.0]})
    gaps = [np.linalg.norm(np.diff(fit_encoder(tables, linear=way).points(pair), axis=0)) for way in (False, True)]
    assert gaps[0] > 0.2
    assert gaps[1] < 0.05


def test_equal_rows_are_at_distance_zero(people, tables_of):
    train, holdout, fresh = people
    points = fit_encoder(tables_of(train, holdout, fresh)).points(train[:200])
    assert (nearest(points, points, 1)[0] == 0).all()


def test_the_achilles_score_finds_the_rows_that_stand_apart():
    rng = np.random.default_rng(5)
    base, targets = rng.normal(size=(500, 2)), rng.normal(size=(100, 2))
    targets[7] += 20
    near = nearest(base, targets, 10)[0]
    score = achilles(near)
    assert score[3] == pytest.approx(np.sort(np.linalg.norm(base - targets[3], axis=1))[:5].mean())
    chosen = most_vulnerable(score)
    assert chosen.sum() == 10
    assert chosen[7]
    assert score.argmax() == 7


@pytest.mark.slow
def test_the_vulnerable_are_where_a_generator_memorises_outliers(tables_of, pick, draw):
    """Only the rows that stand apart are copied: the average hardly shows it, the vulnerable do."""
    rng = np.random.default_rng(6)
    train, holdout, fresh = (draw(3_000, rng) for _ in range(3))
    reference = fit_encoder(tables_of(train, holdout, fresh))
    apart = achilles(nearest(reference.points(holdout), reference.points(train), 5)[0])
    copies = train[most_vulnerable(apart, 0.05)]
    ours = pd.concat([fresh[: -len(copies)], copies], ignore_index=True)
    scores = attack_scores(tables_of(train, holdout, ours), rng=rng, context=AuditContext(AuditSettings()))
    chosen = most_vulnerable(scores.vulnerability)
    for_all = auc_influence(scores.scores["ratio"], scores.member)[0]
    for_few = auc_influence(scores.scores["ratio"][chosen], scores.member[chosen])[0]
    assert for_few > for_all + 0.1


def test_weighted_marginals_look_at_the_named_tables_only(tables_of):
    """The synthetic rows follow the targets in one pair of columns: only that focal point tells."""
    rng = np.random.default_rng(7)
    names = list("abcd")
    frames = [pd.DataFrame(rng.integers(0, 4, (400, 4)).astype(str), columns=names) for _ in range(3)]
    targets = pd.DataFrame([["0", "0", "1", "2"]] * 20 + [["3", "3", "1", "2"]] * 20, columns=names)
    frames[2].loc[:200, ["a", "b"]] = "0"
    kinds = dict.fromkeys(names, "categorical")
    tables = tables_of(frames[0], frames[1], frames[2], kinds=kinds, targets=(), protected=())
    seen = data_only_scores.marginals(tables, frames[1], targets, rng, weights={("a", "b"): 1.0})
    blind = data_only_scores.marginals(tables, frames[1], targets, rng, weights={("c", "d"): 1.0})
    assert seen[0] > 5 * seen[-1]
    assert blind[0] == pytest.approx(blind[-1])
    ratio = ((frames[2][["a", "b"]] == "0").all(axis=1).sum() + 0.5) / (
        (frames[1][["a", "b"]] == "0").all(axis=1).sum() + 0.5
    )
    assert seen[0] == pytest.approx(ratio, rel=0.02)


def test_members_of_protected_groups_are_counted_apart(people, tables_of, pick):
    train, holdout, fresh = people
    ours = pd.concat([fresh[fresh["sex"] != "F"], train[train["sex"] == "F"]], ignore_index=True)
    findings = attack(tables_of(train, holdout, ours))
    women, men = (pick(findings, "membership_tpr_by_group", f"sex={s}") for s in "FM")
    assert women.verdict == "review"
    assert women.low > men.high
    assert men.verdict == "info"
    assert pick(findings, "membership_tpr_by_group", "sex=X").n < 200


def test_groups_of_all_protected_columns_share_alpha(people, tables_of, pick):
    """Fresh rows know nobody: the chance that any group of any column is named is at most alpha; none is here."""
    train, holdout, fresh = people
    findings = attack(tables_of(train, holdout, fresh, protected=("sex", "region")))
    found = [f for f in findings if f.name == "membership_tpr_by_group"]
    counted = [f for f in found if f.verdict != "insufficient"]
    assert len(counted) >= 4
    assert {f.verdict for f in counted} == {"info"}
    assert all(f"shared by the {len(found)} groups of all protected columns" in f.threshold for f in counted)

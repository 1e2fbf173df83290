"""Public figures: sensitivities, naive twins, coverage of intervals, and that no row shows but through the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from doubles import ExactMechanisms, RecordingMechanisms, ReplayMechanisms, StubMechanisms
from sklearn.metrics import roc_auc_score

from privsynth.codecs.bins import Bins
from privsynth.codecs.columns import Attribute, CategoryCodec, NumberCodec, TimeCodec
from privsynth.codecs.contingency import contingency_tables, full_marginal
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.codecs.table import TableCodec
from privsynth.public_figures import membership, utility
from privsynth.public_figures.fidelity import MAX_TIES, PairTie, _tie_finding, in_groups, kept, tie_of
from privsynth.public_figures.figures import TITLES, WEIGHTS, allocation, paid_findings
from privsynth.public_figures.inputs import Alike, PaidInputs
from privsynth.public_figures.membership import _hashes, _Measure, membership_findings
from privsynth.public_figures.noisy_table import NoisyTable, auroc, interval_of, rate
from privsynth.public_figures.utility import score_rows, utility_findings

SIZES = {"age": 12, "ward": 5, "sex": 3, "ill": 3}
CODEC = TableCodec(
    tuple(
        CategoryCodec(name=name, values=tuple(f"{name}{i}" for i in range(size - 1)), other=False, nullable=True)
        for name, size in SIZES.items()
    )
)
K = 3
EXACT = ExactMechanisms()


def people(n, seed):
    """Return (4, n) codes: the older, the likelier ill; the sexes fall ill at different rates."""
    rng = np.random.default_rng(seed)
    age, ward = rng.integers(0, 11, n), rng.integers(0, 4, n)
    sex = (rng.random(n) < 0.4).astype(int)
    ill = (rng.random(n) < 0.1 + 0.06 * age + 0.1 * sex).astype(int)
    return np.stack([age, ward, sex, ill]).astype(np.uint16)


def inputs_of(real, synthetic, *, held=0.3, n_rows=None, target="ill", protected=("sex",), k=K):
    """Return inputs; the last share of the rows is held out."""
    n = real.shape[1]
    side = None if held is None else np.arange(n) < round(n * (1 - held))
    data = Encoded(
        rows=CodedRows(real, np.arange(n), side),
        attributes=tuple(CODEC.attributes),
        max_rows_per_unit=k,
        n_rows=float(n if n_rows is None else n_rows),
        columns=tuple(range(4)),
    )
    return PaidInputs(
        data=data, synthetic=synthetic, codec=CODEC, target=target, protected=protected, has_holdout=held is not None
    )


def figures(inputs, mechanisms, mu_squared=1.0, seed=3):
    return paid_findings(inputs, mechanisms, mu_squared=mu_squared, rng=np.random.default_rng(seed))


def shown(found):
    return [finding.to_json() for finding in found]


FIRST, SYNTHETIC = people(400, 0), people(600, 1)
ODD = np.array([[11], [4], [2], [1]], dtype=np.uint16)
OTHERS = {
    "one row removed": FIRST[:, 1:],
    "one row in front": np.concatenate([ODD, FIRST], axis=1),
    "one row changed": np.concatenate([ODD, FIRST[:, 1:]], axis=1),
    "permuted": FIRST[:, ::-1],
    "nobody": FIRST[:, :0],
    "one group gone": FIRST[:, FIRST[2] == 0],
    "nobody ill": np.where(np.arange(4)[:, None] == 3, 0, FIRST).astype(np.uint16),
}


@pytest.mark.parametrize("case", OTHERS)
def test_no_figure_moves_when_the_mechanisms_are_stubbed(case):
    first = figures(inputs_of(FIRST, SYNTHETIC, n_rows=400), StubMechanisms(60))
    other = figures(inputs_of(OTHERS[case], SYNTHETIC, n_rows=400), StubMechanisms(60))
    assert shown(first) == shown(other)
    assert {f.visibility for f in first} == {"public"}


@pytest.mark.parametrize("side", ["training", "holdout"])
def test_a_unit_moves_each_release_by_what_was_declared_at_most(side):
    rows = np.repeat(FIRST[:, 5:6], K, axis=1)
    more = np.concatenate([rows, FIRST] if side == "training" else [FIRST, rows], axis=1)
    one, other = inputs_of(FIRST, SYNTHETIC), inputs_of(more, SYNTHETIC, n_rows=400)
    in_training = one.data.rows.trained
    extra = np.full(K, side == "training")
    joined = np.concatenate([extra, in_training] if side == "training" else [in_training, extra])
    data = replace(other.data, rows=replace(other.data.rows, trained=joined))
    record = RecordingMechanisms(1)
    first = figures(one, record)
    replay = ReplayMechanisms(record)
    assert shown(figures(replace(other, data=data), replay)) == shown(first)
    assert replay.violations() == []
    names = [call.public[1] for call in replay.calls]
    assert len(names) == 6
    moved = [np.abs(a.given - b.given).sum() for a, b in zip(replay.calls, record.calls, strict=True)]
    assert all(moved), dict(zip(names, moved, strict=True))


def test_too_small_a_declared_sensitivity_would_be_seen():
    rows = np.repeat(FIRST[:, 5:6], K, axis=1)
    more = inputs_of(np.concatenate([rows, FIRST], axis=1), SYNTHETIC, n_rows=400, k=1)
    record = RecordingMechanisms(1)
    figures(inputs_of(FIRST, SYNTHETIC, k=1), record)
    replay = ReplayMechanisms(record)
    figures(more, replay)
    assert replay.violations()


def test_the_score_of_a_row_does_not_depend_on_the_other_rows():
    some = np.array([7, 3, 311])
    whole, few = inputs_of(FIRST, SYNTHETIC), inputs_of(FIRST[:, some], SYNTHETIC, n_rows=400)
    one, other = (score_rows(inputs, np.random.default_rng(0)) for inputs in (whole, few))
    assert one.ranking.bin_of(FIRST)[some].tolist() == other.ranking.bin_of(FIRST[:, some]).tolist()
    assert one.bins == other.bins > 2
    near, far = (_Measure(inputs, np.random.default_rng(0)).bin_of(inputs.data.rows.codes) for inputs in (whole, few))
    assert near[some].tolist() == far.tolist()


def test_figures_are_the_same_however_few_rows_are_looked_at_at_once(monkeypatch):
    inputs = inputs_of(FIRST, SYNTHETIC)
    record = RecordingMechanisms(2)
    whole = shown(figures(inputs, record))
    monkeypatch.setattr(utility, "AT_ONCE", 7)
    monkeypatch.setattr(membership, "AT_ONCE", 11)
    monkeypatch.setattr(membership, "CHUNK", 3)
    replay = ReplayMechanisms(record)
    assert shown(figures(inputs, replay)) == whole
    assert all((a.given == b.given).all() for a, b in zip(replay.calls, record.calls, strict=True))


def test_points_are_those_of_a_naive_count():
    inputs = inputs_of(FIRST, SYNTHETIC)
    ordered = [replace(a, ordered=i in (0, 2)) for i, a in enumerate(CODEC.attributes)]
    inputs = replace(inputs, data=replace(inputs.data, attributes=tuple(ordered)))
    measure = _Measure(inputs, np.random.default_rng(0))
    apart = np.abs(FIRST[measure.used].astype(int)[:, :, None] - measure.base.astype(int)[:, None, :])
    points = 2 * (apart == 0) + (apart == 1) * measure.ordered[:, None, None]
    assert measure.count(FIRST).tolist() == points.sum(axis=0).max(axis=1).tolist()
    own = {tuple(row) for row in SYNTHETIC.T.tolist()}
    last = measure.bin_of(FIRST) == 7
    assert all(last[i] for i, row in enumerate(FIRST.T.tolist()) if tuple(row) in own)


def test_the_budget_is_cut_by_public_facts_and_never_passed():
    whole = inputs_of(FIRST, SYNTHETIC)
    for inputs, kinds in (
        (whole, set(WEIGHTS)),
        (replace(whole, target=None), {"means", "columns", "ties", "groups", "membership"}),
        (replace(whole, protected=(), has_holdout=False), {"means", "columns", "ties", "utility"}),
    ):
        cut = allocation(inputs, 0.25)
        assert set(cut) == kinds
        assert 0.249 < sum(cut.values()) <= 0.25
        record = ExactMechanisms()
        figures(inputs, record, mu_squared=0.25)
        assert sum(call.public[3] for call in record.calls) <= 0.25
        assert {call.public[2] for call in record.calls} == {"report"}


def test_without_noise_the_figures_are_the_exact_ones():
    real = people(4_000, 5)
    inputs = inputs_of(real, people(4_000, 6))
    found = {(f.name, f.group): f for f in figures(inputs, ExactMechanisms(), mu_squared=1e9)}
    scores = score_rows(inputs, _after_tables())
    expected = roc_auc_score(scores.labels.of(real), scores.ranking.bin_of(real))
    assert found["tstr_auroc", "ill"].value == pytest.approx(expected, abs=1e-9)
    women = real[2] == 1
    assert found["representation", "sex=sex1"].baseline == pytest.approx(women.mean(), abs=1e-4)
    assert found["base_rate", "sex=sex1"].baseline == pytest.approx(real[3][women].mean(), abs=1e-4)
    chosen = scores.ranking.bin_of(real) >= scores.selected_from
    truth = {
        "selection_rate": chosen[women].mean(),
        "true_positive_rate": chosen[women & (real[3] == 1)].mean(),
        "false_positive_rate": chosen[women & (real[3] == 0)].mean(),
    }
    for name, value in truth.items():
        assert found[name, "sex=sex1"].value == pytest.approx(value, abs=1e-4)
        men = found[name, "sex=sex0"].value
        assert found[f"{name}_gap", "sex"].value == pytest.approx(abs(value - men), abs=1e-4)
    bins = [f for (name, _), f in found.items() if name == "calibration"]
    assert len(bins) == scores.bins
    assert sum(f.n for f in bins) == 4_000
    assert found["membership_auc", "nearness, with noise"].value == pytest.approx(0.5, abs=0.06)


def test_every_figure_has_a_title_and_every_title_a_figure():
    inputs = inputs_of(people(3_000, 1), people(3_000, 2))
    assert {f.name for f in figures(inputs, ExactMechanisms(), mu_squared=1e9)} == set(TITLES)


def _after_tables():
    """Return the published stream as it stands when rows are scored: few columns need no draw for tables."""
    return np.random.default_rng(3)


def test_a_shifted_outcome_is_a_calibration_error():
    real = people(4_000, 5)
    flipped = real.copy()
    flipped[3] = np.where(np.random.default_rng(1).random(4_000) < 0.3, 1, flipped[3])
    fair, shifted = (
        next(
            f for f in figures(inputs_of(r, people(4_000, 6)), ExactMechanisms(), 1e9) if f.name == "calibration_error"
        )
        for r in (real, flipped)
    )
    assert fair.low < 0.05  # the model itself, trained on 2,000 rows, is a little too sure
    assert shifted.low > 0.1
    assert shifted.value > 2 * fair.value


def _bins(count):
    ends = np.arange(count)
    return Bins(ends, ends, ends, np.ones(count))


@pytest.mark.parametrize(
    "age",
    [
        NumberCodec("age", _bins(11), precision=1.0, nullable=True, integer=True),
        TimeCodec("age", _bins(11), None, precision=86_400, nullable=True, base="seen"),
    ],
    ids=["number", "date above a base"],
)
def test_a_protected_column_of_numbers_has_a_group_for_each_bin_under_its_own_name(age):
    inputs = replace(inputs_of(FIRST, SYNTHETIC, protected=("age",)), codec=TableCodec((age, *CODEC.codecs[1:])))
    shares = {f.group: f.value for f in figures(inputs, EXACT, mu_squared=1e9) if f.name == "representation"}
    assert list(shares) == [*(f"age=bin {i + 1}" for i in range(11)), "age=missing"]
    assert shares["age=bin 1"] == pytest.approx((SYNTHETIC[0] == 0).mean())
    assert shares["age=missing"] == 0


def test_copies_of_training_rows_show_in_the_membership_curve():
    rng = np.random.default_rng(0)
    rare = rng.integers(0, 2, (4, 600)).astype(np.uint16)
    rare[0], rare[1] = rng.integers(0, 11, 600), rng.integers(0, 4, 600)
    codec = TableCodec(tuple(CODEC.codecs) + tuple(_wide(i) for i in range(4)))
    wide = np.concatenate([rare, rng.integers(0, 30, (4, 600)).astype(np.uint16)])
    data = Encoded(
        rows=CodedRows(wide, np.arange(600), np.arange(600) < 300), attributes=tuple(codec.attributes),
        max_rows_per_unit=1, n_rows=600.0,
        columns=tuple(range(8)),
    )  # fmt: skip
    inputs = PaidInputs(data=data, synthetic=wide[:, :300], codec=codec, target=None, protected=(), has_holdout=True)
    (found,) = membership_findings(inputs, ExactMechanisms(), mu_squared=1e9, rng=rng)
    assert found.value > 0.99
    curve = np.array(found.detail["roc"])
    assert (np.diff(curve, axis=0) >= 0).all()
    assert curve[0].tolist() == [0, 0]
    assert curve[-1].tolist() == [1, 1]


def _wide(i):
    return CategoryCodec(name=f"code{i}", values=tuple(str(j) for j in range(30)), other=False, nullable=True)


def test_nearness_is_what_a_naive_count_says():
    inputs = inputs_of(FIRST, SYNTHETIC)
    measure = _Measure(inputs, np.random.default_rng(0))
    measure.ordered[0] = True
    got = measure.count(FIRST[:, :40])
    base = measure.base
    for i in range(40):
        points = [
            sum(
                2 * (row == other) + (ordered and abs(int(row) - int(other)) == 1)
                for row, other, ordered in zip(FIRST[measure.used, i], base[:, j], measure.ordered, strict=True)
            )
            for j in range(base.shape[1])
        ]
        assert got[i] == max(points)
    equal = (FIRST[:, :, None] == FIRST[:, None, :]).all(axis=0)
    assert np.array_equal(_hashes(FIRST)[:, None] == _hashes(FIRST)[None, :], equal)


def test_too_little_budget_is_insufficient_evidence():
    found = figures(inputs_of(FIRST, SYNTHETIC), RecordingMechanisms(0), mu_squared=1e-5)
    told = {f.name for f in found if f.value is not None}
    assert told <= {"representation"} | {f.name for f in found if f.better == "target"}
    assert {"tvd_2way_mean", "tstr_auroc", "membership_auc", "selection_rate_gap"} <= {
        f.name for f in found if f.verdict == "insufficient"
    }
    assert all("the noise leaves no useful figure" in f.meaning for f in found if f.value is None)


def test_a_column_of_one_cell_gets_no_distance_and_is_left_out_of_the_means():
    """Whatever its values are, they are all in the one cell: 0 would read as a perfect match."""
    codec = TableCodec((*CODEC.codecs, CategoryCodec(name="note", values=(), other=True, nullable=True)))
    inputs = inputs_of(FIRST, SYNTHETIC)
    real, fake = (np.concatenate([t, np.zeros((1, t.shape[1]), t.dtype)]) for t in (FIRST, SYNTHETIC))
    data = replace(
        inputs.data,
        rows=replace(inputs.data.rows, codes=real),
        attributes=tuple(codec.attributes),
        columns=tuple(range(5)),
    )
    found = {(f.name, f.group): f for f in figures(replace(inputs, data=data, synthetic=fake, codec=codec), EXACT)}
    alone = {(f.name, f.group): f for f in figures(inputs, EXACT)}
    assert (found["tvd_1way", "note"].value, found["tvd_1way", "note"].verdict) == (None, "insufficient")
    for name in ("tvd_1way_mean", "tvd_2way_mean", "tvd_3way_mean"):
        assert found[name, ""].value == pytest.approx(alone[name, ""].value)
        assert "1 of 5 have only one category or bin" in found[name, ""].meaning


@pytest.mark.parametrize("target", [None, "ill"])
@pytest.mark.parametrize("synthetic", [SYNTHETIC[:, :0], SYNTHETIC[:, :1], np.zeros((4, 300), np.uint16)])
def test_odd_synthetic_tables_make_no_trouble(target, synthetic):
    found = figures(inputs_of(FIRST, synthetic, target=target), RecordingMechanisms(0))
    assert shown(found)


def noisy_tables(truth, sigma, runs, seed):
    rng = np.random.default_rng(seed)
    for _ in range(runs):
        counts = rng.poisson(truth) + rng.normal(0, sigma, truth.shape)
        yield NoisyTable.around(counts, sigma, rng)


def test_intervals_hold_the_truth():
    # 300 runs at 95 %: fewer than 270 hits happen in under 1 of 10,000 such tests.
    truth = np.array([[400.0, 20], [300, 60], [200, 120], [60, 240]])
    area = float(_exact_area(truth))
    share = truth[2:, 1].sum() / truth[:, 1].sum()
    hits = np.zeros(2)
    for table in noisy_tables(truth, 15.0, 300, 1):
        seen, selected = auroc(table), rate(table[2:, 1], table[:, 1])
        hits += [seen.low <= area <= seen.high, selected.low <= share <= selected.high]
    assert (hits >= 270).all(), hits


def test_an_interval_without_the_noise_would_not_hold_the_truth():
    truth = np.array([[400.0, 20], [300, 60], [200, 120], [60, 240]])
    share, hits = truth[2:, 1].sum() / truth[:, 1].sum(), 0
    rng = np.random.default_rng(2)
    for table in noisy_tables(truth, 40.0, 200, 3):
        forgetful = NoisyTable.around(table.counts, 0.0, rng)
        seen = rate(forgetful[2:, 1], forgetful[:, 1])
        hits += seen.low <= share <= seen.high
    assert hits < 160


def _exact_area(truth):
    bins = np.arange(len(truth))
    label = np.repeat([0, 1], len(truth))
    return roc_auc_score(label, np.tile(bins, 2), sample_weight=truth.T.ravel())


def test_the_area_is_scikit_learns():
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = rng.integers(40, 900, (6, 2)).astype(float)
        assert auroc(NoisyTable.around(truth, 1e-9, rng)).value == pytest.approx(_exact_area(truth), abs=1e-12)


def test_noise_does_not_pull_the_area_towards_a_half():
    # Counts are not cut at zero: the mean of 400 noisy areas is within 4 standard errors of the truth.
    truth = np.array([[900.0, 0], [300, 20], [200, 100], [100, 500]])
    seen = [auroc(table).value for table in noisy_tables(truth, 20.0, 400, 7)]
    assert abs(np.mean(seen) - _exact_area(truth)) < 4 * np.std(seen) / 20


def test_an_estimate_outside_its_draws_widens_them():
    assert interval_of(np.linspace(0.4, 0.5, 100), 0.6).high == 0.6
    assert interval_of(np.linspace(-0.5, 2, 100), 1.2).value == 1.0


def test_utility_needs_a_model():
    inputs = inputs_of(FIRST, SYNTHETIC[:, :30])
    scores = score_rows(inputs, np.random.default_rng(0))
    found = utility_findings(inputs, scores, ExactMechanisms(), mu_squared=1.0, rng=np.random.default_rng(0))
    assert [f.verdict for f in found] == ["insufficient"]


# --- ties between columns -----------------------------------------------------------------------------------------


def tie_in(counts: np.ndarray, n_rows: float) -> PairTie:
    return tie_of(full_marginal(counts.shape, (0, 1)), counts, n_rows)


def test_a_tie_is_judged_in_the_groups_of_codes_that_have_it():
    rng = np.random.default_rng(4)
    ward = rng.integers(0, 3, 5_000)
    code = np.where(rng.random(5_000) < 0.8, 40 * ward, 40 * rng.integers(0, 3, 5_000)) + rng.integers(0, 40, 5_000)
    chapter = np.append(np.arange(120) // 40, 3)
    data = Encoded(
        rows=CodedRows(np.stack([code, ward]), np.arange(5_000)),
        attributes=(Attribute("code", 121, True, False), Attribute("ward", 4, True, False)),
        max_rows_per_unit=1,
        n_rows=5_000.0,
        columns=(0, 1),
        books={0: (np.append(np.arange(120) // 10, 12), chapter)},
    )
    full = full_marginal(data.sizes, (0, 1))
    fine = tie_of(full, contingency_tables(data.rows.codes, [full])[0], data.n_rows)
    coarse = in_groups(data, fine, data.rows.codes)
    assert coarse.marginal.shape == (4, 4)
    assert coarse.chance < fine.chance / 3
    single = np.stack([code, code % 3])  # a tie that no group of codes shows
    of_codes = in_groups(data, tie_of(full, contingency_tables(single, [full])[0], data.n_rows), single)
    assert of_codes.marginal.shape == (121, 4)


def test_the_strength_of_a_tie_is_nil_for_unrelated_columns_and_their_distance_for_others():
    unrelated = np.outer([200, 300, 500], [400, 600]) / 1_000
    assert tie_in(unrelated, 1_000).strength == 0.0
    rng = np.random.default_rng(0)
    drawn = [tie_in(rng.multinomial(1_000, unrelated.ravel() / 1_000).reshape(3, 2), 1_000).strength for _ in range(50)]
    assert np.mean(drawn) < 0.01
    assert tie_in(np.diag([5_000, 5_000]), 10_000).strength == pytest.approx(0.5, abs=0.02)


def test_what_chance_does_to_a_table_is_about_what_it_is_said_to_do():
    shares, n = np.full((4, 5), 1 / 20), 400
    rng = np.random.default_rng(1)
    seen = [0.5 * np.abs(rng.multinomial(n, shares.ravel()) / n - 1 / 20).sum() for _ in range(200)]
    assert tie_in(shares * 10**6, n).chance == pytest.approx(np.mean(seen), rel=0.05)


TIED = np.where(np.eye(4) > 0, 0.13, 0.04)  # shares of two columns; as unrelated ones each entry would have 1/16


def verdict_of_units(law: np.ndarray, alike: float, seed: int) -> bool | None:
    """Return the verdict on a tie of the synthetic rows, where 100 units of 10 real rows have a law of their own.

    Args:
      alike: the share of the units whose rows are all the same.
    """
    rng = np.random.default_rng(seed)
    rows = rng.choice(16, size=(100, 10), p=law.ravel() / law.sum())
    same = rng.random(100) < alike
    rows[same] = rows[same, :1]
    n, data = rows.size, inputs_of(FIRST, SYNTHETIC, n_rows=1_000.0).data
    tie = tie_of(full_marginal((4, 4), (0, 1)), TIED * 10**6, n, Alike(real=10.0))
    distance = 0.5 * np.abs(np.bincount(rows.ravel(), minlength=16) - n * TIED.ravel()).sum()
    return kept(_tie_finding(float(distance), tie, 1e-6, data))


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_a_tie_is_not_misjudged_because_rows_come_in_units(alike):
    """Fewer than 1 verdict in 50 is wrong, whatever a unit's rows have in common; 200 tables each."""
    there = [verdict_of_units(TIED, alike, seed) for seed in range(200)]
    assert sum(verdict is False for verdict in there) <= 4
    gone = [verdict_of_units(np.full((4, 4), 1 / 16), alike, seed) for seed in range(200)]
    assert sum(verdict is True for verdict in gone) <= 4
    if not alike:
        assert sum(verdict is True for verdict in there) >= 190


def test_the_strongest_ties_are_shown_and_kept_or_not():
    real, same = people(20_000, 5), people(20_000, 6)
    found = [f for f in figures(inputs_of(real, same, k=1), EXACT) if f.name == "tie_distance"]
    assert found[0].group == "age × ill"
    assert kept(found[0]) is True
    torn = real.copy()
    torn[3] = np.random.default_rng(7).permutation(torn[3])  # the real rows lack the tie that the synthetic ones have
    found = [f for f in figures(inputs_of(torn, same, k=1), EXACT) if f.name == "tie_distance"]
    assert found[0].group == "age × ill"
    assert kept(found[0]) is False
    few = [f for f in figures(inputs_of(real[:, :30], same, k=1), EXACT) if f.name == "tie_distance"]
    assert kept(few[0]) is None
    assert len(found) <= MAX_TIES + 1

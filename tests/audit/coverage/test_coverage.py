"""Coverage: dropped modes, removed groups, holes and impossible combinations are found, fresh rows are not blamed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.coverage.coverage import coverage
from privsynth.audit.coverage.precision_recall import MEASURES, measures, radii
from privsynth.audit.coverage.slices import lacking_slices, ratio_end, unseen
from privsynth.audit.coverage.value_gaps import fullest_gap, worst_design_effect


def run(tables, **more):
    found = coverage(tables, rng=np.random.default_rng(0), context=AuditContext(AuditSettings(**more)))
    return {(f.name, f.group): f for f in found}


@pytest.fixture(scope="module")
def cases(people, tables_of):
    train, holdout, fresh = people
    rng = np.random.default_rng(7)
    old, young = fresh[fresh["age"] > 60], fresh[fresh["age"] <= 60]
    made = {
        "copy": train.copy(),
        "fresh": fresh,
        "shifted": fresh.assign(age=fresh["age"] + 30),
        "mode dropped": young.sample(len(fresh), replace=True, random_state=1),
        "group removed": fresh[fresh["sex"] != "X"],
        "columns apart": fresh.assign(ill=rng.permutation(fresh["ill"].to_numpy())),
        "hole": pd.concat([fresh[(fresh["age"] < 40) | (fresh["age"] > 47)]] * 2).head(len(fresh)),
    }
    assert len(old) > 300
    return {k: run(tables_of(train, holdout, v.reset_index(drop=True))) for k, v in made.items()}


def summary(found):
    names = ("missing_slices", "unseen_slices", "ranges_lacking", "ranges_without_evidence")
    return [found[name, ""].value for name in names]


@pytest.mark.parametrize("case", ["copy", "fresh"])
def test_good_tables_are_not_blamed(cases, case):
    """Slices at 0.05 a direction, ranges at 1e-3: this seed raises none of them."""
    found = cases[case]
    assert summary(found) == [0.0, 0.0, 0.0, 0.0]
    assert {f.verdict for f in found.values()} == {"info"}
    assert {f.visibility for f in found.values()} == {"officer"}
    for name in MEASURES:
        f = found[name, ""]
        assert abs(f.detail["difference"]) < (0.15 if name == "density" else 0.05)
        assert f.low <= f.value <= f.high
    for name in ("missing_combinations", "unseen_combinations"):
        assert abs(found[name, "pairs"].detail["excess"]) < 0.01


def test_a_copy_makes_nothing_up(cases):
    assert cases["copy"]["unseen_combinations", "triples"].value == 0.0
    assert cases["fresh"]["unseen_combinations", "triples"].value > 0.0


def test_a_dropped_mode_is_lacking_and_nothing_is_made_up(cases):
    """A seventh of the people is over 60."""
    found = cases["mode dropped"]
    assert abs(found["precision", ""].detail["difference"]) < 0.05
    assert found["missing_slices", ""].verdict == "review"
    assert found["ranges_lacking", ""].value == 1.0
    share = found["range_lacking", "age"]
    assert 0.1 < share.value < 0.2
    assert share.low < share.value < share.high
    assert found["ranges_without_evidence", ""].value == 0.0


def test_a_shift_is_both(cases):
    found = cases["shifted"]
    assert found["precision", ""].verdict == "review"
    assert found["range_without_evidence", "age"].value > 0.2
    assert found["range_lacking", "age"].value > 0.1
    assert min(found["missing_slices", ""].value, found["unseen_slices", ""].value) >= 1


def test_a_removed_group_is_one_lacking_slice(cases):
    found = cases["group removed"]
    assert found["missing_slices", ""].value == 1.0, "slices within it are not counted again"
    worst = found["missing_slice", "sex=X"]
    assert (worst.value, worst.baseline, worst.detail["synthetic"]) == (0.0, 1.0, 0)
    assert worst.high < 0.1
    assert found["missing_combinations", "pairs"].detail["excess_low"] > 0.02
    assert found["missing_combinations", "pairs"].verdict == "review"
    assert found["unseen_slices", ""].value == 0.0


def test_a_hole_in_a_number_is_a_lacking_stretch(cases):
    found = cases["hole"]
    gap = found["range_lacking", "age"]
    assert gap.detail["stretches"] == 1, "40 to 47: no synthetic value between, one stretch"
    assert 0.15 < gap.value < 0.3
    assert "from" not in gap.detail, "its ends would be cells of real rows"


def test_impossible_combinations_are_made_up(people, tables_of):
    """Only the young are in region E among real rows; the synthetic rows do not know."""
    train, holdout, fresh = (p.assign(region=np.where(p["age"] < 35, "E", "A")) for p in people)
    mixed = fresh.assign(region=np.random.default_rng(0).permutation(fresh["region"].to_numpy()))
    found = run(tables_of(train, holdout, mixed))
    made_up = found["unseen_combinations", "pairs"]
    assert made_up.detail["worst"][0][0] == "age × region"
    assert made_up.detail["worst"][0][1] > 0.1
    assert made_up.detail["excess_low"] > 0.005, "one of fifteen pairs"
    assert found["unseen_slices", ""].verdict == "review"
    group = next(f.group for f in found.values() if f.name == "unseen_slice")
    assert "age" in group
    assert "region" in group


def test_without_a_holdout_there_is_no_chance_to_compare(people, tables_of):
    train, _, fresh = people
    found = run(tables_of(train, None, fresh))
    assert found["missing_combinations", "pairs"].verdict == "insufficient"
    assert found["recall", ""].baseline is None
    assert found["recall", ""].verdict == "info"
    few = run(tables_of(train.head(200), None, fresh))
    assert few["recall", ""].verdict == "insufficient"


# --- twins


def test_neighbourhoods_against_loops():
    rng = np.random.default_rng(2)
    real, other = np.round(rng.normal(size=(40, 3)), 1), np.round(rng.normal(size=(30, 3)) + 0.5, 1)
    k = 5
    radius = [
        [sorted(np.linalg.norm(p - q) for j, q in enumerate(part) if j != i)[k - 1] for i, p in enumerate(part)]
        for part in (real, other)
    ]
    far = np.array([[np.linalg.norm(o - r) for r in real] for o in other])
    in_real = far <= np.array(radius[0]) + 1e-9
    in_other = far <= np.array(radius[1])[:, None] + 1e-9
    naive = [
        np.mean([row.any() for row in in_real]),
        np.mean([column.any() for column in in_other.T]),
        sum(map(sum, in_real)) / (k * len(other)),
        np.mean([column.any() for column in in_real.T]),
    ]
    assert np.allclose(measures(real, other, real_radii=radii(real), other_radii=radii(other)), naive)


def test_neighbourhoods_of_known_tables():
    rng = np.random.default_rng(3)
    real = rng.normal(size=(500, 2))
    own = radii(real)
    assert measures(real, real, real_radii=own, other_radii=own)[[0, 1, 3]].tolist() == [1.0, 1.0, 1.0]
    away = real + 100
    assert measures(real, away, real_radii=own, other_radii=own).tolist() == [0.0, 0.0, 0.0, 0.0]
    point = np.zeros((500, 2))
    one = measures(real, point, real_radii=own, other_radii=radii(point))
    assert (one[0], one[1]) == (1.0, 0.0)
    assert one[3] < 0.05
    both, half = np.concatenate([real, real + 50]), rng.normal(size=(500, 2))
    dropped = measures(both, half, real_radii=radii(both), other_radii=radii(half))
    assert dropped[0] > 0.95, "what is there is real"
    assert dropped[1] == pytest.approx(0.5, abs=0.03), "half of the modes are missing"
    assert dropped[3] < 0.5
    independent = rng.normal(size=(500, 2))
    assert measures(real, independent, real_radii=own, other_radii=radii(independent))[2] == pytest.approx(1, abs=0.15)


def test_slices_against_counts():
    rng = np.random.default_rng(4)
    there, here = rng.integers(0, 3, (3, 2_000)), rng.integers(0, 3, (3, 1_000))
    here = here[:, ~((here[0] == 1) & (here[1] == 2))]
    sizes = [3, 3, 3]
    marginals = [m for ways in (1, 2, 3) for m in itertools.combinations(range(3), ways)]
    found = lacking_slices(there, here, sizes, marginals)
    assert [(s.columns, s.codes, s.here) for s in found.lacking] == [((0, 1), (1, 2), 0)]
    cells = 3 * 3 + 3 * 9 + 27
    assert found.tested == cells
    assert found.lacking[0].there == int(((there[0] == 1) & (there[1] == 2)).sum())
    sparse = lacking_slices(there, here, [1_000, 1_000, 1_000], marginals)
    assert sparse == found, "many possible cells are counted in another way"


def test_few_rows_of_a_slice_are_no_evidence():
    there = np.zeros((1, 1_000), dtype=np.int64)
    there[0, :15] = 1
    here = np.zeros((1, 1_000), dtype=np.int64)
    assert lacking_slices(there, here, [2], [(0,)]).tested == 1
    there[0, :40] = 1
    assert len(lacking_slices(there, here, [2], [(0,)]).lacking) == 1
    assert lacking_slices(there, here, [2], [(0,)], design_effects=(10.0, 10.0)).tested == 1, (
        "four people, ten rows each"
    )


def test_the_ends_of_a_ratio_cover():
    """Ratio 0.5, 4,000 draws of a one-sided 97.5 % end: below 0.965 with probability under 1e-4."""
    rng = np.random.default_rng(6)
    here, there = rng.poisson(20, 4_000), rng.poisson(80, 4_000)
    high = ratio_end(here, there, 1_000, 2_000, 0.975)
    assert 0.965 < np.mean(high >= 0.5) < 1.0


def test_false_alarms_of_slices():
    """200 pairs of tables alike: 0.05 each allows 10 alarms; more than 25 would come with probability 1e-5."""
    rng = np.random.default_rng(8)
    marginals = [m for ways in (1, 2) for m in itertools.combinations(range(4), ways)]
    alarms = 0
    for _ in range(200):
        a, b = (rng.choice(4, (4, 500), p=[0.6, 0.25, 0.1, 0.05]) for _ in "ab")
        alarms += bool(lacking_slices(a, b, [4] * 4, marginals).lacking)
    assert alarms <= 25


def test_unseen_against_sets():
    rng = np.random.default_rng(9)
    rows, base = rng.integers(0, 6, (3, 200)), rng.integers(0, 6, (3, 60))
    marginals = [(0, 1), (1, 2), (0, 1, 2)]
    found = unseen(rows, base, [6] * 3, marginals)
    for i, columns in enumerate(marginals):
        seen = set(zip(*base[list(columns)].tolist(), strict=True))
        naive = [cell not in seen for cell in zip(*rows[list(columns)].tolist(), strict=True)]
        assert found.each[i] == pytest.approx(np.mean(naive))
    assert found.share == pytest.approx(found.each.mean())
    assert unseen(rows, base, [2_000] * 3, marginals).share == found.share


def test_gaps_against_a_loop():
    rng = np.random.default_rng(10)
    rows, base = rng.integers(0, 60, 50).astype(float), rng.choice(np.arange(0.0, 60, 7), 9)
    gap = fullest_gap(rows, base, alpha=0.01)
    ends = [-np.inf, *sorted(set(base)), np.inf]
    naive = [sum(a < x < b for x in rows) for a, b in itertools.pairwise(ends)]
    assert gap.count == max(naive)
    assert fullest_gap(base, base, alpha=0.01) is None


def test_false_alarms_of_gaps():
    """2,000 pairs of samples alike, alpha = 0.02: 40 alarms are allowed, over 70 have probability 1e-5."""
    rng = np.random.default_rng(11)
    found = [fullest_gap(rng.normal(size=80), rng.normal(size=40), alpha=0.02) for _ in range(2_000)]
    assert sum(bool(gap and gap.gaps) for gap in found) <= 70
    values = np.arange(5.0)
    atoms = [fullest_gap(rng.choice(values, 80), rng.choice(values, 40), alpha=0.02) for _ in range(2_000)]
    assert sum(bool(gap and gap.gaps) for gap in atoms) <= 70


def test_design_effect_of_units():
    assert worst_design_effect(np.arange(7)) == 1.0
    assert worst_design_effect(np.array([0, 0, 0, 1])) == pytest.approx(10 / 4)
    rows = np.concatenate([np.full(20, 5.0), np.arange(20) / 100])
    base = np.arange(20) / 100
    assert fullest_gap(rows, base, alpha=0.05).gaps == 1
    assert fullest_gap(rows, base, alpha=0.05, design_effect=6.0).gaps == 0

"""Bias: vanished groups, moved base rates, groups that are too small, crossings and downstream gaps."""

import numpy as np
import pytest

from privsynth.audit.common.protected_groups import MAX_GROUPS, MIN_ROWS, grouping, label_rows
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.fairness.bias import bias as audit


def bias(tables, level="quick"):
    return audit(tables, rng=np.random.default_rng(0), context=AuditContext(AuditSettings(level=level, max_rows=800)))


@pytest.fixture(scope="module")
def fair(people, tables_of):
    return bias(tables_of(*people, protected=("sex", "age")), level="standard")


def test_an_independent_draw_passes(fair):
    assert not [f for f in fair if f.verdict in ("fail", "review")]
    assert all(f.visibility == "officer" for f in fair)


def test_representation_of_a_fresh_draw_covers_the_real_share(fair, pick):
    found = pick(fair, "representation", "sex=F")
    assert found.low < found.baseline < found.high
    assert found.detail["vanished"] is False


def test_a_removed_group_has_vanished(people, tables_of, pick):
    train, holdout, fresh = people
    findings = bias(tables_of(train, holdout, fresh[fresh["sex"] != "X"], targets=()))
    gone = pick(findings, "representation", "sex=X")
    assert gone.verdict == "fail"
    assert gone.detail["vanished"] is True
    assert gone.value == 0.0
    assert gone.high > 0, "a zero never travels without its upper end"
    assert pick(findings, "subgroup_fidelity", "sex=X").verdict == "insufficient"


def test_a_halved_group_is_flagged(people, tables_of, pick):
    train, holdout, fresh = people
    drop = (fresh["sex"] == "M") & (np.arange(len(fresh)) % 2 == 0)
    found = pick(bias(tables_of(train, holdout, fresh[~drop], targets=())), "representation", "sex=M")
    assert found.verdict == "review"
    assert found.detail["log_disparity"] == pytest.approx(np.log(0.5 / 0.79), abs=0.1)


def test_injected_bias_moves_the_base_rate_by_its_size(people, tables_of, pick):
    train, holdout, fresh = people
    men = fresh.index[(fresh["sex"] == "M") & (fresh["ill"] == "false")]
    total = int((fresh["sex"] == "M").sum())
    moved = fresh.copy()
    moved.loc[men[: int(0.2 * total)], "ill"] = "true"
    before = ((fresh["sex"] == "M") & (fresh["ill"] == "true")).sum() / total
    findings = bias(tables_of(train, holdout, moved))
    after = pick(findings, "base_rate", "sex=M · ill=true")
    assert after.value - before == pytest.approx(0.2, abs=0.005)
    assert after.verdict == "fail"
    assert after.detail["shift_low"] < 0.2 < after.detail["shift_high"] + 0.03
    gap = pick(findings, "base_rate_gap", "sex · ill=true")
    assert gap.verdict == "review"
    assert pick(findings, "selection_rate", "sex=M · ill=true").value > 1.3 * (
        pick(findings, "selection_rate", "sex=M · ill=true").baseline
    )


@pytest.mark.slow
def test_small_groups_are_named_insufficient_and_never_left_out(people, tables_of, pick):
    train, holdout, fresh = people
    few = holdout[(holdout["sex"] != "X") | (np.arange(len(holdout)) < 300)]
    assert 0 < (few["sex"] == "X").sum() < MIN_ROWS
    findings = bias(tables_of(train, few, fresh))
    for name in ("selection_rate", "true_positive_rate", "false_positive_rate"):
        assert pick(findings, name, "sex=X · ill=true").verdict == "insufficient"
    assert pick(findings, "calibration_by_group", "sex=X · ill=true").verdict == "insufficient"


def test_numbers_are_cut_at_the_quartiles_of_the_synthetic_rows(people, tables_of):
    train, holdout, fresh = people
    groups = grouping(tables_of(train, holdout, fresh), ("age",))
    assert len(groups.labels) == 4
    shares = groups.counts("synthetic") / len(fresh)
    assert shares == pytest.approx([0.25] * 4, abs=0.03)


def test_crossings_count_every_row_once(people, tables_of, fair, pick):
    groups = grouping(tables_of(*people), ("sex", "region"))
    assert groups.counts("train").sum() == len(people[0])
    assert "sex=F, region=(missing)" in groups.labels
    assert [f for f in fair if f.name == "representation" and f.group.startswith("sex=F, ")]


def test_many_groups_are_pooled_not_lost(people, tables_of):
    train, holdout, fresh = (frame.assign(region=frame["age"].astype(int).astype(str)) for frame in people)
    groups = grouping(tables_of(train, holdout, fresh), ("region",))
    assert len(groups.labels) == MAX_GROUPS
    assert "pooled" in groups.labels[-1]
    assert groups.counts("train").sum() == len(train)
    assert (groups.of(label_rows(tables_of(train, holdout, fresh), "region", train)) == groups.train).all()


def test_subgroup_fidelity_names_the_spoilt_group(people, tables_of, pick):
    train, holdout, fresh = people
    rng = np.random.default_rng(0)
    spoilt = fresh.copy()
    men = np.flatnonzero(spoilt["sex"] == "M")
    spoilt.loc[men, "age"] = spoilt["age"].to_numpy()[rng.permutation(men)]
    spoilt.loc[men, "age"] = spoilt.loc[men, "age"] + 15
    findings = bias(tables_of(train, holdout, spoilt, targets=()))
    gap = pick(findings, "subgroup_fidelity_gap", "sex")
    assert gap.detail["worst"] == "sex=M"
    assert gap.low > 0


def test_without_protected_columns_it_says_so(people, tables_of):
    findings = bias(tables_of(*people, protected=()))
    assert [f.verdict for f in findings] == ["insufficient"]

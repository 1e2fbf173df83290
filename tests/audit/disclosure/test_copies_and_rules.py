"""Alarms ring for copies and keep still for chance; rules count violations on synthetic rows only."""

import numpy as np
import pandas as pd
import pytest

from privsynth.audit.common.settings import AuditSettings
from privsynth.audit.disclosure.copies import row_codes
from privsynth.audit.registry import run_audits
from privsynth.audit.rules import rule_findings


def alarms(tables, seed=0):
    return run_audits(tables, AuditSettings(seed=seed, names=("alarms",)))


def test_copies_ring_both_alarms(people, tables_of, pick):
    train, holdout, _ = people
    findings = alarms(tables_of(train, holdout, train.copy()))
    assert pick(findings, "exact_copies").verdict == "fail"
    assert pick(findings, "exact_copies").value == 1.0
    assert pick(findings, "near_copies").verdict == "review"


def test_an_independent_draw_rings_none_and_passes_none(people, tables_of):
    assert {f.verdict for f in alarms(tables_of(*people))} == {"info"}


def test_five_per_cent_of_memorised_rows_are_found(people, tables_of, pick):
    train, holdout, fresh = people
    mixed = pd.concat([fresh.iloc[150:], train.iloc[:150]], ignore_index=True)
    found = pick(alarms(tables_of(train, holdout, mixed)), "exact_copies")
    assert found.verdict == "fail"
    assert found.value == pytest.approx(0.05, abs=0.001)
    assert found.low < found.value < found.high


def test_common_rows_of_narrow_tables_are_no_alarm(people, tables_of, pick):
    narrow = [frame[["sex", "region", "ill"]] for frame in people]
    found = pick(alarms(tables_of(*narrow)), "exact_copies")
    assert found.value > 0.99
    assert found.verdict == "info"


@pytest.mark.slow
def test_the_copy_alarm_keeps_its_false_alarm_rate(draw, tables_of):
    """At 2.5 %, 8 or more alarms of 60 happen with probability below 1e-4."""
    alarm = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        frames = [draw(400, rng)[["age", "sex", "region", "ill"]] for _ in range(3)]
        alarm += alarms(tables_of(*frames), seed)[0].verdict == "fail"
    assert alarm < 8


def test_without_a_holdout_any_copy_asks_for_a_look(people, tables_of, pick):
    train, _, fresh = people
    mixed = pd.concat([fresh.iloc[150:], train.iloc[:150]], ignore_index=True)
    assert pick(alarms(tables_of(train, None, mixed)), "exact_copies").verdict == "review"
    assert pick(alarms(tables_of(train, None, fresh)), "exact_copies").verdict == "info"


def test_without_a_holdout_copies_of_everything_fail(people, tables_of, pick):
    train = people[0]
    assert pick(alarms(tables_of(train, None, train)), "exact_copies").verdict == "fail"
    assert pick(alarms(tables_of(train, None, train.sample(500, random_state=1))), "exact_copies").verdict == "fail"


def test_without_a_holdout_common_rows_of_narrow_tables_are_no_copies(draw, tables_of, pick):
    """Every synthetic row equals a training row, as new people do; a false alarm in 1 % of seeds."""
    columns = ["sex", "region", "ill"]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train, fresh = draw(3_000, rng)[columns], draw(300, rng)[columns]
        fresh = fresh[fresh.apply(tuple, axis=1).isin(train.apply(tuple, axis=1))].reset_index(drop=True)
        assert pick(alarms(tables_of(train, None, fresh), seed), "exact_copies").verdict == "review"


def test_rows_are_equal_after_rounding_and_missing_equals_missing(tables_of):
    kinds = {"a": "numeric", "b": "categorical"}
    train = pd.DataFrame({"a": [0.1 + 0.2, np.nan, 5.0], "b": ["x", None, "nan"]})
    synthetic = pd.DataFrame({"a": [0.3, np.nan, 5.0], "b": ["x", None, None]})
    tables = tables_of(train, None, synthetic, kinds=kinds, targets=(), protected=())
    real, _, ours = row_codes(tables)
    assert (real == ours).tolist() == [True, True, False]


def test_every_alarm_says_that_silence_proves_nothing(people, tables_of):
    assert all("never evidence" in f.meaning for f in alarms(tables_of(*people)))


def test_rules_pass_fail_and_stay_public():
    good, bad, empty = rule_findings(
        [("a <= b", np.ones(100, bool)), ("c > 0", np.arange(100) >= 3), ("d = 1", np.zeros(0, bool))]
    )
    assert (good.verdict, bad.verdict, empty.verdict) == ("pass", "fail", "insufficient")
    assert bad.value == 0.03
    assert bad.detail == {"violations": 3}
    assert good.high > 0.02
    assert {f.visibility for f in (good, bad, empty)} == {"public"}

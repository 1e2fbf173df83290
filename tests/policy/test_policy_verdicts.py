"""Verdicts: the interval decides, missing evidence is said, the worst group counts."""

from __future__ import annotations

import pytest
import yaml

from privsynth.errors import ConfigError
from privsynth.findings.finding import Finding
from privsynth.policy.files import parse_policy
from privsynth.policy.judge import judge
from privsynth.policy.one_verdict import overall, verdict_counts, with_policy


def figure(value, low=None, high=None, *, name="risk", **more):
    stock = {"family": "disclosure", "visibility": "officer", "meaning": "m"}
    return Finding(name=name, value=value, low=low, high=high, **{**stock, **more})


def verdicts(findings, *checks, promise=None):
    data = {"policy": "p", "version": "1", "purpose": "q", "checks": [{"source": "own", **c} for c in checks]}
    loaded = parse_policy(yaml.safe_dump(data).encode(), "p")
    return judge(loaded, findings, promise=promise or {})


def only(findings, promise=None, **check):
    (outcome,) = verdicts(findings, {"metric": "risk", **check}, promise=promise).outcomes
    return outcome


@pytest.mark.parametrize(
    ("finding", "check", "verdict"),
    [
        (figure(0.1, 0.05, 0.15), {"at_most": 0.2}, "pass"),
        (figure(0.1, 0.05, 0.15), {"at_most": 0.15}, "pass"),
        (figure(0.1, 0.05, 0.15), {"at_most": 0.1}, "review"),
        (figure(0.1, 0.05, 0.15), {"at_most": 0.05}, "review"),
        (figure(0.1, 0.05, 0.15), {"at_most": 0.04}, "fail"),
        (figure(0.1, 0.05, 0.15), {"at_least": 0.05}, "pass"),
        (figure(0.1, 0.05, 0.15), {"at_least": 0.12}, "review"),
        (figure(0.1, 0.05, 0.15), {"at_least": 0.16}, "fail"),
        (figure(0.1), {"at_most": 0.1}, "pass"),
        (figure(0.1), {"at_most": 0.09}, "fail"),
        (figure(0.1, None, 0.3), {"at_most": 0.2}, "review"),
        (figure(0.1, 0.05, 0.15), {"at_most": 0.1, "judge": "estimate"}, "pass"),
        (figure(0.11, 0.05, 0.15), {"at_most": 0.1, "judge": "estimate"}, "fail"),
        (figure(0.5, 0.45, 0.55, baseline=0.4), {"at_most": 0.2, "compare": "difference"}, "pass"),
        (figure(0.5, 0.45, 0.55, baseline=0.4), {"at_most": 0.04, "compare": "difference"}, "fail"),
        (figure(0.3, 0.25, 0.35, baseline=0.4), {"at_most": 0.2, "compare": "distance"}, "pass"),
        (figure(0.3, 0.25, 0.35, baseline=0.4), {"at_most": 0.04, "compare": "distance"}, "fail"),
        (figure(0.4, 0.3, 0.5, baseline=0.4), {"at_most": 0.05, "compare": "distance"}, "review"),
        (figure(0.4, 0.3, 0.5), {"at_most": 0.05, "compare": "distance"}, "insufficient"),
        (figure(0.4, verdict="fail"), {"judge": "verdict"}, "fail"),
        (figure(0.4, verdict="review"), {"judge": "verdict"}, "review"),
        (figure(0.4, verdict="info"), {"judge": "verdict"}, "pass"),
        (figure(None, verdict="insufficient"), {"judge": "verdict"}, "insufficient"),
        (figure(None, verdict="insufficient"), {"at_most": 1, "if_insufficient": "fail"}, "fail"),
        (figure(None, verdict="insufficient"), {"at_most": 1, "if_insufficient": "review"}, "review"),
    ],
)
def test_what_a_check_says_of_a_figure(finding, check, verdict):
    assert only([finding], **check).verdict == verdict


def test_missing_figures_are_not_a_pass():
    assert only([], at_most=1).verdict == "insufficient"
    assert only([], at_most=1, if_insufficient="fail").verdict == "fail"
    assert only([figure(0.0, name="other")], at_most=1).counts == {}


def test_a_check_that_misses_the_figures_of_its_name_says_how():
    findings = [figure(0.1, group=f"sex={letter}") for letter in "ABCDEFG"]
    missed = only(findings, at_most=1, groups="sxe=*")
    assert missed.verdict == "insufficient"
    assert "No group is like 'sxe=*'; there are sex=A, sex=B, sex=C, sex=D, sex=E and 2 more." in missed.why
    assert "visible as public" in only(findings, at_most=1, visibility="public").why
    assert only([figure(0.0, name="other")], at_most=1, groups="a").why == ""
    assert only(findings, at_most=1, groups="sex=*").why == ""


def test_the_worst_group_counts_and_is_named():
    findings = [
        figure(0.1, group="sex=F"),
        figure(0.5, 0.4, 0.6, group="sex=M"),
        figure(None, group="sex=X", verdict="insufficient"),
        figure(0.9, group="race=B"),
    ]
    outcome = only(findings, at_most=0.2, groups="SEX=*")
    assert outcome.verdict == "fail"
    assert outcome.worst == ("sex=M",)
    assert (outcome.value, outcome.low, outcome.high) == (0.5, 0.4, 0.6)
    assert outcome.counts == {"fail": 1, "insufficient": 1, "pass": 1}
    assert only(findings[:1] + findings[2:3], at_most=0.2).verdict == "insufficient"
    assert only(findings, at_most=0.2).worst == ("sex=M", "race=B")


def test_a_distance_is_shown_as_it_was_compared():
    outcome = only([figure(0.3, 0.25, 0.5, baseline=0.4)], at_most=0.2, compare="distance")
    assert (outcome.value, outcome.low, outcome.high) == pytest.approx((0.1, 0.0, 0.15))
    above = only([figure(0.3, 0.25, 0.5, baseline=0.4)], at_most=0.2, compare="difference")
    assert (above.value, above.low, above.high) == pytest.approx((-0.1, -0.15, 0.1))


def test_visibility_chooses_whose_figures_count():
    findings = [figure(0.9), figure(0.1, visibility="public")]
    public = only(findings, at_most=0.2, visibility="public")
    assert (public.verdict, public.exact) == ("pass", False)
    assert only(findings, at_most=0.2, visibility="officer").verdict == "fail"
    both = only(findings, at_most=0.2)
    assert (both.verdict, both.exact) == ("fail", True)


def test_the_promise_is_judged_as_it_stands():
    check = {"metric": "promised_epsilon", "at_most": 2}
    for promise, verdict in (({"promised_epsilon": 2.0}, "pass"), ({"promised_epsilon": 2.5}, "fail"), ({}, "review")):
        (outcome,) = verdicts([], {**check, "if_insufficient": "review"}, promise=promise).outcomes
        assert outcome.verdict == verdict
        assert outcome.value == promise.get("promised_epsilon")


def test_a_policy_of_public_checks_is_public_and_any_other_is_not():
    findings = [figure(0.1, visibility="public")]
    public = {"metric": "risk", "at_most": 1, "visibility": "public"}
    promise = {"metric": "promised_delta", "at_most": 1}
    assert verdicts(findings, public, promise).public_only
    assert not verdicts(findings, public, {"metric": "risk", "at_most": 1}).public_only


def test_the_whole_is_as_bad_as_its_worst_check():
    checks = [{"metric": "risk", "at_most": 1}, {"metric": "other", "at_most": 1}, {"metric": "risk", "at_most": 0}]
    judged = verdicts([figure(0.1)], *checks)
    assert judged.verdict == "fail"
    assert [judged.count(v) for v in ("fail", "review", "insufficient", "pass")] == [1, 0, 1, 1]


def loaded_of(*checks):
    data = {"policy": "p", "version": "1", "purpose": "q", "checks": [{"source": "own", **c} for c in checks]}
    return parse_policy(yaml.safe_dump(data).encode(), "p")


def test_what_a_policy_demands_is_in_the_verdicts_of_the_findings_and_counted_once():
    findings = [
        figure(0.5, 0.4, 0.6, group="a"),
        figure(0.1, group="b", verdict="review", threshold="own"),
        figure(None, group="c", verdict="insufficient"),
        figure(0.9, name="other"),
    ]
    loaded = loaded_of(
        {"metric": "risk", "at_most": 0.2}, {"metric": "absent", "at_most": 1, "if_insufficient": "fail"}
    )
    told = with_policy(loaded, findings)
    assert [f.verdict for f in told] == ["fail", "review", "insufficient", "info"]
    assert told[0].threshold == "at most 0.2 (policy p: own)"
    assert told[1].threshold == "own"  # a policy removes no requirement
    assert with_policy(loaded, told) == told
    assert with_policy(None, findings) == findings
    judgement = judge(loaded, findings, promise={})
    assert verdict_counts(told, judgement) == {"fail": 2, "review": 1, "insufficient": 1, "info": 1}
    assert overall(told, judgement) == "fail"
    assert overall(findings[1:], None) == "review"


def test_a_figure_that_passes_a_policy_has_passed():
    (told,) = with_policy(loaded_of({"metric": "risk", "at_most": 0.2}), [figure(0.1)])
    assert told.verdict == "pass"


def test_an_exact_figure_is_judged_and_not_its_noisy_twin():
    noisy, exact = figure(0.102, visibility="public"), figure(0.098)
    both = only([noisy, exact], at_most=0.1)
    assert (both.verdict, both.exact, both.noisy) == ("pass", True, False)
    alone = only([noisy], at_most=0.1)
    assert (alone.verdict, alone.exact, alone.noisy) == ("fail", False, True)
    counted = figure(0.0, visibility="public", family="rules", name="risk")
    assert not only([counted], at_most=0.1).noisy  # synthetic rows are counted without noise


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ({"metric": "tvd_2way_mean", "at_most": -0.1}, "can be met by nothing"),
        ({"metric": "risk", "compare": "distance", "at_most": -0.1}, "can be met by nothing"),
        ({"metric": "membership_auc", "at_most": 1}, "can be missed by nothing"),
        ({"metric": "tstr_auroc", "at_least": 1.2}, "can be met by nothing"),
        ({"metric": "tstr_auroc", "at_least": 0}, "can be missed by nothing"),
    ],
)
def test_what_arithmetic_decides_is_refused_when_a_policy_is_read(check, words):
    with pytest.raises(ConfigError, match=words):
        loaded_of(check)


def test_a_threshold_that_fresh_real_rows_miss_fails_nobody_and_says_so():
    missed = figure(0.2, 0.19, 0.21, name="tvd_2way_mean", family="fidelity", baseline=0.078, baseline_label="holdout")
    (outcome,) = verdicts([missed], {"metric": "tvd_2way_mean", "at_most": 0.05}).outcomes
    assert outcome.verdict == "review"
    assert "Fresh real rows reach 0.078" in outcome.why
    (met,) = verdicts([missed], {"metric": "tvd_2way_mean", "at_most": 0.1}).outcomes
    assert (met.verdict, met.why) == ("fail", "")


def test_a_distance_from_the_real_rate_counts_the_sampling_error_of_both():
    shift = {"shift": 0.12, "shift_low": 0.015, "shift_high": 0.23}
    rate = figure(0.31, 0.24, 0.39, name="base_rate", family="bias", baseline=0.19, detail=shift)
    (outcome,) = verdicts([rate], {"metric": "base_rate", "compare": "distance", "at_most": 0.05}).outcomes
    assert (outcome.verdict, outcome.low) == ("review", 0.015)


def test_a_verdict_that_a_policy_takes_over_is_the_finding_s_in_every_place():
    """A figure without an alarm is for information alone, until a policy asks for its verdict: then both say pass."""
    found = [figure(0.0, verdict="info", threshold="no copy beyond chance"), figure(None, verdict="insufficient")]
    check = {"metric": "risk", "judge": "verdict", "source": "own"}
    raw = {"policy": "p", "version": "1", "purpose": "q", "checks": [check]}
    loaded = parse_policy(yaml.safe_dump(raw).encode(), "p")
    judged = with_policy(loaded, found)
    assert [f.verdict for f in judged] == ["pass", "insufficient"]
    assert judged[0].threshold == "no copy beyond chance"
    assert with_policy(loaded, judged) == judged
    failed = with_policy(loaded, [figure(0.4, verdict="fail")])
    assert failed[0].verdict == "fail"

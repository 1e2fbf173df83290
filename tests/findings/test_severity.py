"""Verdicts against fresh real rows, their ranking across names, and the sentences that say them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from privsynth.findings.families import FAMILIES
from privsynth.findings.finding import Finding
from privsynth.findings.sentences import _SENTENCES, CELL, of_what, percent, sentence, share
from privsynth.findings.severity import (
    BEYOND,
    MISPLACED,
    RATE,
    TAILS,
    TOLD_APART,
    either_way,
    excess,
    excess_words,
    judged,
    severity,
    strongest,
    worst_first,
)
from privsynth.stats.intervals import Interval


def finding(name="tvd_2way", group="a × b", value=0.5, **more):
    fields = {"family": "fidelity", "visibility": "officer", "meaning": "A figure.", **more}
    return Finding(name=name, group=group, value=value, **fields)


def beyond(low, value, high, **more):
    return judged(finding(**more), Interval(value, low, high), MISPLACED)


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (0.26, 0.3, 0.34, "fail"),
        (0.2, 0.3, 0.4, "review"),
        (0.01, 0.11, 0.2, "review"),
        (-0.1, 0.11, 0.3, "insufficient"),  # too far within chance to say
        (-0.2, 0.0, 0.3, "insufficient"),  # could hardly have failed: no pass
        (-0.02, 0.0, 0.02, "pass"),
        (0.03, 0.05, 0.07, "pass"),
        (-0.1, -0.05, -0.01, "pass"),
    ],
)
def test_a_verdict_follows_from_the_excess_over_fresh_rows(low, value, high, verdict):
    found = beyond(low, value, high)
    assert found.verdict == verdict
    assert str(MISPLACED.fail) in found.threshold
    assert MISPLACED.why in found.threshold


def test_severity_compares_names_in_units_of_what_fails():
    pair = beyond(0.2, 0.3, 0.4)
    rate = finding(
        "base_rate",
        "sex=F · ill=true",
        family="bias",
        verdict="fail",
        detail={BEYOND: excess(Interval(0.2, 0.15, 0.25), RATE.fail)},
    )
    assert severity(pair) == pytest.approx(0.8)
    assert severity(rate) == pytest.approx(1.5)
    assert severity(beyond(-0.1, 0.0, 0.1)) == 0
    assert sorted([pair, beyond(-0.02, 0, 0.02), rate], key=worst_first)[:2] == [rate, pair]


def test_a_sign_does_not_matter():
    assert either_way(Interval(-0.3, -0.4, -0.2)) == Interval(0.3, 0.2, 0.4)
    assert either_way(Interval(-0.1, -0.3, 0.2)) == Interval(0.1, 0.0, 0.3)


def test_the_strongest_reasons_are_about_different_things_and_people_come_first():
    copied = finding("exact_copies", "", 0.1, family="alarms", verdict="fail", detail={"copies": 10})
    worst = beyond(0.5, 0.6, 0.7, group="diagnosis × ward")
    same = beyond(0.5, 0.6, 0.7, name="tvd_2way_worst", group="diagnosis × ward")
    inside = beyond(0.4, 0.5, 0.6, name="tvd_1way", group="ward")
    other = beyond(0.3, 0.4, 0.5, group="age × ward")
    third = beyond(0.3, 0.35, 0.4, group="sex × crp")
    rate = finding("base_rate", "sex=F · ill=true", family="bias", verdict="review")
    fine = beyond(-0.02, 0.0, 0.02, group="x × y")
    found = strongest([fine, rate, third, other, inside, same, worst, copied], 4)
    assert [f.group for f in found] == ["", "diagnosis × ward", "age × ward", "sex=F · ill=true"]
    assert strongest([fine], 3) == []
    assert strongest([finding("pii_columns", "", 1.0, family="pii", verdict="review")], 3) == []  # of the source
    assert len(strongest([worst, other, third], 3)) == 3  # a third of a kind, where nothing else is left


def test_findings_are_said_in_plain_sentences():
    cell = {"given": "diagnosis = O80", "of": "sex = M", "synthetic": 0.304, "real": 0.0}
    pair = finding(group="diagnosis × sex", value=0.31, baseline=0.04, baseline_label="holdout", detail={CELL: cell})
    assert sentence(pair) == (
        "Of the rows with diagnosis = O80, 3 in 10 have sex = M; in the real table none. diagnosis and sex: 31 % of "
        "the rows would have to change to be spread as in the real table; of fresh real rows 4 %."
    )
    assert sentence(replace(pair, detail={})).startswith("diagnosis and sex: 31 % of the rows would have to change")
    rate = finding("base_rate", "ethnicity=x · readmitted=true", 0.104, family="bias", baseline=0.207)
    assert sentence(rate) == "readmitted=true among ethnicity=x: 10 % in place of 21 %."
    gone = finding("representation", "sex=X", 0.0, family="bias", baseline=0.08)
    assert sentence(gone) == "sex=X has vanished: no synthetic row, in place of 8 %."
    tied = finding("association_difference", value=-0.3, detail={"synthetic": 0.1, "train": 0.4})
    assert sentence(tied) == "a and b are tied more weakly than in the real table: 0.10 in place of 0.40."
    turned = finding("correlation_difference", value=-0.5, detail={"synthetic": -0.1, "train": 0.4})
    assert sentence(turned) == "a and b are tied the other way round: -0.10 in place of 0.40."
    other = finding("own_figure", "", 0.25, baseline=0.5, baseline_label="a coin")
    assert sentence(other, {"own_figure": "A figure of mine"}.get) == "A figure of mine: 0.25, a coin: 0.5."
    assert sentence(finding(value=None, verdict="insufficient")).endswith("not measured.")
    lacking = finding("missing_slices", "", 28.0, family="coverage", baseline=0.0, baseline_label="fresh")
    said = sentence(lacking)
    assert said.startswith("28 combinations of values that are common among the real rows are missing or rare among")
    assert said.endswith("as many fresh real rows lack none.")
    assert sentence(replace(lacking, value=1.0)).startswith("1 combination of values that is common")
    lost = finding("utility_gap", "fraud (trees)", 0.117, family="utility", baseline=0.0, baseline_label="no loss")
    assert "ranks worse" in sentence(lost)
    assert sentence(replace(lost, value=-0.01)).endswith("no loss: 0.")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_finding_without_details_is_said_too(family):
    for name in _SENTENCES:
        for baseline in (None, 0.5):
            said = sentence(finding(name, "a × b", 0.25, family=family, baseline=baseline))
            assert said.endswith(".")
            assert "None" not in said


def test_shares_in_words():
    assert [share(v) for v in (0.0, 0.304, 0.5, 0.333, 1.0, 0.0123)] == [
        "none",
        "3 in 10",
        "5 in 10",
        "33 %",
        "all",
        "1.2 %",
    ]
    assert [percent(v) for v in (0.104, 0.05, 0.0004)] == ["10 %", "5 %", "0.04 %"]


def test_a_part_of_a_group_is_no_further_reason():
    exact = {"family": "bias", "verdict": "fail", "baseline": 0.2}
    whole = finding("base_rate", "ethnicity=x · ill=true", 0.4, **exact)
    part = finding("base_rate", "sex=F, ethnicity=x · ill=true", 0.5, **exact)
    other = finding("base_rate", "sex=F, ethnicity=y · ill=true", 0.3, **exact)
    found = strongest([whole, part, other], 3)
    assert other in found
    assert len(found) == 2


def test_limits_and_what_is_compared_with_them_can_be_read():
    """Nobody has to take a logarithm or to subtract what guessing reaches."""
    gone = judged(
        finding("tail_weight", value=2e-5), either_way(Interval(math.log(2e-5), math.log(1e-5), math.log(4e-5))), TAILS
    )
    assert gone.verdict == "fail"
    assert gone.threshold.startswith(
        "how many times too light or too heavy: review above 2, fail if the whole interval"
    )
    assert "above 10 (own)" in gone.threshold
    assert excess_words(gone) == "more than 1,000 times too light"
    heavy = judged(
        finding("tail_weight", value=3.0), either_way(Interval(math.log(3), math.log(2.5), math.log(3.5))), TAILS
    )
    assert (heavy.verdict, excess_words(heavy)) == ("review", "3.0 times too heavy")
    apart = judged(finding("c2st_auroc", value=0.641), Interval(0.141, 0.12, 0.16), TOLD_APART)
    assert (apart.verdict, excess_words(apart)) == ("review", "0.141 beyond fresh real rows")
    assert apart.threshold.startswith("how far beyond fresh real rows: review above 0.1")
    assert excess_words(finding("base_rate", value=0.4)) == ""


@pytest.mark.parametrize(
    ("name", "value", "more", "words"),
    [
        (
            "tail_weight",
            2e-5,
            {"detail": {"usual": [0.3, 26.5]}},
            "stay: hardly any extreme values are left: the real ones beyond the usual range (the middle 98 %, "
            "0.3 to 26.5) have no counterpart.",
        ),
        (
            "representation",
            0.005,
            {"visibility": "public", "baseline": 0.0, "detail": {"real_low": -0.01, "real_high": 0.002}},
            "stay makes up 0.5 % of the rows in place of 0 % to 0.2 % (noisy).",
        ),
        (
            "representation",
            0.005,
            {"visibility": "public", "baseline": 0.0},
            "stay makes up 0.5 % of the rows in place of about 0 % (noisy).",
        ),
        (
            "representation",
            0.005,
            {"baseline": 0.0, "visibility": "officer"},
            "stay makes up 0.5 % of the rows in place of 0 %.",
        ),
    ],
)
def test_sentences_tell_noisy_figures_as_noisy_and_lost_extremes_as_lost(name, value, more, words):
    assert sentence(finding(name, value=value, group="stay", **more)) == words


def test_the_interval_of_a_difference_is_named_where_the_sentence_tells_two_sides():
    tied = finding(
        "association_difference",
        value=-0.508,
        low=-0.522,
        high=-0.495,
        detail={"synthetic": 0.34, "train": 0.85},
        group="a × b",
    )
    assert of_what(tied) == "difference −0.51, "
    assert of_what(finding("tvd_1way", value=0.2)) == ""

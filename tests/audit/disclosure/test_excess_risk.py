"""Excess risk: worked by hand, and intervals whose coverage is counted."""

import math

import numpy as np
import pytest
from scipy import stats

from privsynth.audit.disclosure.excess_risk import Arm, Attack, allowed, arm, excess_risk, risk_finding
from privsynth.stats.intervals import difference


def attack(members, others, naive=0.1, **more):
    options = {
        "name": "inference",
        "group": "ill",
        "naive": naive,
        "naive_label": "guesses",
        "meaning": "An attack.",
        "source": "own",
        "bounded": True,
        "detail": {},
        **more,
    }
    return Attack(members=members, others=others, **options)


def test_the_excess_by_hand():
    found = excess_risk(Arm(60, 100), Arm(20, 100))
    assert found.value == pytest.approx((0.6 - 0.2) / 0.8)
    assert found.low < 0.5 < found.high
    assert difference(Arm(60, 100).interval(), Arm(20, 100).interval()).value == pytest.approx(0.4)


def test_the_ends_of_an_arm_are_exact():
    found = Arm(3, 50).interval(0.95)
    assert stats.binom.sf(2, 50, found.low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 50, found.high) == pytest.approx(0.025)
    assert Arm(0, 0).interval().high == 1.0
    assert (Arm(0, 9).interval().low, Arm(9, 9).interval().high) == (0.0, 1.0)


def test_a_design_effect_widens_an_arm():
    assert Arm(30, 100, 4.0).interval().high - Arm(30, 100).interval().high > 0.05
    success = np.repeat([True, False, True, False], 25)
    assert arm(success, np.repeat([0, 1, 2, 3], 25)).design == pytest.approx(25.0)
    assert arm(success, np.full(100, -1)).design == pytest.approx(1.0)
    assert arm(success).design == 1.0
    assert arm(np.zeros(5, bool), np.zeros(5, int)) == Arm(0, 5)


@pytest.mark.parametrize(("p", "q", "n"), [(0.2, 0.2, 300), (0.05, 0.02, 500), (0.9, 0.7, 200), (0.99, 0.4, 300)])
def test_the_intervals_cover(p, q, n):
    """2,000 draws of a 95 % interval: below 0.93 with probability under 1e-4 each if coverage were exactly 95 %."""
    rng = np.random.default_rng(5)
    truth = (p - q) / (1 - q)
    pairs = zip(rng.binomial(n, p, 2_000), rng.binomial(n, q, 2_000), strict=True)
    cover = {"risk": 0, "difference": 0}
    for a, b in pairs:
        risk, gap = (
            excess_risk(Arm(int(a), n), Arm(int(b), n)),
            difference(Arm(int(a), n).interval(), Arm(int(b), n).interval()),
        )
        cover["risk"] += risk.low <= truth <= risk.high
        cover["difference"] += gap.low <= p - q <= gap.high
    assert min(cover.values()) > 0.93 * 2_000
    assert max(cover.values()) < 0.99 * 2_000 or p == 0.99, "exact ends are wide, but not useless"


def test_the_corners():
    assert excess_risk(Arm(5, 10), Arm(10, 10)) is None
    sure = excess_risk(Arm(50, 50), Arm(0, 50))
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert 0.8 < sure.low < 1.0
    worse = excess_risk(Arm(0, 100), Arm(90, 100))
    assert (worse.value, worse.low) == (-1.0, -1.0)
    assert risk_finding(attack(Arm(5, 10), Arm(10, 10)), claimed=None, tests=1).verdict == "insufficient"


def test_verdicts():
    more = attack(Arm(600, 1_000), Arm(300, 1_000))
    assert risk_finding(more, claimed=None, tests=3).verdict == "review"
    assert risk_finding(more, claimed=(0.1, 1e-6), tests=3).verdict == "fail"
    assert risk_finding(more, claimed=(3.0, 1e-6), tests=3).verdict == "pass"
    unbounded = attack(Arm(600, 1_000), Arm(300, 1_000), bounded=False)
    assert risk_finding(unbounded, claimed=(3.0, 1e-6), tests=3).verdict == "review"
    same = attack(Arm(300, 1_000), Arm(300, 1_000))
    assert risk_finding(same, claimed=None, tests=3).verdict == "info"


def test_an_attack_that_fails_is_no_pass():
    found = risk_finding(attack(Arm(100, 1_000), Arm(100, 1_000), naive=0.1), claimed=(1.0, 1e-6), tests=1)
    assert found.verdict == "info"
    assert "no conclusion" in found.meaning
    better = risk_finding(attack(Arm(200, 1_000), Arm(200, 1_000), naive=0.1), claimed=(1.0, 1e-6), tests=1)
    assert better.verdict == "pass"
    assert "no conclusion" not in better.meaning


def test_what_epsilon_allows():
    others = Arm(100, 1_000)
    top = others.interval(0.95).high
    assert allowed(others, (1.0, 0.0), 0.95) == pytest.approx(min(math.e * top, 1 - (1 - top) / math.e))

"""The excess risk of an attack: successes on members against successes on others, with interval and finding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.insufficient import insufficient, percent
from privsynth.stats.intervals import Interval, clopper_pearson, difference
from privsynth.stats.privacy_limits import allowed_tpr

ALPHA = 0.01  # of a false alarm over the tests of one attack: stricter than 5 %, for there are several attacks (own)
FLOOR = -1.0  # values below it are cut: they say nothing more


@dataclass(frozen=True)
class Arm:
    """Successes of an attack on one group of targets.

    Attributes:
      successes, n: of n attacks.
      design: design effect: variance relative to independent attacks, at least 1.
    """

    successes: int
    n: int
    design: float = 1.0

    @property
    def rate(self) -> float:
        """Share of attacks that succeeded; 0 if there were none."""
        return self.successes / self.n if self.n else 0.0

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the exact interval of the rate, at the effective number of attacks.

        Source: Clopper & Pearson (1934); Korn & Graubard (1998) for the effective number.
        """
        if self.n == 0:
            return Interval(0.0, 0.0, 1.0)
        n = self.n / self.design
        exact = clopper_pearson(self.rate * n, n, confidence=confidence)
        return Interval(self.rate, min(exact.low, self.rate), max(exact.high, self.rate))


def arm(success: np.ndarray, clusters: np.ndarray | None = None) -> Arm:
    """Return the arm of (n,) successes; attacks with the same non-negative cluster number are dependent.

    Source: Kish (1965), the design effect of cluster sampling.
    """
    success = np.asarray(success, dtype=bool)
    n, k = len(success), int(success.sum())
    if clusters is None or k in (0, n):
        return Arm(k, n)
    codes = np.where(clusters < 0, clusters.max() + 1 + np.arange(n), clusters)
    pull = np.bincount(np.unique(codes, return_inverse=True)[1], weights=success - k / n)
    return Arm(k, n, max(1.0, float((pull**2).sum()) / (n * (k / n) * (1 - k / n))))


def excess_risk(members: Arm, others: Arm, *, confidence: float = 0.95) -> Interval | None:
    """Return R = (p_members - p_others) / (1 - p_others) with its interval; None if p_others is 1.

    R is 1 minus the ratio of the two failure rates. The interval of the ratio comes from those of the rates on the log
    scale; where a failure rate is 0, opposite ends are divided, which is wider. Values below -1 become -1.

    Source: the risk of Giomi et al. (2023); interval as in Zou & Donner (2008).
    """
    one, two = members.interval(confidence), others.interval(confidence)
    fail_in, fail_out = 1 - one.value, 1 - two.value
    if fail_out <= 0:
        return None
    least_in, most_in = 1 - one.high, 1 - one.low
    least_out, most_out = 1 - two.high, 1 - two.low
    value = 1 - fail_in / fail_out
    if fail_in <= 0:
        most = most_in / least_out if least_out > 0 else math.inf
        return Interval(value, max(FLOOR, 1 - most), 1.0)
    log_ratio = math.log(fail_in / fail_out)
    down = math.hypot(_log_ratio(fail_in, least_in), _log_ratio(most_out, fail_out))
    up = math.hypot(_log_ratio(most_in, fail_in), _log_ratio(fail_out, least_out))
    low = 1 - math.exp(min(700.0, log_ratio + up))
    return Interval(max(FLOOR, value), max(FLOOR, low), min(1.0, 1 - math.exp(log_ratio - down)))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if below > 0 else math.inf


def allowed(others: Arm, claimed: tuple[float, float], confidence: float) -> float:
    """Return the highest success rate on members that (ε, δ) allows, given the upper end of the rate on others.

    A guess about a person is right at most e^ε times as often with them in the data as without, plus δ.
    Source: Dwork & Roth (2014); Kairouz, Oh & Viswanath (2015).
    """
    return allowed_tpr(others.interval(confidence).high, *claimed)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """The results of one attack, for a finding.

    Attributes:
      name, group: of the finding.
      members, others: successes on training rows and on holdout rows.
      naive: success rate of an attacker without the release.
      naive_label: what that attacker does instead.
      meaning: what the attack does, without figures.
      bounded: whether (ε, δ) bounds the rate on members by the rate on others.
    """

    name: str
    group: str
    members: Arm
    others: Arm
    naive: float
    naive_label: str
    meaning: str
    source: str
    bounded: bool
    detail: dict[str, Any]


def risk_finding(attack: Attack, *, claimed: tuple[float, float] | None, tests: int) -> Finding:
    """Return the finding of an attack: the excess risk R, the rates behind it, and a verdict at alpha / tests.

    `fail` if members are hit significantly more often than the claimed (ε, δ) allows; where no claim covers the
    attack, `review` if they are hit significantly more often than others. An attack no better than the naive one has
    failed: `info`, never `pass`.
    """
    risk = excess_risk(attack.members, attack.others)
    if risk is None:
        why = "the attack succeeds on every person outside the data, so nothing is left for the data to add."
        return insufficient("disclosure", attack.name, why, group=attack.group, n=attack.members.n)
    strict = 1 - 2 * ALPHA / tests / 2
    sure = excess_risk(attack.members, attack.others, confidence=strict)
    excess = sure is not None and sure.low > 0
    verdict, threshold = _verdict(attack, claimed if attack.bounded else None, strict, excess, tests)
    failed = attack.members.rate <= max(attack.naive, 0.0)
    gap = difference(attack.members.interval(), attack.others.interval()).within(-1.0, 1.0)
    return Finding.of(
        risk,
        family="disclosure",
        name=attack.name,
        group=attack.group,
        n=attack.members.n,
        visibility="officer",
        baseline=0.0,
        baseline_label="as for people outside the data",
        better="lower",
        verdict="info" if failed and verdict == "pass" else verdict,
        threshold=threshold,
        meaning=f"{attack.meaning} It succeeded for {percent(attack.members.rate, 2)} of the people in the data, for "
        f"{percent(attack.others.rate, 2)} of people outside and for {percent(attack.naive, 2)} where the attacker "
        f"{attack.naive_label}. " + (FAILED if failed else "") + MEANING,
        source=attack.source,
        detail={
            "attack_rate": attack.members.rate,
            "control_rate": attack.others.rate,
            "naive_rate": attack.naive,
            "difference": gap.value,
            "difference_low": gap.low,
            "difference_high": gap.high,
            "control_n": attack.others.n,
            "design_effect": attack.members.design,
            **attack.detail,
        },
    )


MEANING = (
    "The figure is the excess: (members - outsiders) / (1 - outsiders). A low one proves nothing of other attacks."
)
FAILED = "The attack did no better than without the release: it failed, and no conclusion follows. "


def _verdict(
    attack: Attack, claimed: tuple[float, float] | None, strict: float, excess: bool, tests: int
) -> tuple[Verdict, str]:
    shared = f"alpha = {ALPHA} shared by {tests} tests"
    if claimed is None:
        return "review" if excess else "info", f"members must not be hit more often than people outside; {shared} (own)"
    most = allowed(attack.others, claimed, strict)
    text = (
        f"members may be hit in at most {percent(most)} of cases, which (ε = {claimed[0]:g}, δ = {claimed[1]:g}) "
        f"allows beside the rate outside; {shared} (Kairouz et al. 2015)"
    )
    return ("fail" if attack.members.interval(strict).low > most else "pass"), text

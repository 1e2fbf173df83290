"""From findings to the verdict on each check of a policy. A verdict is evidence; a person decides what follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from privsynth.audit.finding import Finding
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.model import PROMISES, Check

Decision = Literal["fail", "review", "insufficient", "pass"]
ORDER: tuple[Decision, ...] = ("fail", "review", "insufficient", "pass")


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """The verdict on one check.

    Attributes:
      metric, groups, demand, source, why: of the check.
      verdict: the worst of the findings it looked at; for a promise, whether it keeps the threshold.
      counts: verdict -> how many findings have it.
      worst: groups that have the verdict, up to the first eight; () for the whole table.
      value, low, high: of the first finding that has the verdict; None where it has no figure.
      exact: whether a finding of the officer's was looked at.
    """

    metric: str
    groups: str
    demand: str
    source: str
    why: str
    verdict: Decision
    counts: Mapping[str, int]
    worst: tuple[str, ...]
    value: float | None
    low: float | None
    high: float | None
    exact: bool


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a policy says of a run.

    Attributes:
      policy, version, purpose: of the policy. digest: SHA-256 of the file it was read from.
      public_only: whether nothing but public figures was looked at.
      outcomes: one for each check, in the policy's order.
    """

    policy: str
    version: str
    purpose: str
    digest: str
    public_only: bool
    outcomes: tuple[CheckOutcome, ...]

    @property
    def verdict(self) -> Decision:
        """The worst verdict of all checks."""
        return _worst([outcome.verdict for outcome in self.outcomes])

    def count(self, verdict: str) -> int:
        """Return how many checks have a verdict."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def judge(loaded: LoadedPolicy, findings: Iterable[Finding], *, promise: Mapping[str, float]) -> Judgement:
    """Return the verdict on each check.

    Args:
      findings: of the run; a check looks at those that it names.
      promise: "promised_epsilon" and "promised_delta", or nothing where nothing was promised.
    """
    policy, known = loaded.policy, list(findings)
    return Judgement(
        policy=policy.policy,
        version=policy.version,
        purpose=policy.purpose,
        digest=loaded.digest,
        public_only=policy.public_only,
        outcomes=tuple(_outcome(check, known, promise) for check in policy.checks),
    )


def _outcome(check: Check, findings: list[Finding], promise: Mapping[str, float]) -> CheckOutcome:
    seen = _looked_at(check, findings) if check.metric not in PROMISES else []
    decisions = [_decide(check, finding) for finding in seen]
    shown = None
    if check.metric in promise:
        value = promise[check.metric]
        decisions = [_against(check, value, value, value)]
    verdict = _worst(decisions) if decisions else check.if_insufficient
    named = [f for f, decision in zip(seen, decisions, strict=False) if decision == verdict]
    shown = named[0] if named else None
    return CheckOutcome(
        metric=check.metric,
        groups=check.groups,
        demand=check.demand,
        source=check.source,
        why=check.why,
        verdict=verdict,
        counts={d: decisions.count(d) for d in ORDER if d in decisions},
        worst=tuple(f.group for f in named if f.group)[:8],
        value=shown.value if shown else promise.get(check.metric),
        low=shown.low if shown else None,
        high=shown.high if shown else None,
        exact=any(finding.visibility == "officer" for finding in seen),
    )


def _looked_at(check: Check, findings: list[Finding]) -> list[Finding]:
    return [
        f
        for f in findings
        if f.name == check.metric
        and check.visibility in ("any", f.visibility)
        and fnmatchcase(f.group.lower(), check.groups.lower())
    ]


def _decide(check: Check, finding: Finding) -> Decision:
    if check.judge == "verdict":
        own: dict[str, Decision] = {"fail": "fail", "review": "review", "insufficient": check.if_insufficient}
        return own.get(finding.verdict, "pass")
    if finding.value is None or (check.compare != "value" and finding.baseline is None):
        return check.if_insufficient
    base = 0.0 if check.compare == "value" else float(finding.baseline or 0.0)
    value = finding.value - base
    low = value if finding.low is None else finding.low - base
    high = value if finding.high is None else finding.high - base
    if check.compare == "distance":
        value, low, high = abs(value), max(low, -high, 0.0), max(abs(low), abs(high))
    return _against(check, value, low, high)


def _against(check: Check, value: float, low: float, high: float) -> Decision:
    if check.judge == "estimate":
        low = high = value
    if check.at_most is not None:
        return "pass" if high <= check.at_most else "fail" if low > check.at_most else "review"
    bound = check.at_least if check.at_least is not None else 0.0
    return "pass" if low >= bound else "fail" if high < bound else "review"


def _worst(decisions: Iterable[Decision]) -> Decision:
    there = set(decisions)
    return next((decision for decision in ORDER if decision in there), "pass")

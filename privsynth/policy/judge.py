"""From findings to the verdict on each check of a policy. A verdict is evidence; a person decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from privsynth.findings.finding import Finding
from privsynth.policy.definition import PROMISES, Check
from privsynth.policy.files import LoadedPolicy

Decision = Literal["fail", "review", "insufficient", "pass"]
OF_SYNTHETIC_ROWS = ("rules", "pii")  # families whose public figures count synthetic rows, without noise
GROUPS_SHOWN = 5  # of those that a check could have named (own): enough to see how they are written
ORDER: tuple[Decision, ...] = ("fail", "review", "insufficient", "pass")


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """The verdict on one check.

    Attributes:
      metric, groups, demand, source, why: of the check.
      verdict: the worst over its findings; for a promise, whether it meets the threshold.
      counts: verdict -> how many findings have it.
      worst: the first eight groups with the verdict; () for the whole table.
      value, low, high: what was compared with the threshold, for the first finding with the verdict; None without a
        figure.
      exact: whether an officer's finding was used.
      noisy: whether the figures are paid, with noise, and none of them exact.
      alone: whether no finding answers it: it is about the promise, or there is no such figure.
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
    noisy: bool = False
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdicts of a policy on a run.

    Attributes:
      policy, version, purpose: of the policy. digest: SHA-256 of the file it was read from.
      public_only: whether only public findings were used.
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
        """Return the number of checks with this verdict."""
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


def judge(loaded: LoadedPolicy, findings: Iterable[Finding], *, promise: Mapping[str, float]) -> Judgement:
    """Return the verdict on each check.

    Args:
      findings: of the run; each check uses those that it names.
      promise: "promised_epsilon" and "promised_delta", or empty without a promise.
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
    seen = looked_at(check, findings) if check.metric not in PROMISES else []
    decisions = [decide(check, finding) for finding in seen]
    if check.metric in promise:
        decisions = [_against(check, promise[check.metric], promise[check.metric], promise[check.metric])]
    verdict = _worst(decisions) if decisions else check.if_insufficient
    named = [f for f, decision in zip(seen, decisions, strict=False) if decision == verdict]
    value, low, high = _compared(check, named[0]) if named else (promise.get(check.metric), None, None)
    return CheckOutcome(
        metric=check.metric,
        groups=check.groups,
        demand=check.demand,
        source=check.source,
        why=f"{check.why} {_unreachable(check, seen)}{_unanswered(check, seen, findings)}".strip(),
        verdict=verdict,
        counts={d: decisions.count(d) for d in ORDER if d in decisions},
        worst=tuple(f.group for f in named if f.group)[:8],
        value=value,
        low=low,
        high=high,
        exact=any(finding.visibility == "officer" for finding in seen),
        noisy=any(_is_paid(finding) for finding in seen) and all(finding.visibility == "public" for finding in seen),
        alone=not seen,
    )


def _unreachable(check: Check, seen: list[Finding]) -> str:
    """Return a sentence on a threshold that fresh real rows miss; "" where they meet it, or are not known."""
    if check.judge == "verdict":
        return ""
    missed = next((f.baseline for f in seen if fresh_rows_would_fail(check, f)), None)
    if missed is None:
        return ""
    return f"Fresh real rows reach {missed:.3g} and miss this threshold: what fails it asks for a look only. Change it."


def _unanswered(check: Check, seen: list[Finding], findings: list[Finding]) -> str:
    """Return a sentence on a check that misses the figures of its name, by their groups or by who sees them."""
    named = [f for f in findings if f.name == check.metric]
    if seen or not named:
        return ""
    visible = [f for f in named if check.visibility in ("any", f.visibility)]
    if not visible:
        return f"No figure of this name is visible as {check.visibility} here."
    there = list(dict.fromkeys(f.group or "the whole table" for f in visible))
    more = f" and {len(there) - GROUPS_SHOWN} more" if len(there) > GROUPS_SHOWN else ""
    return f"No group is like '{check.groups}'; there are {', '.join(there[:GROUPS_SHOWN])}{more}."


def looked_at(check: Check, findings: list[Finding]) -> list[Finding]:
    """Return the findings that a check is about: the exact ones where it asks for any and there are such.

    A noisy figure beside its exact twin says nothing more, and could fail by its noise alone.
    """
    found = [
        f
        for f in findings
        if f.name == check.metric
        and check.visibility in ("any", f.visibility)
        and fnmatchcase(f.group.lower(), check.groups.lower())
    ]
    exact = [f for f in found if f.visibility == "officer"]
    return exact if any(f.value is not None for f in exact) else found


def _is_paid(finding: Finding) -> bool:
    return finding.visibility == "public" and finding.value is not None and finding.family not in OF_SYNTHETIC_ROWS


def decide(check: Check, finding: Finding) -> Decision:
    """Return the verdict of a check on one finding."""
    if check.judge == "verdict":
        own: dict[str, Decision] = {"fail": "fail", "review": "review", "insufficient": check.if_insufficient}
        return own.get(finding.verdict, "pass")
    value, low, high = _compared(check, finding)
    if value is None:
        return check.if_insufficient
    told = _against(check, value, value if low is None else low, value if high is None else high)
    return "review" if told == "fail" and fresh_rows_would_fail(check, finding) else told


def fresh_rows_would_fail(check: Check, finding: Finding) -> bool:
    """Return whether fresh real rows miss a threshold themselves: no synthetic table can be asked to meet it."""
    if check.compare != "value" or finding.baseline is None or not finding.baseline_label.startswith("holdout"):
        return False
    if check.at_most is not None:
        return finding.baseline > check.at_most
    return check.at_least is not None and finding.baseline < check.at_least


def _compared(check: Check, finding: Finding) -> tuple[float | None, float | None, float | None]:
    """Return value and interval as the check compares them; None without a figure."""
    if check.compare == "value" or finding.value is None:
        return finding.value, finding.low, finding.high
    if finding.baseline is None:
        return None, None, None
    base = finding.baseline
    if "shift_low" in finding.detail:  # the audit knows the sampling error of what it compares with, too
        moved = (finding.detail["shift"], finding.detail["shift_low"], finding.detail["shift_high"])
        return moved if check.compare == "difference" else _away(*moved)
    value, low, high = (None if end is None else end - base for end in (finding.value, finding.low, finding.high))
    if check.compare == "difference" or value is None:
        return value, low, high
    return _away(value, value if low is None else low, value if high is None else high)


def _away(value: float, low: float, high: float) -> tuple[float, float, float]:
    return abs(value), max(low, -high, 0.0), max(abs(low), abs(high))


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

"""How far a finding lies beyond what fresh real rows reach: the verdict that follows, and which findings are worst.

Fresh rows of the same population are not at distance zero either. So a figure of fidelity is judged by its excess over
theirs, at equal numbers of rows, with an interval that covers the sampling error of all tables. An audit that measured
the excess leaves it in the finding; everything here is a function of findings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from privsynth.findings.finding import Finding, Verdict
from privsynth.stats.intervals import Interval

# Of a false alarm of one figure, two-sided (own): a report judges some hundred figures, so that fresh real rows would
# raise one in ten reports. They raise fewer, for intervals of distances near zero are too wide.
ALPHA = 0.001
BEYOND = "beyond_fresh_rows"  # key of the excess in the detail of a finding
RATIO = "beyond_is_log_ratio"  # key: that excess is a logarithm of a ratio
MOST_TIMES = 1_000  # a factor beyond is told as more than that (own)
FIRST: tuple[Verdict, ...] = ("fail", "review", "insufficient", "pass", "info")
# Families in which a failure says that somebody may be harmed: they come before any failure of likeness.
OF_PEOPLE = frozenset({"membership", "disclosure", "alarms", "pii"})
OF_REAL_COLUMNS = frozenset({"pii_column", "pii_columns"})  # say what the source has, and nothing of the release
SAME_KIND = 2  # reasons of one name among the strongest: a third says little that is new (own)


@dataclass(frozen=True)
class Limits:
    """From which excess a person has to look, from which a figure fails, and why; in the unit of the figure.

    Attributes:
      ratio: they are factors, either way, and the excess is the logarithm of a ratio.
    """

    review: float
    fail: float
    why: str
    ratio: bool = False

    @property
    def words(self) -> str:
        """The limits as a sentence."""
        what = "how many times too light or too heavy" if self.ratio else "how far beyond fresh real rows"
        return (
            f"{what}: review above {self.review:g}, fail if the whole interval ({1 - ALPHA:.1%}) lies above "
            f"{self.fail:g} ({self.why})"
        )

    @property
    def as_excess(self) -> tuple[float, float]:
        """The two limits on the scale of the excess."""
        return (math.log(self.review), math.log(self.fail)) if self.ratio else (self.review, self.fail)


MISPLACED = Limits(0.1, 0.25, "one row in ten, as the shipped policies ask of a trusted partner; one in four, own")
STRENGTH = Limits(0.1, 0.3, "a small and a medium effect, Cohen 1988")
SHIFTED = Limits(0.2, 0.5, "a small and a medium effect in standard deviations, Cohen 1988")
TAILS = Limits(2, 10, "own", ratio=True)
TOLD_APART = Limits(0.1, 0.25, "0.25 is halfway from guessing to certainty, own")
RATE = Limits(0.05, 0.1, "five points, as the shipped policies ask; ten points, own")


def judged(finding: Finding, beyond: Interval, limits: Limits) -> Finding:
    """Return the finding with the verdict that follows from its excess over fresh real rows.

    It fails if the whole interval lies above the limit, and asks for a look if the excess does so beyond chance. Where
    the interval reaches above the limit of failure without either, there is not enough evidence for a pass.

    Args:
      beyond: the excess at a confidence of 1 - ALPHA, shared among as many figures as it was picked from; of a
        difference with a sign, from `either_way`.
    """
    return replace(
        finding,
        verdict=_verdict(beyond, limits),
        threshold=limits.words,
        detail={**finding.detail, BEYOND: excess(beyond, limits.as_excess[1])}
        | ({RATIO: True} if limits.ratio else {}),
    )


def excess(beyond: Interval, fail: float) -> dict[str, float]:
    """Return an excess as `severity` reads it from the detail of a finding, under `BEYOND`."""
    return {"value": beyond.value, "low": beyond.low, "high": beyond.high, "fail_above": fail}


def _verdict(beyond: Interval, limits: Limits) -> Verdict:
    review, fail = limits.as_excess
    if beyond.low > fail:
        return "fail"
    if beyond.value > review and beyond.low > 0:
        return "review"
    return "insufficient" if beyond.high > fail else "pass"


def excess_words(finding: Finding) -> str:
    """Return what is compared with the limits of a finding, which is not its value; "" where its value is."""
    beyond = finding.detail.get(BEYOND)
    if beyond is None or finding.value is None:
        return ""
    if not finding.detail.get(RATIO):
        return f"{beyond['value']:.3f} beyond fresh real rows"
    times = math.exp(min(float(beyond["value"]), 700.0))
    told = f"more than {MOST_TIMES:,}" if times > MOST_TIMES else f"{times:.1f}"
    return f"{told} times too {'light' if finding.value < 1 else 'heavy'}"


def either_way(difference: Interval) -> Interval:
    """Return how far a difference lies from zero, whichever its sign."""
    value, low, high = difference.value, difference.low, difference.high
    return Interval(abs(value), max(low, -high, 0.0), max(abs(low), abs(high)))


def severity(finding: Finding) -> float:
    """Return how far a finding surely lies beyond fresh real rows, in units of what fails: 1 is just failing.

    Comparable across names. It is the near end of the excess; what has none counts by its verdict alone.
    """
    beyond = finding.detail.get(BEYOND)
    if beyond is not None:
        return max(0.0, float(beyond["low"])) / float(beyond["fail_above"])
    return {"fail": 1.0, "review": 0.4}.get(finding.verdict, 0.0)


def worst_first(finding: Finding) -> tuple[Any, ...]:
    """Return a sort key: by verdict, then by severity, exact before noisy; stable for the rest."""
    return (
        FIRST.index(finding.verdict),
        -severity(finding),
        -_estimate(finding),
        finding.visibility == "public",
    )


def _estimate(finding: Finding) -> float:
    """Return the excess itself, in units of what fails, to order what is within chance."""
    beyond = finding.detail.get(BEYOND)
    if beyond is not None:
        return float(beyond["value"]) / float(beyond["fail_above"])
    if finding.value is None:
        return -math.inf
    if finding.better == "target" and finding.baseline is not None:
        return abs(finding.value - finding.baseline)
    value = finding.value - (finding.baseline or 0.0)
    return -value if finding.better == "higher" else value


def strongest(findings: Iterable[Finding], n: int = 3) -> list[Finding]:
    """Return at most n findings that speak most strongly against a release: failures first, then what asks for a look.

    No two are about the same columns or the same group, and of one name there are at most `SAME_KIND`, unless nothing
    else is left. Failures that concern people come before failures of likeness.
    """
    against = [
        f for f in findings if f.verdict in ("fail", "review") and f.value is not None and f.name not in OF_REAL_COLUMNS
    ]
    harms = {id(f) for f in against if f.verdict == "fail" and f.family in OF_PEOPLE}
    against.sort(key=lambda f: (id(f) not in harms, *worst_first(f)))
    varied = _pick(against, n, lambda f, chosen: sum(kind_of(f) == kind_of(c) for c in chosen) < SAME_KIND)
    return varied if len(varied) == n else _pick(against, n, lambda f, chosen: True)


def _pick(ranked: Sequence[Finding], n: int, fits: Callable[[Finding, list[Finding]], bool]) -> list[Finding]:
    chosen: list[Finding] = []
    for finding in ranked:
        if len(chosen) == n:
            break
        own = subject(finding)
        if all(not own or not (own <= subject(c) or own >= subject(c)) for c in chosen) and fits(finding, chosen):
            chosen.append(finding)
    return chosen


def kind_of(finding: Finding) -> str:
    """Return the name of a finding without the end that says how it was picked or joined."""
    return finding.name.removesuffix("_worst").removesuffix("_mean")


def subject(finding: Finding) -> frozenset[str]:
    """Return what a finding is about: its columns, or its group and outcome; its name where it is about all rows."""
    if not finding.group:
        return frozenset({f"all rows: {kind_of(finding)}"})
    group = finding.group.split(" (")[0] if finding.family == "fidelity" else finding.group
    parts = (part for place in group.split(" · ") for part in place.split(" × "))
    if finding.family == "bias":  # "sex=F, ethnicity=x" is a part of "ethnicity=x"
        parts = (piece for part in parts for piece in part.split(", "))
    return frozenset(part.strip() for part in parts)

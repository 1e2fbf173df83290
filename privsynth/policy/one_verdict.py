"""One set of verdicts: what a policy demands becomes part of the verdicts of the findings, and these are counted once.

Tiles, sections, the terminal, exit codes and report.json all say what stands here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from privsynth.findings.finding import Finding, Verdict
from privsynth.findings.severity import FIRST
from privsynth.policy.definition import Check
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import CheckOutcome, Decision, Judgement, decide, looked_at


def with_policy(loaded: LoadedPolicy | None, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the worse of their own verdict and that of the policy, and the threshold of that.

    A policy adds requirements and removes none. Applying it twice changes nothing more.

    Args:
      loaded: None for no policy.
    """
    known = list(findings)
    if loaded is None:
        return known
    demands: dict[int, list[Check]] = {}
    for check in loaded.policy.checks:
        for finding in looked_at(check, known):
            demands.setdefault(id(finding), []).append(check)
    return [_worse(finding, demands.get(id(finding), ()), loaded) for finding in known]


def public_policy(loaded: LoadedPolicy | None) -> LoadedPolicy | None:
    """Return a policy if it judges public figures only; of any other nothing may appear in public."""
    return loaded if loaded is not None and loaded.policy.public_only else None


def _worse(finding: Finding, demands: Iterable[Check], loaded: LoadedPolicy) -> Finding:
    for check in demands:
        told: Verdict = decide(check, finding)
        if check.judge == "verdict":
            # Its own verdict already; but a figure that no threshold of its own passes has met the policy's demand.
            if finding.verdict == "info" and finding.value is not None:
                finding = replace(finding, verdict=told)
            continue
        if FIRST.index(told) < FIRST.index(finding.verdict):
            words = f"{check.demand} (policy {loaded.policy.policy}: {check.source})"
            finding = replace(finding, verdict=told, threshold=words)
    return finding


def verdict_counts(findings: Iterable[Finding], judgement: Judgement | None) -> Counter[Verdict]:
    """Return how many checks have each verdict: findings, and those checks of a policy that no finding answers.

    Args:
      findings: with the verdicts of the policy (`with_policy`).
    """
    counts: Counter[Verdict] = Counter(finding.verdict for finding in findings)
    counts.update(check["verdict"] for check in unanswered(judgement))
    return counts


def unanswered(judgement: Judgement | None) -> list[dict[str, Decision]]:
    """Return the verdicts of the checks that no finding answers: of the promise, or where there is no such figure."""
    return [{"verdict": outcome.verdict} for outcome in unanswered_checks(judgement)]


def unanswered_checks(judgement: Judgement | None) -> list[CheckOutcome]:
    """Return the checks that no finding answers: of the promise, or where there is no such figure."""
    return [] if judgement is None else [outcome for outcome in judgement.outcomes if outcome.alone]


def overall(findings: Iterable[Finding], judgement: Judgement | None) -> Literal["pass", "review", "fail"]:
    """Return `fail` if any check failed, else `review` if one asks for a look, else `pass`."""
    counts = verdict_counts(findings, judgement)
    return "fail" if counts["fail"] else "review" if counts["review"] else "pass"

"""What a report's own figures cast doubt on, so that page one does not praise it in another place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from privsynth.findings.finding import Finding

JOIN = " × "
DOUBTFUL = ("fail", "review")


@dataclass(frozen=True)
class Doubts:
    """What findings of fidelity fail, or ask a person to look at.

    Attributes:
      failed: columns of which a figure failed.
      ties: pairs of columns, each as the set of its names, of which a figure failed or asks for a look.
    """

    failed: frozenset[str]
    ties: frozenset[frozenset[str]]

    def of(self, tie: str) -> bool:
        """Return whether there is doubt about a tie, named "a × b"."""
        return frozenset(tie.split(JOIN)) in self.ties


def doubts(findings: Iterable[Finding]) -> Doubts:
    """Return what the findings of a report cast doubt on; of a public report these are public."""
    failed, ties = set(), set()
    for finding in findings:
        names = finding.group.split(" (")[0].split(JOIN)
        if finding.family != "fidelity" or finding.verdict not in DOUBTFUL or not finding.group:
            continue
        if len(names) == 2:
            ties.add(frozenset(names))
        elif len(names) == 1 and finding.verdict == "fail":
            failed.add(names[0])
    return Doubts(frozenset(failed), frozenset(ties))

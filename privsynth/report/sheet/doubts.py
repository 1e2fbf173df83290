"""What a report's own figures cast doubt on, so that page one does not praise it in another place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from privsynth.findings.finding import Finding
from privsynth.findings.usability import JOIN, JoinedCodes

DOUBTFUL = ("fail", "review")


@dataclass(frozen=True)
class Doubts:
    """What findings of fidelity fail, or ask a person to look at.

    Attributes:
      failed: columns of which a figure failed.
      ties: pairs of columns, each as the set of its names, of which a figure failed or asks for a look.
      paid: those of them of which the paid figure does, at the level at which it judged the tie.
    """

    failed: frozenset[str]
    ties: frozenset[frozenset[str]]
    paid: frozenset[frozenset[str]]

    def of(self, tie: str, *, level: Mapping[int, JoinedCodes] = MappingProxyType({})) -> bool:
        """Return whether there is doubt about a tie, named "a × b".

        Args:
          level: in which groups of codes it is asked about (`Usability.levels`); then figures of single codes say
            nothing of it.
        """
        return frozenset(tie.split(JOIN)) in (self.paid if level else self.ties)


def doubts(findings: Iterable[Finding]) -> Doubts:
    """Return what the findings of a report cast doubt on; of a public report these are public."""
    failed, ties, paid = set(), set(), set()
    for finding in findings:
        names = finding.group.split(" (")[0].split(JOIN)
        if finding.family != "fidelity" or finding.verdict not in DOUBTFUL or not finding.group:
            continue
        if len(names) == 2:
            ties.add(frozenset(names))
            if finding.name == "tie_distance":
                paid.add(frozenset(names))
        elif len(names) == 1 and finding.verdict == "fail":
            failed.add(names[0])
    return Doubts(frozenset(failed), frozenset(ties), frozenset(paid))

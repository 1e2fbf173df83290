"""What is left to people: hazards of the claim, and their decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from privsynth.report.records.checked import one_of

HazardStatus = Literal["addressed", "partly", "open"]


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A way in which a claim of differential privacy can mislead, and what was done about it."""

    name: str
    addressed: str
    evidence: str
    residual: str
    status: HazardStatus

    def __post_init__(self) -> None:
        one_of(f"status of the hazard {self.name}", self.status, HazardStatus)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision; blank fields are printed as lines to fill in by hand."""

    name: str = ""
    role: str = ""
    date: str = ""
    decision: str = ""
    conditions: str = ""

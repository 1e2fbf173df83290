"""What a run made, as its caller gets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.notebook import card, checks_text, promise_text, worst_text
from privsynth.policy.judge import Judgement
from privsynth.policy.one_verdict import overall, unanswered
from privsynth.release.folder import Release
from privsynth.report.records.inside import LedgerState


@dataclass(frozen=True, kw_only=True, repr=False)
class SynthesisResult:
    """What a run made. It is the officer's: findings hold exact figures.

    Attributes:
      release: the public folder, opened.
      officer: the officer's folder.
      findings: public ones first, then the officer's.
      epsilon, delta, unit, dataset: the promise.
      signer: "" if unsigned.
      judgement: of the policy on all findings; None without a policy.
      unfinished: audits that were interrupted; the officer's report is then partial, the release whole.
      unresolved: columns of which the budget shows no value at all.
      usability: which columns and ties are worth something, from paid figures alone.
      columns: of the table that was read.
      ledger: the budget of the dataset, before and after the run.
      prior: what the release started from, and how far that was believed, in a sentence; None if from nothing.
      audit_level: how much the officer's audit did; "none" if it was not run.
    """

    release: Release
    officer: Path
    findings: tuple[Finding, ...]
    epsilon: float
    delta: float
    unit: str
    dataset: str
    signer: str
    judgement: Judgement | None = None
    unfinished: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    usability: Usability | None = None
    columns: tuple[str, ...] = ()
    ledger: LedgerState | None = None
    audit_level: str = "none"
    prior: str | None = None

    def __repr__(self) -> str:
        promise = f"epsilon={self.epsilon:g}, delta={self.delta:g}, unit={self.unit!r}"
        return f"SynthesisResult(dataset={self.dataset!r}, {promise}, verdict={self.verdict!r})"

    def _repr_html_(self) -> str:
        findings = [finding.to_json() for finding in self.findings]
        checks = checks_text([*findings, *unanswered(self.judgement)])
        if self.audit_level == "none":
            checks = "not audited: the officer's audit was not run"
        most = self.release.report["guarantee"].get("max_rows_per_unit")
        return card(
            f"Release of {self.dataset}",
            [
                ("Promise", promise_text(self.epsilon, self.delta, self.unit, most)),
                ("Budget left", "" if self.ledger is None else _left_text(self.ledger)),
                ("Checks", checks),
                ("Worst finding", worst_text(findings)),
                ("Stopped audits", ", ".join(self.unfinished)),
                *([] if self.usability is None else self.usability.lines()),
                ("No value stands out in", ", ".join(self.unresolved)),
                ("Prior", self.prior or ""),
                ("Signed by", self.signer or "nobody: the release is marked UNSIGNED"),
                ("Public report", str(self.release.folder / "report.html")),
                ("Officer's report", f"{self.officer / 'report.html'} (exact figures: keep it inside)"),
            ],
        )

    @property
    def verdict(self) -> Literal["pass", "review", "fail"]:
        """`fail` if any check failed, of the findings or of the policy, else `review`, else `pass`."""
        return overall(self.findings, self.judgement)


def _left_text(state: LedgerState) -> str:
    left = max(state.cap_epsilon - state.spent_after_epsilon, 0.0)
    return f"epsilon {left:g} of {state.cap_epsilon:g} for this dataset, after this release"

"""What the policy of a release says of it, as its verified officer's report has it; a decision names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privsynth.errors import OutputError, VerificationError
from privsynth.signing._files import read_limited
from privsynth.strict.json import loads

REPORT = Path("officer") / "report.json"
MAX_BYTES = 256_000_000  # of report.json (own): those of wide tables take some megabytes
VERDICTS = ("fail", "review", "insufficient", "pass")


@dataclass(frozen=True)
class PolicyVerdict:
    """The worst verdict of a policy on a release.

    Attributes:
      policy, version: as the policy names itself. digest: SHA-256 of its file.
      verdict: the worst of its checks: "fail", "review", "insufficient" or "pass".
    """

    policy: str
    version: str
    digest: str
    verdict: str

    def __post_init__(self) -> None:
        texts = (self.policy, self.version, self.digest)
        if self.verdict not in VERDICTS or not all(isinstance(text, str) for text in texts):
            raise ValueError("verdict")

    @property
    def refuses(self) -> bool:
        """Whether a check failed."""
        return self.verdict == "fail"

    def to_json(self) -> dict[str, str]:
        """Return JSON-able data."""
        return {"policy": self.policy, "version": self.version, "sha256": self.digest, "verdict": self.verdict}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> PolicyVerdict:
        """Return what `to_json` wrote.

        Raises:
          KeyError, TypeError, ValueError: it is nothing of the kind.
        """
        if set(told) != {"policy", "version", "sha256", "verdict"}:
            raise ValueError("policy")
        return cls(told["policy"], told["version"], told["sha256"], told["verdict"])


@dataclass(frozen=True)
class ReportVerdicts:
    """The verdicts of the officer's report.

    Attributes:
      policy: None where none was applied.
      approvals: people who have to approve by that policy; 1 where none was applied, or it does not say.
      failed: metrics of the policy's checks that failed, in its order.
      checks: how many the policy has.
      counts: verdict -> how many findings have it, and checks of the policy that no finding answers.
    """

    policy: PolicyVerdict | None
    failed: tuple[str, ...]
    checks: int
    counts: Mapping[str, int]
    approvals: int = 1


def report_verdicts(run: Path) -> ReportVerdicts | None:
    """Return the verdicts of the officer's report of a run that was just verified; None if it has no report.json.

    Raises:
      VerificationError: it is no report.
      OutputError: it cannot be read.
    """
    path = run / REPORT
    try:
        data = read_limited(path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise OutputError(f"{path} cannot be read: {problem.strerror}") from None
    document = loads(data, what=str(path), max_bytes=MAX_BYTES, error=VerificationError)
    try:
        return _parsed(document)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise VerificationError(f"{path} is no report of privsynth") from None


def _parsed(document: Mapping[str, Any]) -> ReportVerdicts:
    found, told = [finding["verdict"] for finding in document["findings"]], document.get("policy")
    if told is not None:  # checks that no finding answers count too, as in the tiles of the report
        found += [outcome["verdict"] for outcome in told["outcomes"] if outcome.get("alone")]
    counts = {verdict: found.count(verdict) for verdict in VERDICTS}
    needed = document.get("approvals", 1)
    if type(needed) is not int or needed < 1:
        raise ValueError("approvals")
    if told is None:
        return ReportVerdicts(None, (), 0, counts, needed)
    each = [outcome["verdict"] for outcome in told["outcomes"]]
    if not set(each) <= set(VERDICTS):
        raise ValueError("verdict")  # what is not understood has not passed
    verdict = next((one for one in VERDICTS if one in each), "pass")
    failed = tuple(outcome["metric"] for outcome in told["outcomes"] if outcome["verdict"] == "fail")
    judged = PolicyVerdict(told["policy"], told["version"], told["digest"], verdict)
    return ReportVerdicts(judged, failed, len(each), counts, needed)

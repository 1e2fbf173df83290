"""A run before anything is read of the table, and after all is made but nothing written."""

from __future__ import annotations

from dataclasses import dataclass

from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.partitions.executors.protocol import Executor
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.learning.request import Private, Public, Request
from privsynth.pipeline.reading.inputs import physical_types
from privsynth.pipeline.usability.advice import Prospect
from privsynth.pipeline.usability.outlook import TableSize
from privsynth.pipeline.writing.report_records import Signing
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import Judgement
from privsynth.privacy.budget import Bill
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.report.records.promise import EarlierReleases
from privsynth.signing.envelope import Signer
from privsynth.sources.registry import Source
from privsynth.table import Table


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that is settled before any row is read.

    Attributes:
      executor: what runs the tasks of a table in several parts.
      public_rows: of the prior, where it is a table.
    """

    config: SynthesizeConfig
    env: Environment
    source: Source
    request: Request
    signing: Signing
    key: Signer | None
    holder: str
    policy: LoadedPolicy | None
    extensions: tuple[Extension, ...]
    executor: Executor
    public_rows: Table | None = None

    def case(self, scale: TableSize) -> Prospect:
        """Return the release as it is judged for a number of rows."""
        request = self.request
        return Prospect(
            schema=request.schema,
            types=physical_types(self.source),
            budget=request.budget,
            generator=request.generator,
            scale=scale,
            known=() if request.known is None else tuple(request.known.columns),
        )


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a run has made before anything of it is written."""

    public: Public
    private: Private
    bill: Bill
    findings: list[Finding]
    audited: AuditRun
    officer: OfficerPart
    earlier: EarlierReleases
    judgement: Judgement | None

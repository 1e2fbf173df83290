"""`ReportData`: everything a report says, as records; none can hold a row of a table.

The public report is a function of public facts, the synthetic rows and paid releases. `ReportData` enforces the half
of it that types can: a public report refuses a finding that is not public, and any part that is the officer's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.policy.judge import Judgement
from privsynth.report.records.as_json import as_json
from privsynth.report.records.checked import one_of
from privsynth.report.records.inside import OfficerPart
from privsynth.report.records.judgement import ApprovedEdition, Decision, Hazard, SignOff, Terms
from privsynth.report.records.promise import EarlierReleases, GeneratorRecord, Guarantee, PriorRecord
from privsynth.report.records.tables import ColumnProfile, ColumnRecord, SampleRows, TableRecord
from privsynth.wording.words import ENGLISH, LANGUAGES

SCHEMA_VERSION = "1.1"

ReportKind = Literal["public", "officer"]


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything a report says; the HTML and report.json are functions of it.

    Attributes:
      kind: "public" or "officer".
      language: of page one and of the annex on laws, one of `privsynth.wording.words.LANGUAGES`; the rest is English.
      created: ISO 8601 date and time with its offset; the clock is the caller's.
      unsigned: no key was given. demo: the key is the one named DEMO.
      guarantee: None for a generator without one, or for a table from elsewhere; never None in a public report.
      n_rows_synthetic: rows of the synthetic table; None if unknown.
      rules: the declared rules, as sentences.
      samples: some synthetic rows of each table, as they are written.
      sampling_seed: of the synthetic rows; None if unknown. It says nothing about the noise, which has no seed.
      files: names of the files of the release.
      signer: name and fingerprint of the key that will sign; "" if not known when the report is made.
      tables: where several linked tables were released, each of them; columns and findings then name their table first.
      policy_inside: whether a policy was applied of which nothing but its recipients may appear in public.
      usability: which columns and ties are worth something; None where no run judged them.
      prior: what the release started from; not written if from nothing.
      extensions: sources and audits that were taken from other packages; not written if there are none.
      policy: the verdicts of a policy; in a public report only of one that looks at public figures alone.
      earlier: the releases of the same dataset before this one; not written where no ledger was asked.
      approvals: how many people who did not make the release have to approve it by the policy; 0, and not written,
        without a policy.
      recipients: what the policy lets each recipient do; not written if it names none.
      sign_offs: what people decided, where this edition was made after that.
      edition: of which draft this is the approved edition; not written in a draft.
      officer: None in a public report.

    Raises:
      ValueError: a public report was given something that is the officer's, or a record contradicts itself.
    """

    kind: ReportKind
    report_id: str
    dataset: str
    created: str
    tool_version: str
    generator: GeneratorRecord
    guarantee: Guarantee | None
    language: str = ENGLISH
    unsigned: bool = True
    demo: bool = False
    n_rows_synthetic: int | None = None
    columns: tuple[ColumnRecord, ...] = ()
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    synthetic_profile: tuple[ColumnProfile, ...] = ()
    samples: tuple[SampleRows, ...] = field(default=(), metadata={"omit_empty": True})
    hazards: tuple[Hazard, ...] = ()
    sampling_seed: int | None = None
    files: tuple[str, ...] = ()
    signer: str = ""
    decisions: tuple[Decision, ...] = (Decision(),)
    tables: tuple[TableRecord, ...] = field(default=(), metadata={"omit_empty": True})
    usability: Usability | None = field(default=None, metadata={"omit_empty": True})
    extensions: tuple[Extension, ...] = field(default=(), metadata={"omit_empty": True})
    prior: PriorRecord | None = field(default=None, metadata={"omit_empty": True})
    earlier: EarlierReleases | None = field(default=None, metadata={"omit_empty": True})
    policy_inside: bool = field(default=False, metadata={"omit_empty": True})
    approvals: int = field(default=0, metadata={"omit_empty": True})
    recipients: tuple[Terms, ...] = field(default=(), metadata={"omit_empty": True})
    sign_offs: tuple[SignOff, ...] = field(default=(), metadata={"omit_empty": True})
    edition: ApprovedEdition | None = field(default=None, metadata={"omit_empty": True})
    policy: Judgement | None = None
    officer: OfficerPart | None = None

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ReportKind)
        if self.language not in LANGUAGES:
            raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, not {self.language!r}")
        if datetime.fromisoformat(self.created).tzinfo is None:
            raise ValueError("created must carry its offset from UTC, for example 2026-11-22T10:00:00+00:00")
        if not self.generator.private and self.guarantee is not None:
            raise ValueError("a generator without privacy carries no guarantee; give guarantee=None")
        if self.kind == "public":
            self._check_public()

    def _check_public(self) -> None:
        if not self.generator.private:
            raise ValueError("a generator without privacy gets no public report")
        if self.guarantee is None:
            raise ValueError("a public report needs the guarantee it reports")
        if self.officer is not None:
            raise ValueError("a public report must not hold the officer's part")
        if self.policy is not None and not (
            self.policy.public_only and not any(outcome.exact for outcome in self.policy.outcomes)
        ):
            raise ValueError("a public report must not hold verdicts on the officer's findings")
        for finding in self.findings:
            if finding.visibility != "public":
                raise ValueError(f"a public report must not hold the officer's finding {finding.name}")

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data that fits `json_schema()`; every number is finite.

        The seed is a text: 64 bits do not survive every JSON reader.
        Raises:
          ValueError: a value is not finite, too large an integer, or not JSON-able; the message gives its place.
        """
        data = {"schema_version": SCHEMA_VERSION, **as_json(self, "report")}
        data["findings"] = [as_json(finding.to_json(), f"finding {finding.name}") for finding in self.findings]
        return data

    def to_json_text(self) -> str:
        """Return `to_json()` as text: sorted keys, two spaces, a final newline; the same report, the same bytes."""
        return json_text(self.to_json())


def json_text(data: Mapping[str, Any]) -> str:
    """Return what `ReportData.to_json` returned, as the text of report.json."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False) + "\n"


@cache
def json_schema_text() -> str:
    """Return the published JSON Schema of report.json."""
    return (Path(__file__).with_name("report.schema.json")).read_text(encoding="utf-8")


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema of report.json, parsed."""
    schema: dict[str, Any] = json.loads(json_schema_text())
    return schema

"""`ReportData`: everything a report says, as records; none can hold a row of a table.

The public report is a function of public facts, the synthetic rows and paid releases. `ReportData` enforces the half
of it that types can: a public report refuses a finding that is not public, and any part that is the officer's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args

from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.findings.left_out import RowsLeftOut
from privsynth.findings.usability import Usability
from privsynth.policy.judge import Judgement

SCHEMA_VERSION = "1.1"
LARGEST_EXACT_INTEGER = 2**53 - 1  # JSON readers keep larger integers only by luck

ReportKind = Literal["public", "officer"]
Provenance = Literal["declared", "bought", "fixed", "prior"]
HazardStatus = Literal["addressed", "partly", "open"]


@dataclass(frozen=True, kw_only=True)
class SpendRecord:
    """One release that was paid for.

    Attributes:
      label: its name in the ledger.
      mechanism: for example "Gaussian, integer-valued".
      noise_multiplier: standard deviation / sensitivity, dimensionless; None if the mechanism has none.
      sensitivity: largest L2 change between neighbours, in the units of the query; None if it has none.
      share: its part of the budget, 0 to 1, in mu squared; the shares of a guarantee sum to at most 1.
      delta: its part of delta.
      what: one sentence on what was released.
    """

    label: str
    mechanism: str
    share: float
    what: str
    noise_multiplier: float | None = None
    sensitivity: float | None = None
    delta: float = 0.0

    def __post_init__(self) -> None:
        _within(f"share of {self.label}", self.share, 0, 1)
        _within(f"delta of {self.label}", self.delta, 0, 1)
        for name in ("noise_multiplier", "sensitivity"):
            number = getattr(self, name)
            if number is not None:
                _within(f"{name} of {self.label}", number, 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What is promised, end to end.

    Attributes:
      epsilon, delta: the total cost of the release; epsilon > 0, 0 <= delta < 1.
      unit: "row", or the name of the column that names the protected unit.
      max_rows_per_unit: at most this many rows of a unit were used; None where the unit is a row.
      neighbours: one sentence that says which two tables the promise compares.
      accountant, second_accountant: which accountants computed the cost; the second is "" if there was none.
      mu: the release as Gaussian DP, if it is one; else None.
      mu_delta: probability of the events in which mu does not hold (thresholded discovery); part of delta.
      report_share: the part of the budget (in mu squared) set aside for the report's figures, 0 to 1.
      holdout_fraction: the share of units kept from training for the audit, 0 to 0.5.
      n_rows_noisy: the number of rows, bought with noise or declared public; None if neither.
      left_out: what rows beyond `max_rows_per_unit` mean for shares of rows; None where that is not known.
      spends: the paid releases, in order.
    """

    epsilon: float
    delta: float
    unit: str
    neighbours: str
    accountant: str
    max_rows_per_unit: int | None = None
    second_accountant: str = ""
    mu: float | None = None
    mu_delta: float = 0.0
    report_share: float = 0.0
    holdout_fraction: float = 0.0
    n_rows_noisy: int | None = None
    left_out: RowsLeftOut | None = field(default=None, metadata={"omit_empty": True})
    spends: tuple[SpendRecord, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ValueError(f"epsilon must be a finite number above 0, not {self.epsilon}")
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta must be at least 0 and below 1, not {self.delta}")
        if self.mu is not None and not (math.isfinite(self.mu) and self.mu > 0):
            raise ValueError(f"mu must be a finite number above 0 or None, not {self.mu}")
        _within("mu_delta", self.mu_delta, 0, self.delta)
        _within("report_share", self.report_share, 0, 1)
        _within("holdout_fraction", self.holdout_fraction, 0, 0.5)
        total = math.fsum(spend.share for spend in self.spends)
        if total > 1 + 1e-6:
            raise ValueError(f"the shares of the spends sum to {total}, more than the whole budget")


@dataclass(frozen=True, kw_only=True)
class GeneratorRecord:
    """The generator. `private=False` marks a reference without any guarantee."""

    name: str
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    private: bool = True


@dataclass(frozen=True, kw_only=True)
class ColumnRecord:
    """One column as the public report shows it.

    Attributes:
      domain: a sentence with the bounds or categories that the run used.
      provenance: where the domain is from: "declared" by a person, "bought" with noise, a "fixed" default, or a public
        "prior".
      treatment: "modelled", "dropped: free text", "fresh surrogate", "derived by rule", ...
    """

    name: str
    kind: str
    domain: str
    provenance: Provenance
    treatment: str
    roles: tuple[str, ...] = ()
    nullable: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        _one_of(f"provenance of {self.name}", self.provenance, Provenance)


@dataclass(frozen=True, kw_only=True)
class TableRecord:
    """One of several linked tables as the public report shows it.

    Attributes:
      name: of the table.
      parent: the table that its rows belong to; "" for the persons and for a reference table.
      order: the column that orders the rows of one parent; "" for none.
      max_children: at most so many rows of one person were used; None for the persons and for a reference table.
      n_rows: synthetic rows, or the public rows of a reference table.
      reference: whether it is public and was passed through unchanged.
    """

    name: str
    parent: str = ""
    order: str = ""
    max_children: int | None = None
    n_rows: int = 0
    reference: bool = False


@dataclass(frozen=True, kw_only=True)
class PriorRecord:
    """The public table or release from which this one started.

    Attributes:
      kind: "release", or "table" for rows that were declared public.
      name, digest: of the dataset or file; SHA-256 in hex.
      epsilon, unit: the promise of an earlier release; None and "" where there is none.
      columns: coded as the prior has them.
      bought: columns that the prior has too, and does not suit; their categories or bins were bought.
      agreement: how far columns depend on each other as in the prior, from 0 to 1; None where that was not asked.
    """

    kind: str
    name: str
    digest: str
    epsilon: float | None = None
    unit: str = ""
    columns: tuple[str, ...] = ()
    bought: tuple[str, ...] = ()
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """A small histogram of the SYNTHETIC rows of one column; `ordered` where the labels are bins of a scale."""

    column: str
    labels: tuple[str, ...]
    counts: tuple[float, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.counts):
            raise ValueError(f"the profile of {self.column} has {len(self.labels)} labels, {len(self.counts)} counts")
        for count in self.counts:
            _within(f"a count in the profile of {self.column}", count, 0, math.inf)


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """A way in which a claim of differential privacy can mislead, and what was done about it."""

    name: str
    addressed: str
    evidence: str
    residual: str
    status: HazardStatus

    def __post_init__(self) -> None:
        _one_of(f"status of the hazard {self.name}", self.status, HazardStatus)


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """The dataset's budget around this release; `delta_*` are None where the ledger caps epsilon alone."""

    cap_epsilon: float
    spent_before_epsilon: float
    spent_after_epsilon: float
    cap_delta: float | None = None
    spent_before_delta: float | None = None
    spent_after_delta: float | None = None
    releases_before: int | None = None


@dataclass(frozen=True, kw_only=True)
class AuditRun:
    """How much the officer's audit did.

    Attributes:
      level: "quick", "standard", "deep", or "none".
      left_out: audit -> what it leaves out at this level, as a sentence.
      thinned: how long tables were thinned, as a sentence; "" if they were not.
      unfinished: audits that a person stopped before they had finished.
      not_compared: columns of the real table that the synthetic one lacks.
    """

    level: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    thinned: str = ""
    unfinished: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OfficerPart:
    """What only the officer may see: exact, and outside every guarantee.

    Attributes:
      skipped: kind of bad cell or row -> how many.
      durations: stage -> seconds.
      pool: part of the audit's pool ("training", "holdout", "outside") -> units.
      source_commitment: keyed digest of the source, fresh key for each release; "" if none was made.
      release: SHA-256 of the manifest of the public folder, which stands for all of its files; "" outside a release.
      ledger: the dataset's budget before and after; None outside a ledger.
      audit: how much the audit did; None if that is not known.
    """

    skipped: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    pool: Mapping[str, int] = field(default_factory=dict)
    source_commitment: str = ""
    release: str = ""
    ledger: LedgerState | None = None
    audit: AuditRun | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A person's decision; blank fields are printed as lines to fill in by hand."""

    name: str = ""
    role: str = ""
    date: str = ""
    decision: str = ""
    conditions: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything a report says; the HTML and report.json are functions of it.

    Attributes:
      kind: "public" or "officer".
      created: ISO 8601 date and time with its offset; the clock is the caller's.
      unsigned: no key was given. demo: the key is the one named DEMO.
      guarantee: None for a generator without one, or for a table from elsewhere; never None in a public report.
      n_rows_synthetic: rows of the synthetic table; None if unknown.
      rules: the declared rules, as sentences.
      sampling_seed: of the synthetic rows; None if unknown. It says nothing about the noise, which has no seed.
      files: names of the files of the release.
      signer: name and fingerprint of the key that will sign; "" if not known when the report is made.
      tables: where several linked tables were released, each of them; columns and findings then name their table first.
      usability: which columns and ties are worth something; None where no run judged them.
      prior: what the release started from; not written if from nothing.
      extensions: sources and audits that were taken from other packages; not written if there are none.
      policy: the verdicts of a policy; in a public report only of one that looks at public figures alone.
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
    unsigned: bool = True
    demo: bool = False
    n_rows_synthetic: int | None = None
    columns: tuple[ColumnRecord, ...] = ()
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    synthetic_profile: tuple[ColumnProfile, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    sampling_seed: int | None = None
    files: tuple[str, ...] = ()
    signer: str = ""
    decisions: tuple[Decision, ...] = (Decision(),)
    tables: tuple[TableRecord, ...] = field(default=(), metadata={"omit_empty": True})
    usability: Usability | None = field(default=None, metadata={"omit_empty": True})
    extensions: tuple[Extension, ...] = field(default=(), metadata={"omit_empty": True})
    prior: PriorRecord | None = field(default=None, metadata={"omit_empty": True})
    policy: Judgement | None = None
    officer: OfficerPart | None = None

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ReportKind)
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
        data = {"schema_version": SCHEMA_VERSION, **_as_json(self, "report")}
        data["findings"] = [_as_json(finding.to_json(), f"finding {finding.name}") for finding in self.findings]
        return data

    def to_json_text(self) -> str:
        """Return `to_json()` as text: sorted keys, two spaces, a final newline; the same report, the same bytes."""
        return json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True, indent=2, allow_nan=False) + "\n"


@cache
def json_schema_text() -> str:
    """Return the published JSON Schema of report.json."""
    return (Path(__file__).with_name("report.schema.json")).read_text(encoding="utf-8")


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema of report.json, parsed."""
    schema: dict[str, Any] = json.loads(json_schema_text())
    return schema


def _as_json(value: Any, place: str) -> Any:
    """Return `value` as dicts, lists, texts and finite numbers; refuse what JSON cannot hold."""
    if value is None or isinstance(value, str | bool):
        return value
    if hasattr(value, "__dataclass_fields__"):
        written = (f for f in fields(value) if getattr(value, f.name) or not f.metadata.get("omit_empty"))
        return {f.name: _field(value, f.name, place) for f in written}
    if isinstance(value, Mapping):
        return {str(key): _as_json(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Integral):
        if abs(int(value)) > LARGEST_EXACT_INTEGER:
            raise ValueError(f"{place} is an integer beyond 2^53; give it as text")
        return int(value)
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise ValueError(f"{place} is not a finite number; leave it out or give it as text")
        return float(value)
    raise ValueError(f"{place} is a {type(value).__name__}, which JSON cannot hold")


def _field(record: Any, name: str, place: str) -> Any:
    value = getattr(record, name)
    if name == "sampling_seed" and value is not None:
        return str(value)
    return _as_json(value, f"{place}.{name}")


def _one_of(name: str, value: str, allowed: Any) -> None:
    if value not in get_args(allowed):
        raise ValueError(f"{name} must be one of {', '.join(get_args(allowed))}, not {value!r}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number between {low} and {high}, not {value}")

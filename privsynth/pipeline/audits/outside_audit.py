"""`privsynth audit`: any synthetic table, or linked tables, against the real ones, for the officer alone.

It spends no budget because nothing of it may leave: the report is watermarked, and every figure is personal data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from privsynth import __version__, _validate
from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.running import not_run
from privsynth.audit.common.settings import LEVELS, AuditSettings, Level
from privsynth.audit.registry import audit_extensions, run_audits
from privsynth.codecs.column_facts import ColumnFacts
from privsynth.domain.bounding import partition_of_units
from privsynth.errors import ConfigError, Option, OutputError, SchemaError
from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.generators.registry import generator_extension
from privsynth.notebook import card, checks_text, worst_text
from privsynth.pipeline.audits.audit_inputs import columns_apart, compared_facts, side_by_side, typed_frame
from privsynth.pipeline.audits.chosen_policy import chosen_policy
from privsynth.pipeline.audits.officer_audit import ROWS_APART, audit_run
from privsynth.pipeline.audits.refit import promise_beside, refit_of_model
from privsynth.pipeline.config import read_schema, stem
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.linked.outside import audit_sides, read_sides
from privsynth.pipeline.writing.report_records import promise_of, report_titles
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import Judgement, judge
from privsynth.policy.one_verdict import overall, unanswered, with_policy
from privsynth.randomness import KeyedFunction
from privsynth.release.out_folder import OutFolder, check_out
from privsynth.release.sample import model_folder
from privsynth.report.hazards import ELSEWHERE, hazards
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.report.records.promise import GeneratorRecord
from privsynth.report.records.tables import TableRecord
from privsynth.report.render import render
from privsynth.report.report_data import ReportData
from privsynth.sampling.synthetic_model import SyntheticModel
from privsynth.schema.definition import Schema
from privsynth.schema.linked import LinkedSchema, linked_schema
from privsynth.signing.envelope import Signer
from privsynth.signing.release import sign_folder
from privsynth.signing.store import open_key
from privsynth.sources.registry import SourceOptions, extension_of, open_source, read_table
from privsynth.table import Table
from privsynth.wording.words import ENGLISH, LANGUAGES
from privsynth.workspace import Workspace

Origin = str | Path | pd.DataFrame | Mapping[str, str | Path | pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """One audit of tables from anywhere.

    Attributes:
      real, synthetic, holdout: paths, database URLs or DataFrames, of linked tables folders, databases, or mappings of
        names to DataFrames; without a holdout no non-members are known, so that what needs them says 'insufficient
        evidence'.
      schema: a path to a schema file, a `Schema`, a `LinkedSchema`, a mapping, or None.
      dataset: name in the report; None takes the schema's, else the stem of the real file.
      claimed: the (ε, δ) that the synthetic table claims; None takes what the release says that `model` is part of.
      model: folder of the model that made the rows, if it is one of ours.
      level: how much is done.
      policy: name of a shipped policy or path of a policy file.
      language: of page one and of the annex on laws.
      source_options: how to read `real` and `holdout`.
    """

    real: Origin
    synthetic: Origin
    out: Path
    holdout: Origin | None = None
    schema: str | Path | Schema | LinkedSchema | Mapping[str, Any] | None = None
    dataset: str | None = None
    claimed: tuple[float, float] | None = None
    model: Path | None = None
    level: Level = "standard"
    policy: str | Path | None = None
    language: str = ENGLISH
    key: str | None = None
    source_options: SourceOptions | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _validate.paths(out=self.out, model=self.model, policy=self.policy)
        _validate.texts(key=self.key, dataset=self.dataset)
        SourceOptions.of(self.source_options)
        if self.claimed is not None:
            if not (isinstance(self.claimed, tuple | list) and len(self.claimed) == 2):
                raise ConfigError("claimed must be a pair of numbers, (epsilon, delta)")
            epsilon, delta = self.claimed
            _validate.non_negative(claimed_epsilon=epsilon)
            _validate.inside(0, 1, claimed_delta=delta)
        _validate.one_of(LEVELS, level=self.level)
        _validate.one_of(LANGUAGES, language=self.language)


@dataclass(frozen=True, kw_only=True, repr=False)
class AuditResult:
    """What an audit made: exact figures, for the officer alone.

    Attributes:
      folder: the officer's.
      findings: all of them.
      judgement: of the policy; None without one.
      unfinished: audits that a person stopped; the report is partial then, and says so.
      not_compared: columns of the real table that the synthetic one lacks.
      dataset: name in the report.
      claimed: the (ε, δ) that was judged; None if nothing is promised.
    """

    folder: Path
    findings: tuple[Finding, ...]
    judgement: Judgement | None
    unfinished: tuple[str, ...]
    not_compared: tuple[str, ...]
    dataset: str
    claimed: tuple[float, float] | None

    def __repr__(self) -> str:
        found = f"findings={len(self.findings)}, verdict={self.verdict!r}"
        return f"AuditResult({str(self.folder)!r}, dataset={self.dataset!r}, {found})"

    def _repr_html_(self) -> str:
        findings = [finding.to_json() for finding in self.findings]
        promise = "none is claimed" if self.claimed is None else "({:g}, {:g}) is claimed".format(*self.claimed)
        return card(
            f"Audit of {self.dataset}",
            [
                ("Promise", promise),
                ("Checks", checks_text([*findings, *unanswered(self.judgement)])),
                ("Worst finding", worst_text(findings, exact=True)),
                ("Stopped audits", ", ".join(self.unfinished)),
                ("Not compared", ", ".join(self.not_compared)),
                ("Officer's report", str(self.folder / "report.html")),
            ],
            note="Exact figures about real people: keep this notebook inside.",
        )

    @property
    def verdict(self) -> Literal["pass", "review", "fail"]:
        """`fail` if any check failed, of the findings or of the policy, else `review`, else `pass`."""
        return overall(self.findings, self.judgement)


@dataclass(frozen=True, kw_only=True)
class _AuditJob:
    """Everything that is settled before any row is read."""

    config: AuditConfig
    env: Environment
    schema: Schema
    linked: LinkedSchema | None
    dataset: str
    policy: LoadedPolicy | None
    model: SyntheticModel | None
    claimed: tuple[float, float] | None
    max_rows_per_unit: int
    key: Signer | None
    holder: str


@dataclass(frozen=True, kw_only=True)
class _Audited:
    """What the audits found.

    Attributes:
      n_synthetic: rows of the synthetic table.
      not_compared: columns of the real table that the synthetic one lacks.
      tables: of linked tables.
    """

    findings: list[Finding]
    judgement: Judgement | None
    done: AuditRun
    n_synthetic: int
    not_compared: tuple[str, ...]
    tables: tuple[TableRecord, ...] = ()


def audit(config: AuditConfig, env: Environment) -> AuditResult:
    """Write the officer's report on a synthetic table.

    Guarantee: none; the folder is personal data. An interrupt during the audits ends them, not the report: what was
      finished is written, and the report names what is missing.
    """
    job = _prepare(config, env)
    with OutFolder(config.out, env.home) as place, Workspace(env.home) as workspace:
        audited = _run(job, workspace)
        report = _report(job, audited)
        env.progress("writing", 0.0)
        _write(report, workspace.folder / "audit", job.key, env)
        place.bring(workspace.folder / "audit")
        place.publish()
    return AuditResult(
        folder=config.out,
        findings=tuple(with_policy(job.policy, audited.findings)),
        judgement=audited.judgement,
        unfinished=tuple(not_run(audited.findings)),
        not_compared=audited.not_compared,
        dataset=job.dataset,
        claimed=job.claimed,
    )


def _prepare(config: AuditConfig, env: Environment) -> _AuditJob:
    check_out(config.out)
    linked = linked_schema(config.schema)
    schema = Schema(dataset=linked.dataset) if linked else read_schema(config.schema)  # type: ignore[arg-type]
    if linked and config.model:
        raise ConfigError("an audit of linked tables takes no ", Option("model"), "; say what is claimed instead")
    policy = chosen_policy(config.policy)
    folder = model_folder(config.model) if config.model else None
    model = SyntheticModel.load(folder) if folder else None
    beside = promise_beside(folder) if folder else None
    key, entry = open_key(env.home, config.key, env.passphrase, now=env.now) if config.key else (None, None)
    return _AuditJob(
        config=config,
        env=env,
        schema=schema,
        linked=linked,
        dataset=config.dataset or schema.dataset or _stem(config.real) or "table",
        policy=policy,
        model=model,
        claimed=config.claimed or (beside[:2] if beside else None),
        max_rows_per_unit=beside[2] if beside else schema.max_rows_per_unit or 1,
        key=key,
        holder=entry.holder if entry else "",
    )


def _run(job: _AuditJob, workspace: Workspace) -> _Audited:
    """Read the tables and run all audits on them."""
    job.env.progress("reading", 0.0)
    if job.linked is not None:
        return _run_linked(job, job.linked, workspace)
    sources = _read(job.config, workspace)
    sides, facts = _align(sources, job.schema)
    tables = _audit_tables(sides, facts, job.schema, sources["real"])
    lacking = tuple(n for n in sources["real"].names if n not in sources["synthetic"].names)
    refit = None
    if job.model:
        refit = refit_of_model(
            job.model,
            promise=job.claimed,
            max_rows_per_unit=job.max_rows_per_unit,
            schema=job.schema,
            facts=facts,
        )
    settings = AuditSettings(
        level=job.config.level,
        claimed=job.claimed,
        rules=_rules(job.schema, sides["synthetic"]),
        model=job.model,
        refit=refit,
    )
    findings = run_audits(
        tables, settings, progress=lambda name, number, of: job.env.progress(f"auditing: {name}", (number - 1) / of)
    )
    return _Audited(
        findings=findings,
        judgement=_judged(job, findings),
        done=replace(audit_run(tables, findings, settings), not_compared=lacking),
        n_synthetic=len(sides["synthetic"]),
        not_compared=lacking,
    )


def _run_linked(job: _AuditJob, schema: LinkedSchema, workspace: Workspace) -> _Audited:
    """Read linked tables and run all audits on their persons."""
    config = job.config
    origins: dict[str, object] = {"real": config.real, "synthetic": config.synthetic}
    origins |= {} if config.holdout is None else {"holdout": config.holdout}
    sides = read_sides(schema, origins, SourceOptions.of(config.source_options), workspace)
    found = audit_sides(schema, sides, AuditSettings(level=config.level, claimed=job.claimed), job.env.progress)
    return _Audited(
        findings=found.findings,
        judgement=_judged(job, found.findings),
        done=found.done,
        n_synthetic=sum(table.n_rows for table in found.tables),
        not_compared=found.not_compared,
        tables=found.tables,
    )


def _judged(job: _AuditJob, findings: list[Finding]) -> Judgement | None:
    if job.policy is None:
        return None
    return judge(job.policy, findings, promise=promise_of(*job.claimed) if job.claimed else {})


def _stem(origin: Origin) -> str:
    return "" if isinstance(origin, Mapping) else stem(origin) or ""


def _read(config: AuditConfig, workspace: Workspace) -> dict[str, Table]:
    options = SourceOptions.of(config.source_options)
    tables = {"real": read_table(open_source(_one_table(config.real), options), workspace)[0]}
    tables["synthetic"] = read_table(open_source(_one_table(config.synthetic), SourceOptions()), workspace)[0]
    if config.holdout is not None:
        tables["holdout"] = read_table(open_source(_one_table(config.holdout), options), workspace)[0]
    return tables


def _one_table(origin: Origin) -> str | Path | pd.DataFrame:
    if isinstance(origin, Mapping):
        raise ConfigError("several tables need a schema that says how they are linked: give ", Option("schema"))
    return origin


def _report(job: _AuditJob, audited: _Audited) -> ReportData:
    return ReportData(
        kind="officer",
        report_id=job.env.report_id,
        dataset=job.dataset,
        created=job.env.now.isoformat(),
        tool_version=__version__,
        language=job.config.language,
        generator=GeneratorRecord(
            name=job.model.fitted.name if job.model else ELSEWHERE, version="", private=job.claimed is not None
        ),
        guarantee=None,
        unsigned=job.key is None,
        signer=job.holder,
        n_rows_synthetic=audited.n_synthetic,
        tables=audited.tables,
        rules=_rule_texts(job),
        findings=tuple(with_policy(job.policy, audited.findings)),
        hazards=hazards(ELSEWHERE, holdout=job.config.holdout is not None),
        files=("report.html", "report.json"),
        extensions=_extensions(job.config, job.model),
        policy=audited.judgement,
        officer=OfficerPart(audit=audited.done),
    )


def _rule_texts(job: _AuditJob) -> tuple[str, ...]:
    if job.linked is None:
        return job.schema.rules
    return tuple(f"{name}: {rule}" for name in job.linked.modelled for rule in job.linked.tables[name].rules)


def _extensions(config: AuditConfig, model: SyntheticModel | None) -> tuple[Extension, ...]:
    """Return what the audit takes from other packages."""
    origins = [table for table in (config.real, config.synthetic, config.holdout) if table is not None]
    tables = [one for table in origins for one in (table.values() if isinstance(table, Mapping) else [table])]
    readers = {reader for reader in map(extension_of, tables) if reader is not None}
    of_model = generator_extension(model.fitted.name) if model else None
    return (*sorted(readers), *([of_model] if of_model else []), *audit_extensions())


def _write(report: ReportData, staged: Path, key: Signer | None, env: Environment) -> None:
    """Write and sign the officer's folder in the private workspace."""
    try:
        staged.mkdir(mode=0o700)
        (staged / "report.json").write_text(report.to_json_text(), encoding="utf-8")
        (staged / "report.html").write_text(render(report, report_titles()), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"the audit cannot be written: {error.strerror}") from None
    predicate = {"kind": "officer", "dataset": report.dataset, "created": report.created}
    sign_folder(staged, predicate=predicate, signer=key, holder=report.signer, signed_at=env.now)
    for path in staged.iterdir():
        path.chmod(0o600)


def _align(tables: Mapping[str, Table], schema: Schema) -> tuple[dict[str, pd.DataFrame], dict[str, ColumnFacts]]:
    """Return clean frames with the columns that the real and the synthetic table share, typed by the real table."""
    shared = [n for n in tables["real"].names if n in tables["synthetic"].names]
    if not shared:
        raise SchemaError("the real and the synthetic table have no column in common")
    lost = [n for n in shared if "holdout" in tables and n not in tables["holdout"].names]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise SchemaError(
            f"the holdout lacks the column '{lost[0]}'{more}; give rows with the columns of the real table"
        )
    facts = compared_facts(tables["real"], schema, [n for n in shared if n != schema.unit])
    if not facts:
        raise SchemaError("every column that the tables share is an identifier or free text; there is nothing to audit")
    return {side: typed_frame(table, schema, facts) for side, table in tables.items()}, facts


def _audit_tables(
    sides: Mapping[str, pd.DataFrame], facts: Mapping[str, ColumnFacts], schema: Schema, real: Table
) -> AuditTables:
    unit = schema.unit if schema.unit in real.names else None
    codes = partition_of_units(real.column(unit), 10**9, 0.0, KeyedFunction()).unit if unit else None
    return side_by_side(
        {"train": sides["real"], "holdout": sides.get("holdout"), "synthetic": sides["synthetic"]},
        facts,
        schema,
        unit_train=codes,
        unit=unit or "row",
        apart=columns_apart(real, facts, np.arange(min(real.n_rows, ROWS_APART))),
    )


def _rules(schema: Schema, synthetic: pd.DataFrame) -> tuple[tuple[str, np.ndarray], ...]:
    return tuple(
        (rule.text, rule.holds(synthetic))
        for rule in schema.parsed_rules()
        if rule.shape != "derived" and set(rule.columns) <= set(synthetic.columns)
    )

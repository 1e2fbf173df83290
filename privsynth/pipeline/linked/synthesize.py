"""The main job for linked tables: from a person's rows in several tables to one signed release."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from privsynth.errors import LittleToLearn, OutputError, PrivsynthWarning
from privsynth.exports.documents import names_of_documents
from privsynth.exports.facts import DataFile
from privsynth.findings.finding import Finding
from privsynth.generators.registry import load_generator
from privsynth.ledger.account import Account, several_units_text
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.reservation import Reservation
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.audits.chosen_policy import chosen_policy
from privsynth.pipeline.config import SynthesizeConfig
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.linked.audit import LinkedAudited, audit_linked
from privsynth.pipeline.linked.inputs import OpenedTables, open_linked
from privsynth.pipeline.linked.learn import PublicTables, learn_linked
from privsynth.pipeline.linked.one_table.stage import LinkedRequest
from privsynth.pipeline.linked.outlook import (
    generator_of_rows,
    hopeless,
    linked_budget,
    outlooks_of,
    plan_of_tables,
    refusal_of_tables,
    sentence_of_tables,
)
from privsynth.pipeline.linked.records import RunFacts, linked_public_schema, linked_report, linked_usability
from privsynth.pipeline.result import SynthesisResult
from privsynth.pipeline.setting_out import durations, keyed_commitment, signing_key
from privsynth.pipeline.usability.advice import cost_of_stop
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, Outlook
from privsynth.pipeline.writing.documents import data_file, steward_of, write_documents, write_noisy
from privsynth.pipeline.writing.references import write_references
from privsynth.pipeline.writing.report_records import (
    Signing,
    earlier_releases,
    ledger_state,
    officer_report,
    promise_of,
)
from privsynth.pipeline.writing.staging import Seal, deliver, set_permissions, stage, write_json, write_report
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import Judgement, judge
from privsynth.policy.one_verdict import with_policy
from privsynth.privacy.budget import Bill, Budget
from privsynth.randomness import KeyedFunction, new_sampling_seed
from privsynth.release.csvw import COMPANION, linked_companion
from privsynth.release.folder import Release
from privsynth.release.linked import linked_label, parquet_label, write_linked
from privsynth.release.out_folder import OutFolder, check_out
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.report.records.promise import EarlierReleases
from privsynth.sampling.linked.saved import linked_digest, save_linked
from privsynth.sampling.origin import Origin
from privsynth.schema.linked import LinkedSchema
from privsynth.signing.envelope import Signer
from privsynth.sources.fingerprint import content_fingerprints
from privsynth.sources.registry import read_tables
from privsynth.table import Table
from privsynth.workspace import Workspace

TRAINING = "persons of training"
# Standard deviations by which a count of persons is taken to be too large (own): at a small ε noise alone counts
# thousands, and one run in forty would then take a table of nobody for a large one.
SURELY = 2.0


@dataclass(frozen=True, kw_only=True)
class LinkedJob:
    """Everything that is settled before any row is read."""

    config: SynthesizeConfig
    env: Environment
    opened: OpenedTables
    request: LinkedRequest
    signing: Signing
    key: Signer | None
    holder: str
    policy: LoadedPolicy | None

    @property
    def budget(self) -> Budget:
        """The promise, for one person."""
        return self.request.plan.whole.budget


@dataclass(frozen=True, kw_only=True)
class LinkedMade:
    """What a run has made before anything of it is written."""

    public: PublicTables
    references: Mapping[str, Table]
    bill: Bill
    findings: list[Finding]
    officer: OfficerPart
    audited: AuditRun
    earlier: EarlierReleases
    judgement: Judgement | None


def synthesize_linked(config: SynthesizeConfig, env: Environment, schema: LinkedSchema) -> SynthesisResult:
    """Make a release of linked tables.

    Guarantee: as of `synthesize`, with one person as the unit: everything in the public folder but the reference
      tables, which are public, costs at most (config.epsilon, config.delta) for one person with all rows in all tables.
    Raises:
      PrivsynthError: one sentence, see `privsynth.errors`.
    """
    job = _prepare(config, env, schema)
    _refuse_the_hopeless(job)
    budget, dataset = job.budget, job.request.dataset
    ledger = Ledger.chosen(env.home)
    before = ledger.account(dataset)
    with ExitStack() as last, OutFolder(config.out, env.home) as place:
        with (
            ledger.reserve(
                dataset, epsilon=budget.epsilon, delta=budget.delta, unit=budget.unit, run_id=env.report_id, now=env.now
            ) as reservation,
            Workspace(env.home) as workspace,
        ):
            made = _make(job, workspace, reservation, ledger, before)
            env.progress("writing", 0.0)
            staged = stage(partial(_write, job, made), workspace, place)
            deliver(staged, place, reservation, made.bill, env=env, last=last)
        return _result(job, made)


def _prepare(config: SynthesizeConfig, env: Environment, schema: LinkedSchema) -> LinkedJob:
    """Check everything that follows from public facts, so that no budget is reserved for a run that must fail."""
    check_out(config.out)
    policy = chosen_policy(config.policy)
    opened = open_linked(config, schema)
    linked = opened.schema
    dataset = config.dataset or schema.dataset or config.dataset_name(linked.of_table(linked.root))
    key, holder, signing = signing_key(config, env)
    env.progress("planning", 0.0)
    generator = generator_of_rows(config)
    request = LinkedRequest(
        schema=linked,
        plan=plan_of_tables(opened, linked_budget(config, linked), generator, may_stop=not config.anyway),
        generator=generator,
        of_persons=load_generator("marginal"),
        dataset=dataset,
        holdout_fraction=config.holdout_fraction,
        seed=config.seed if config.seed is not None else new_sampling_seed(),
        n_persons=config.rows,
        typed=opened.typed,
        families=opened.families,
        formats=opened.formats,
    )
    return LinkedJob(
        config=config,
        env=env,
        opened=opened,
        request=request,
        signing=signing,
        key=key,
        holder=holder,
        policy=policy,
    )


def _make(
    job: LinkedJob, workspace: Workspace, reservation: Reservation, ledger: Ledger, before: Account
) -> LinkedMade:
    """Read, learn and audit. The ledger is read before the first noise, since afterwards a disk fault costs budget."""
    env, schema = job.env, job.request.schema
    if len(reservation.units) > 1:
        warnings.warn(several_units_text(reservation.dataset, reservation.units), PrivsynthWarning, stacklevel=2)
    clock = {"start": time.monotonic()}
    env.progress("reading", 0.0)
    read = read_tables(job.opened.source, workspace, may_be_empty=True)
    tables = {name: table for name, (table, _) in read.items()}
    fingerprint, commitment = _fingerprints(
        {name: tables[name] for name in schema.modelled}, [ledger.fingerprint_key(), secrets.token_bytes(32)]
    )
    reservation.bind(fingerprint)
    state = ledger_state(before, ledger.account(job.request.dataset))
    clock["read"] = time.monotonic()
    _tell_what_to_expect(job)
    bill = Bill(job.request.plan.whole, before_first_draw=reservation.mark_drawn)
    keyed = env.keyed()
    public = _learn(job, tables, bill, reservation, keyed)
    clock["learn"] = time.monotonic()
    audited = _audit(job, tables, public, keyed)
    clock["audit"] = time.monotonic()
    skipped: dict[str, int] = {}
    for _, cells in read.values():
        for kind, count in cells.as_dict().items():
            skipped[kind] = skipped.get(kind, 0) + count
    officer = OfficerPart(
        skipped=skipped,
        durations=durations(clock),
        pool=audited.pool,
        source_commitment=keyed_commitment(commitment),
        ledger=state,
        audit=audited.done,
    )
    promise = promise_of(job.budget.epsilon, job.budget.delta)
    return LinkedMade(
        public=public,
        references={name: tables[name] for name in schema.references},
        bill=bill,
        findings=audited.findings,
        officer=officer,
        audited=audited.done,
        earlier=earlier_releases(before),
        judgement=None
        if job.policy is None
        else judge(job.policy, [*public.findings, *audited.findings], promise=promise),
    )


def _refuse_the_hopeless(job: LinkedJob) -> None:
    """Raise `LittleToLearn` if that is to be expected at the number of persons that is guessed."""
    told = job.config.expect_rows
    if told and not job.config.anyway and hopeless(_expected(job, told)):
        raise refusal_of_tables(job.opened, job.budget, job.request.generator, _training(job, told), what=TRAINING)


def _tell_what_to_expect(job: LinkedJob) -> None:
    """Say what can be resolved, at the number of persons that is guessed, else at usual ones."""
    told = job.config.expect_rows
    for persons in (told,) if told else GUESSED_ROWS:
        job.env.tell(f"Expected: {sentence_of_tables(_expected(job, persons), _training(job, persons), TRAINING)}.")


def _training(job: LinkedJob, persons: int) -> float:
    return persons * (1.0 - job.request.holdout_fraction)


def _expected(job: LinkedJob, persons: int) -> dict[str, Outlook]:
    return outlooks_of(job.opened, job.request.plan, _training(job, persons))


def _learn(
    job: LinkedJob, tables: Mapping[str, Table], bill: Bill, reservation: Reservation, keyed: KeyedFunction
) -> PublicTables:
    """Learn the model; or end the run, by the released number of persons, where little can be learned.

    Raises:
      LittleToLearn: the ledger is then charged with what the number of persons cost.
    """
    env, judged = job.env, list[LittleToLearn]()

    def judge_persons(counted: float) -> None:
        noise = job.request.plan.of_table(job.request.schema.root).parts["rows"] ** -0.5
        persons = max(counted - SURELY * noise, 1.0)
        if hopeless(outlooks_of(job.opened, job.request.plan, persons)):
            what = f"{TRAINING} (a noisy count of {counted:,.0f}, less {SURELY:g} times its noise)"
            error = refusal_of_tables(
                job.opened, job.budget, job.request.generator, persons, what=what, cost=cost_of_stop(bill, "persons")
            )
            judged.append(error)
            raise error

    request = job.request if job.config.anyway else replace(job.request, judge=judge_persons)
    try:
        return learn_linked(tables, request, env.mechanisms(bill), keyed, progress=env.progress)
    except LittleToLearn as error:
        if error in judged:  # from elsewhere it may follow from rows, and is a failure
            reservation.stop(bill.epsilon_if_stopped())
        raise


def _audit(job: LinkedJob, tables: Mapping[str, Table], public: PublicTables, keyed: KeyedFunction) -> LinkedAudited:
    """Return the officer's findings, and how much was done."""
    level = job.config.audit
    if level == "none":
        return LinkedAudited([], AuditRun(level="none"), {})
    return audit_linked(tables, public, job.request, keyed, level=level, progress=job.env.progress)


def _fingerprints(tables: Mapping[str, Table], keys: list[bytes]) -> list[bytes]:
    """Return a keyed digest of all tables under each key; for the ledger and the officer."""
    each = [content_fingerprints(PrivateRows.held(table.data), keys) for table in tables.values()]
    names = "\0".join(tables).encode("utf-8")
    return [
        hmac.new(key, hashlib.sha256(names).digest() + b"".join(one[at] for one in each), "sha256").digest()
        for at, key in enumerate(keys)
    ]


def _write(job: LinkedJob, made: LinkedMade, folder: Path, *, signed: bool = True) -> Path:
    """Write and sign both folders in a new one and return that; or leave their signatures out."""
    try:
        files = _write_tables(job, made, folder / "public")
        (folder / "public" / "schema.yaml").write_text(linked_public_schema(made.public, job.request), encoding="utf-8")
        documents = names_of_documents(catalogued=job.request.schema.catalogue is not None)
        run = RunFacts(
            report_id=job.env.report_id,
            created=job.env.now.isoformat(),
            signing=job.signing,
            files=[*files, "report.html", "report.json", "schema.yaml", *documents],
            reference_rows={name: table.n_rows for name, table in made.references.items()},
            policy=job.policy,
        )
        report = linked_report(made.public, job.request, made.bill, run)
        report = replace(report, earlier=made.earlier, language=job.config.language)
        write_report(folder / "public", report)
        data = _data_files(job, made, folder / "public")
        write_documents(folder / "public", report, data, steward_of(job.request.schema))
        seal = Seal(job.request.dataset, job.key if signed else None, job.holder, job.env.now)
        officer = replace(made.officer, release=seal.sign(folder / "public", "public"))
        (folder / "officer").mkdir(mode=0o700)
        inside = replace(report, files=("report.html", "report.json", "run.json"))
        exact = officer_report(inside, made.findings, officer, made.judgement, job.policy)
        write_report(folder / "officer", exact)
        told = {
            "report_id": job.env.report_id,
            "durations_s": dict(officer.durations),
            "skipped": dict(officer.skipped),
            "bill": [spend.__dict__ for spend in made.bill.spends],
        }
        write_json(folder / "officer" / "run.json", told)
    except OSError as error:
        raise OutputError(f"the release cannot be prepared: {error.strerror}") from None
    seal.sign(folder / "officer", "officer", release=officer.release)
    set_permissions(folder, job.env.now)
    return folder


def _write_tables(job: LinkedJob, made: LinkedMade, folder: Path) -> list[str]:
    """Write the model, the synthetic tables and the reference tables, and return the names of the files."""
    (folder / "model").mkdir(parents=True)
    (folder / "data").mkdir()
    budget = job.budget
    origin = Origin(
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=1,
        signer="" if job.key is None else job.key.public.fingerprint,
    )
    model = replace(made.public.model, origin=origin)
    files = [f"model/{name}" for name in save_linked(model, folder / "model")]
    label = linked_label(model, linked_digest(folder / "model"), seed=job.request.seed)
    drawn, suffix = made.public.drawn, job.config.format
    written = write_linked(model, drawn, folder / "data", suffix=suffix, seed=job.request.seed, label=label)
    headers = write_references(made.references, job.opened.source.tables(), folder / "data", suffix=suffix)
    written += [f"{name}.{suffix}" for name in headers]
    if suffix == "csv":
        (folder / "data" / COMPANION).write_text(linked_companion(model, drawn, label, headers), encoding="utf-8")
        written.append(COMPANION)
    noisy = write_noisy(folder, made.public.noisy, parquet_label(label))
    return [*(f"data/{name}" for name in written), *noisy, *files]


def _data_files(job: LinkedJob, made: LinkedMade, folder: Path) -> tuple[DataFile, ...]:
    """Return what the documents say of the tables that were written."""
    models, suffix = made.public.model.models, job.config.format
    drawn = [
        data_file(
            folder,
            f"data/{name}.{suffix}",
            rows=made.public.drawn[name].n_rows,
            table=name,
            delimiter=model.source_format.delimiter,
        )
        for name, model in models.items()
    ]
    passed = [
        data_file(folder, f"data/{name}.{suffix}", rows=table.n_rows, table=name, reference=True)
        for name, table in made.references.items()
    ]
    return (*drawn, *passed)


def _result(job: LinkedJob, made: LinkedMade) -> SynthesisResult:
    return SynthesisResult(
        release=Release.open(job.config.out),
        officer=job.config.out / "officer",
        findings=tuple(with_policy(job.policy, (*made.public.findings, *made.findings))),
        epsilon=job.budget.epsilon,
        delta=job.budget.delta,
        unit=job.budget.unit,
        dataset=job.request.dataset,
        signer=job.signing.signer,
        columns=tuple(f"{name}: {c}" for name in job.request.schema.modelled for c in job.opened.physical[name]),
        ledger=made.officer.ledger,
        judgement=made.judgement,
        unfinished=made.audited.unfinished,
        audit_level=made.audited.level,
        usability=linked_usability(made.public, job.request, made.bill),
    )

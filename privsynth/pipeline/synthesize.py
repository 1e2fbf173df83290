"""The main job: from a sensitive table to a signed release."""

from __future__ import annotations

import hmac
import secrets
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from privsynth import __version__
from privsynth.audit.registry import audit_extensions
from privsynth.errors import ConfigError, LittleToLearn, OutputError, PrivsynthWarning
from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.findings.usability import Usability
from privsynth.generators.registry import (
    Generator,
    choose,
    generator_extension,
    generator_info,
    load_generator,
    load_restore,
)
from privsynth.ledger.account import Account, several_units_text
from privsynth.ledger.ledger import Ledger, Reservation
from privsynth.notebook import card, checks_text, promise_text, worst_text
from privsynth.pipeline.audits.officer_audit import officer_findings, pool_sizes
from privsynth.pipeline.audits.unread_cells import comma_findings, undecodable, unread_commas
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.inputs import check_invented, completed_schema, open_config_source, physical_types
from privsynth.pipeline.learn import Private, Public, Request, learn
from privsynth.pipeline.public_schema import public_schema
from privsynth.pipeline.report_records import Signing, ledger_state, officer_report, promise_of, public_report
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.staging import deliver, set_permissions, write_json, write_report
from privsynth.pipeline.usability.advice import Prospect, refusal, sentence
from privsynth.pipeline.usability.headline import usability
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, Outlook, TableSize
from privsynth.pipeline.usability.resolution import unresolved
from privsynth.policy.files import LoadedPolicy, load_policy
from privsynth.policy.judge import Judgement, judge
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms, Mechanisms
from privsynth.progress import Progress, no_progress
from privsynth.randomness import KeyedFunction, new_sampling_seed
from privsynth.release.folder import Release, write_rows
from privsynth.release.label import Label, companion_name, model_digest
from privsynth.release.out_folder import OutFolder, check_out
from privsynth.report.report_data import AuditRun, LedgerState, OfficerPart
from privsynth.sampling.origin import Origin
from privsynth.signing.keys import Passphrase, SigningKey
from privsynth.signing.release import sign_folder
from privsynth.signing.store import open_key
from privsynth.sources.fingerprint import content_fingerprints
from privsynth.sources.protocol import source_format_of, stated_types_of
from privsynth.sources.registry import Source, SourceOptions, extension_of, read_table, takes_encoding
from privsynth.table import Table
from privsynth.testing.generators import check_generator
from privsynth.workspace import Workspace, privsynth_home

DEMO = "DEMO"
TRAINING = "rows of training"
# The smallest release, one column and no audit, takes 0.2 MB; a disk with less than this left counts as full (own).
LEAST_BYTES = 1 << 20
# A CSV cell is a character and a separator or more; Parquet may hold a column of one value in next to nothing.
LEAST_BYTES_OF_CELL = {"csv": 2.0, "parquet": 0.0}


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a run takes from its surroundings; tests replace it.

    Attributes:
      home: where ledger, keys and the private workspace are.
      now: the time that the release carries.
      report_id: name of the run, in the ledger and in both reports.
      mechanisms: from a bill to mechanisms.
      keyed: the keyed function of units.
      passphrase: asked if the key is encrypted.
      progress: told what is going on.
      tell: told in a sentence what a person should know before anything is spent.
    """

    home: Path
    now: datetime
    report_id: str
    mechanisms: Callable[[Bill], Mechanisms] = GaussianMechanisms
    keyed: Callable[[], KeyedFunction] = KeyedFunction
    passphrase: Passphrase | None = None
    progress: Progress = no_progress
    tell: Callable[[str], None] = lambda sentence: None


def environment(
    *,
    passphrase: Passphrase | None = None,
    progress: Progress = no_progress,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Environment:
    """Return the real environment."""
    return Environment(
        home=privsynth_home(),
        now=datetime.now(UTC).replace(microsecond=0),
        report_id=f"run-{secrets.token_hex(8)}",
        passphrase=passphrase,
        progress=progress,
        tell=tell,
    )


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

    def __repr__(self) -> str:
        promise = f"epsilon={self.epsilon:g}, delta={self.delta:g}, unit={self.unit!r}"
        return f"SynthesisResult(dataset={self.dataset!r}, {promise}, verdict={self.verdict!r})"

    def _repr_html_(self) -> str:
        findings = [finding.to_json() for finding in self.findings]
        checks = "the officer's audit was not run" if self.audit_level == "none" else checks_text(findings)
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
                ("Signed by", self.signer or "nobody: the release is marked UNSIGNED"),
                ("Public report", str(self.release.folder / "report.html")),
                ("Officer's report", f"{self.officer / 'report.html'} (exact figures: keep it inside)"),
            ],
        )

    @property
    def verdict(self) -> Literal["pass", "review", "fail"]:
        """`fail` if any check failed, of the findings or of the policy, else `review`, else `pass`."""
        verdicts: set[str] = {finding.verdict for finding in self.findings}
        if self.judgement is not None:
            verdicts |= {outcome.verdict for outcome in self.judgement.outcomes}
        return "fail" if "fail" in verdicts else "review" if "review" in verdicts else "pass"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Everything that is settled before any row is read."""

    config: SynthesizeConfig
    env: Environment
    source: Source
    request: Request
    signing: Signing
    key: SigningKey | None
    holder: str
    policy: LoadedPolicy | None
    extensions: tuple[Extension, ...]

    def case(self, scale: TableSize) -> Prospect:
        """Return the release as it is judged for a number of rows."""
        request = self.request
        return Prospect(
            schema=request.schema,
            types=physical_types(self.source),
            budget=request.budget,
            generator=request.generator,
            scale=scale,
        )


def synthesize(config: SynthesizeConfig, env: Environment) -> SynthesisResult:
    """Make a release.

    Guarantee: the public folder costs at most (config.epsilon, config.delta) at the unit level, reserved in the
      ledger before any row is read. A run that fails before any noise was drawn refunds the reservation; any other
      keeps it, but one that ends because too little can be learned: of that, what it has drawn is charged. The release
      appears whole or not at all. An interrupt during the officer's audit ends only the audit:
      what it had finished is written, and the release is made.
    Raises:
      LittleToLearn: at the number of rows that is declared, expected or released little can be learned.
      PrivsynthError: one sentence, see `privsynth.errors`.
    """
    job = _prepare(config, env)
    _refuse_the_hopeless(job)
    budget, dataset = job.request.budget, job.request.dataset
    ledger = Ledger(env.home)
    before = ledger.account(dataset)
    with ExitStack() as last, OutFolder(config.out, env.home, least_bytes=_least_bytes(job)) as place:
        with (
            ledger.reserve(
                dataset, epsilon=budget.epsilon, delta=budget.delta, unit=budget.unit, run_id=env.report_id, now=env.now
            ) as reservation,
            Workspace(env.home) as workspace,
        ):
            made = _make(job, workspace, reservation, ledger, before)
            env.progress("writing", 0.0)
            staged = _stage(job, made, workspace, place)
            deliver(staged, place, reservation, made.bill, name=env.report_id, last=last)
        return _result(job, made)


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What a run has made before anything of it is written."""

    public: Public
    private: Private
    bill: Bill
    findings: list[Finding]
    audited: AuditRun
    officer: OfficerPart
    judgement: Judgement | None


def _make(job: _Job, workspace: Workspace, reservation: Reservation, ledger: Ledger, before: Account) -> _Made:
    """Read, learn and audit. The ledger is read before the first noise, since afterwards a disk fault costs budget."""
    env = job.env
    if len(reservation.units) > 1:
        warnings.warn(several_units_text(reservation.dataset, reservation.units), PrivsynthWarning, stacklevel=2)
    clock = {"start": time.monotonic()}
    env.progress("reading", 0.0)
    table, skipped = read_table(job.source, workspace, may_be_empty=True)
    fingerprint, commitment = content_fingerprints(table, [ledger.fingerprint_key(), secrets.token_bytes(32)])
    reservation.bind(fingerprint)
    state = ledger_state(before, ledger.account(job.request.dataset))
    clock["read"] = time.monotonic()
    _tell_what_to_expect(job)
    bill = Bill(job.request.plan, before_first_draw=reservation.mark_drawn)
    public, private = _learn(job, table, bill, reservation)
    clock["learn"] = time.monotonic()
    findings, done, judgement = _audit(job, public, private)
    findings += undecodable(
        skipped.undecodable_cells,
        table.n_rows * len(table.names),
        encoding=SourceOptions.of(job.config.source_options).encoding,
        is_text_file=takes_encoding(job.config.source),
    )
    commas = unread_commas(table, job.request.schema)
    findings += comma_findings(commas, table.n_rows)
    skipped.comma_cells = sum(commas.values())
    clock["audit"] = time.monotonic()
    officer = OfficerPart(
        skipped=skipped.as_dict(),
        durations=_durations(clock),
        pool=pool_sizes(private),
        source_commitment=_commitment(commitment),
        ledger=state,
        audit=done,
    )
    return _Made(
        public=public,
        private=private,
        bill=bill,
        findings=findings,
        audited=done,
        officer=officer,
        judgement=judgement,
    )


def _refuse_the_hopeless(job: _Job) -> None:
    """Raise `LittleToLearn` if that is to be expected at the number of rows that is declared or guessed."""
    told = job.config.expect_rows or job.request.schema.rows
    if told and not job.config.anyway:
        case, found = _expected(job, _training(job, told))
        if found.hopeless:
            raise refusal(case, found, what=TRAINING)


def _tell_what_to_expect(job: _Job) -> None:
    """Say what can be resolved, at the number of rows that is declared or guessed, else at usual ones."""
    told = job.config.expect_rows or job.request.schema.rows
    for rows in (told,) if told else GUESSED_ROWS:
        job.env.tell(f"Expected: {sentence(_expected(job, _training(job, rows))[1], TRAINING)}.")


def _training(job: _Job, rows: int) -> TableSize:
    return TableSize(rows=rows * (1.0 - job.request.holdout_fraction))


def _expected(job: _Job, scale: TableSize) -> tuple[Prospect, Outlook]:
    case = job.case(scale)
    return case, case.outlook(case.respread(job.request.plan))


def _learn(job: _Job, table: Table, bill: Bill, reservation: Reservation) -> tuple[Public, Private]:
    """Learn the model; or end the run, by the released number of rows, where little can be learned.

    Raises:
      LittleToLearn: the ledger is then charged with what the number of rows cost.
    """
    env = job.env
    judged: list[LittleToLearn] = []

    def judge(scale: TableSize) -> None:
        case, found = _expected(job, scale)
        if found.hopeless:
            judged.append(refusal(case, found, what=f"{TRAINING} (a noisy count)", cost=_cost_of_stop(bill)))
            raise judged[0]

    request = job.request if job.config.anyway else replace(job.request, judge=judge)
    try:
        return learn(table, request, env.mechanisms(bill), env.keyed(), progress=env.progress)
    except LittleToLearn as error:
        if error in judged and bill.spends:  # from elsewhere it may follow from rows, and is a failure
            reservation.stop(bill.epsilon_if_stopped())
        raise


def _cost_of_stop(bill: Bill) -> str:
    if not bill.spends:
        return "Nothing was spent."
    epsilon, delta = bill.epsilon_if_stopped(), bill.plan.budget.delta
    return f"Counting the rows cost epsilon {epsilon:.3g} and delta {delta:g}; nothing else was spent."


def _stage(job: _Job, made: _Made, workspace: Workspace, place: OutFolder) -> Path:
    """Write and sign the release in the private workspace, or, if that is full, beside its place."""
    try:
        return _write(job, made, workspace.folder / "release")
    except OutputError:
        shutil.rmtree(workspace.folder / "release", ignore_errors=True)
        return _write(job, made, place.whole)


def _result(job: _Job, made: _Made) -> SynthesisResult:
    public, budget = made.public, job.request.budget
    return SynthesisResult(
        release=Release.open(job.config.out),
        officer=job.config.out / "officer",
        findings=(*public.findings, *made.findings),
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        dataset=job.request.dataset,
        signer=job.signing.signer,
        judgement=made.judgement,
        unfinished=made.audited.unfinished,
        unresolved=tuple(
            codec.name
            for codec in public.model.codec.codecs
            if unresolved(codec, job.request.schema.column(codec.name))
        ),
        usability=usability(public, job.request, made.bill.plan),
        columns=tuple(job.source.names),
        ledger=made.officer.ledger,
        audit_level=made.audited.level,
    )


def _least_bytes(job: _Job) -> int:
    """Return a lower bound of the release's size, from public facts alone."""
    rows = job.config.rows or job.request.schema.rows or 0
    columns = sum(job.request.schema.column(name).kind != "text" for name in job.source.names)
    return LEAST_BYTES + int(rows * columns * LEAST_BYTES_OF_CELL[job.config.format])


def _checked_generator(name: str, env: Environment) -> Generator:
    """Return a generator; one of another package is held to the contract of generators first, on invented rows."""
    info = generator_info(name)
    generator = load_generator(name)
    if info.extension is not None:
        env.progress("checking the generator", 0.0)
        check_generator(generator, load_restore(info))
        if generator.name != name:
            raise ConfigError(f"the generator '{name}' calls itself by another name; update or uninstall its package")
    return generator


def _prepare(config: SynthesizeConfig, env: Environment) -> _Job:
    """Check everything that follows from public facts, so that no budget is reserved for a run that must fail."""
    check_out(config.out)
    schema = config.read_schema()
    budget = config.budget(schema)
    dataset = config.dataset_name(schema)
    policy = load_policy(str(config.policy)) if config.policy is not None else None
    source = open_config_source(config, schema)
    schema, typed = completed_schema(schema, source)
    check_schema_fits(schema, source.names, budget.unit)
    check_invented(schema, source, budget.unit, config.rows or schema.rows)
    key, holder = None, ""
    if config.key is not None:
        key, entry = open_key(env.home, config.key, env.passphrase, now=env.now)
        holder = entry.holder
    generator = _checked_generator(choose(config.generator), env)
    env.progress("planning", 0.0)
    plan = make_plan(schema, physical_types(source), budget, generator.training_spec(), may_stop=not config.anyway)
    request = Request(
        schema=schema,
        budget=budget,
        plan=plan,
        generator=generator,
        dataset=dataset,
        holdout_fraction=config.holdout_fraction,
        n_synthetic=config.rows,
        seed=config.seed if config.seed is not None else new_sampling_seed(),
        typed=typed,
        families=stated_types_of(source).families,
        source_format=source_format_of(source),
        keep_units=schema.tells_units_apart(budget.unit) if config.keep_units is None else config.keep_units,
    )
    signer = f"{holder}, key {key.public.fingerprint}" if key is not None else ""
    signing = Signing(signer=signer, demo=config.key == DEMO)
    return _Job(
        config=config,
        env=env,
        source=source,
        request=request,
        signing=signing,
        key=key,
        holder=holder,
        policy=policy,
        extensions=_extensions(config, generator.name),
    )


def _extensions(config: SynthesizeConfig, generator: str) -> tuple[Extension, ...]:
    """Return what the run takes from other packages, imported now: what is wrong with it is said before it costs."""
    own = [extension_of(config.source), generator_extension(generator)]
    return (*(found for found in own if found), *(audit_extensions() if config.audit != "none" else ()))


def _audit(job: _Job, public: Public, private: Private) -> tuple[list[Finding], AuditRun, Judgement | None]:
    """Return the officer's findings, how much was done, and what the policy says of them and of the public ones."""
    findings: list[Finding] = []
    done = AuditRun(level="none")
    if job.config.audit != "none":
        findings, done = officer_findings(
            public, private, job.request, level=job.config.audit, progress=job.env.progress
        )
    if job.policy is None:
        return findings, done, None
    promise = promise_of(job.request.budget.epsilon, job.request.budget.delta)
    return findings, done, judge(job.policy, [*public.findings, *findings], promise=promise)


def _left_text(state: LedgerState) -> str:
    left = max(state.cap_epsilon - state.spent_after_epsilon, 0.0)
    return f"epsilon {left:g} of {state.cap_epsilon:g} for this dataset, after this release"


def _durations(clock: dict[str, float]) -> dict[str, float]:
    return {name: round(clock[name] - clock[before], 3) for before, name in pairwise(clock)}


def _commitment(fingerprint: bytes) -> str:
    return hmac.new(secrets.token_bytes(32), fingerprint, "sha256").hexdigest()


def _origin(job: _Job) -> Origin:
    """Return what the model and its rows say of the release: the promise, and whose key is about to sign it."""
    budget = job.request.budget
    return Origin(
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        max_rows_per_unit=budget.max_rows_per_unit,
        signer="" if job.key is None else job.key.public.fingerprint,
    )


def _write(job: _Job, made: _Made, folder: Path) -> Path:
    """Write and sign both folders in a new one and return that."""
    public, private, bill, officer = made.public, made.private, made.bill, made.officer
    created = job.env.now.isoformat()
    data = "data.csv" if job.config.format == "csv" else "data.parquet"
    try:
        (folder / "public" / "model").mkdir(parents=True)
        (folder / "officer").mkdir(mode=0o700)
        model = replace(public.model, origin=_origin(job))
        model.save(folder / "public" / "model")
        label = Label.of(model, model_digest(folder / "public" / "model"), seed=job.request.seed)
        write_rows(public.rows, folder / "public" / data, label.parquet())
        (folder / "public" / "schema.yaml").write_text(public_schema(public, job.request), encoding="utf-8")
        files = [data, "model/model.json", "model/model.safetensors", "report.html", "report.json", "schema.yaml"]
        if job.config.format == "csv":
            files.insert(1, companion_name([data]))
            companion = label.companion(public.rows, [data])
            (folder / "public" / companion_name([data])).write_text(companion, encoding="utf-8")
        report = public_report(
            public,
            job.request,
            bill,
            report_id=job.env.report_id,
            created=created,
            signing=job.signing,
            files=files,
            policy=job.policy,
        )
        report = replace(report, extensions=job.extensions)
        write_report(folder / "public", report)
        inside = replace(report, files=("report.html", "report.json", "run.json"))
        write_report(folder / "officer", officer_report(inside, made.findings, officer, made.judgement))
        run = {
            "report_id": job.env.report_id,
            "durations_s": dict(officer.durations),
            "skipped": dict(officer.skipped),
            "pool": {
                "holdout_rows": private.partition.holdout.tolist(),
                "rows_not_used": private.partition.dropped_rows,
            },
            "bill": [s.__dict__ for s in bill.spends],
        }
        write_json(folder / "officer" / "run.json", run)
    except OSError as error:
        raise OutputError(f"the release cannot be prepared: {error.strerror}") from None
    for kind in ("public", "officer"):
        sign_folder(
            folder / kind,
            predicate={"kind": kind, "dataset": job.request.dataset, "created": created, "tool_version": __version__},
            signer=job.key,
            holder=job.holder,
            signed_at=job.env.now,
        )
    set_permissions(folder, job.env.now)
    return folder

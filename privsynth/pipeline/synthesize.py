"""The main job: from a sensitive table to a signed release."""

from __future__ import annotations

import secrets
import time
import warnings
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from privsynth.audit.registry import audit_extensions
from privsynth.errors import LittleToLearn, PrivsynthWarning
from privsynth.extensions import Extension
from privsynth.findings.finding import Finding
from privsynth.generators.registry import (
    choose,
    generator_extension,
)
from privsynth.ledger.account import Account, several_units_text
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.reservation import Reservation
from privsynth.partitions.executors.registry import executor_of
from privsynth.partitions.rows import PrivateRows
from privsynth.pipeline.audits.chosen_policy import chosen_policy
from privsynth.pipeline.audits.officer_audit import officer_findings, pool_sizes
from privsynth.pipeline.audits.unread_cells import comma_findings, undecodable, unread_commas
from privsynth.pipeline.config import SynthesizeConfig, check_schema_fits
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.job import Job, Made
from privsynth.pipeline.learning.learn import learn
from privsynth.pipeline.learning.request import Private, Public, Request
from privsynth.pipeline.linked.synthesize import synthesize_linked
from privsynth.pipeline.prior.load import open_prior, refuse_for_linked, refuse_protected, refuse_same_rows
from privsynth.pipeline.reading.inputs import check_invented, completed_schema, open_config_source, physical_types
from privsynth.pipeline.reading.parts import read_rows
from privsynth.pipeline.result import SynthesisResult
from privsynth.pipeline.setting_out import checked_generator, durations, keyed_commitment, signing_key
from privsynth.pipeline.spending_plan import make_plan
from privsynth.pipeline.usability.advice import Prospect, cost_of_stop, refusal, sentence
from privsynth.pipeline.usability.headline import usability
from privsynth.pipeline.usability.outlook import GUESSED_ROWS, Outlook, TableSize
from privsynth.pipeline.usability.resolution import unresolved
from privsynth.pipeline.writing.prior_record import prior_sentence
from privsynth.pipeline.writing.report_records import earlier_releases, ledger_state, promise_of
from privsynth.pipeline.writing.staging import deliver, stage
from privsynth.pipeline.writing.write import least_bytes, write_release
from privsynth.policy.judge import Judgement, judge
from privsynth.policy.one_verdict import with_policy
from privsynth.privacy.budget import Bill
from privsynth.randomness import new_sampling_seed
from privsynth.release.folder import Release
from privsynth.release.out_folder import OutFolder, check_out
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.sources.fingerprint import content_fingerprints
from privsynth.sources.protocol import source_format_of, stated_types_of
from privsynth.sources.registry import SourceOptions, extension_of, takes_encoding
from privsynth.workspace import Workspace

TRAINING = "rows of training"


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
    if (linked := config.linked_schema()) is not None:
        refuse_for_linked(config)
        return synthesize_linked(config, env, linked)
    job = _prepare(config, env)
    _refuse_the_hopeless(job)
    budget, dataset = job.request.budget, job.request.dataset
    ledger = Ledger.chosen(env.home)
    before = ledger.account(dataset)
    refuse_protected(job.public_rows, ledger)
    with ExitStack() as last, OutFolder(config.out, env.home, least_bytes=least_bytes(job)) as place:
        with (
            ledger.reserve(
                dataset, epsilon=budget.epsilon, delta=budget.delta, unit=budget.unit, run_id=env.report_id, now=env.now
            ) as reservation,
            Workspace(config.scratch or env.home) as workspace,
            job.executor,
        ):
            made = _make(job, workspace, reservation, ledger, before)
            env.progress("writing", 0.0)
            staged = stage(partial(write_release, job, made), workspace, place)
            deliver(staged, place, reservation, made.bill, env=env, last=last)
        return _result(job, made)


def _make(job: Job, workspace: Workspace, reservation: Reservation, ledger: Ledger, before: Account) -> Made:
    """Read, learn and audit. The ledger is read before the first noise, since afterwards a disk fault costs budget."""
    env = job.env
    if len(reservation.units) > 1:
        warnings.warn(several_units_text(reservation.dataset, reservation.units), PrivsynthWarning, stacklevel=2)
    clock = {"start": time.monotonic()}
    env.progress("reading", 0.0)
    rows, skipped = read_rows(job.source, workspace, job.executor)
    fingerprint, commitment = content_fingerprints(rows, [ledger.fingerprint_key(), secrets.token_bytes(32)])
    refuse_same_rows(job.public_rows, fingerprint, ledger.fingerprint_key())
    reservation.bind(fingerprint)
    state = ledger_state(before, ledger.account(job.request.dataset))
    clock["read"] = time.monotonic()
    _tell_what_to_expect(job)
    bill = Bill(job.request.plan, before_first_draw=reservation.mark_drawn)
    public, private = _learn(job, rows, bill, reservation)
    clock["learn"] = time.monotonic()
    findings, done, judgement = _audit(job, public, private)
    n_rows = private.rows.n_rows()
    findings += undecodable(
        skipped.undecodable_cells,
        n_rows * len(job.source.names),
        encoding=SourceOptions.of(job.config.source_options).encoding,
        is_text_file=takes_encoding(job.config.table),
    )
    commas = unread_commas(private.rows, job.request.schema)
    findings += comma_findings(commas, n_rows)
    skipped.comma_cells = sum(commas.values())
    clock["audit"] = time.monotonic()
    officer = OfficerPart(
        skipped=skipped.as_dict(),
        durations=durations(clock),
        pool=pool_sizes(private),
        source_commitment=keyed_commitment(commitment),
        ledger=state,
        audit=done,
    )
    return Made(
        public=public,
        private=private,
        bill=bill,
        findings=findings,
        audited=done,
        officer=officer,
        earlier=earlier_releases(before),
        judgement=judgement,
    )


def _refuse_the_hopeless(job: Job) -> None:
    """Raise `LittleToLearn` if that is to be expected at the number of rows that is declared or guessed."""
    told = job.config.expect_rows or job.request.schema.rows
    if told and not job.config.anyway:
        case, found = _expected(job, _training(job, told))
        if found.hopeless:
            raise refusal(case, found, what=TRAINING)


def _tell_what_to_expect(job: Job) -> None:
    """Say what can be resolved, at the number of rows that is declared or guessed, else at usual ones."""
    told = job.config.expect_rows or job.request.schema.rows
    for rows in (told,) if told else GUESSED_ROWS:
        job.env.tell(f"Expected: {sentence(_expected(job, _training(job, rows))[1], TRAINING)}.")


def _training(job: Job, rows: int) -> TableSize:
    return TableSize(rows=rows * (1.0 - job.request.holdout_fraction))


def _expected(job: Job, scale: TableSize) -> tuple[Prospect, Outlook]:
    case = job.case(scale)
    return case, case.outlook(case.respread(job.request.plan))


def _learn(job: Job, rows: PrivateRows, bill: Bill, reservation: Reservation) -> tuple[Public, Private]:
    """Learn the model; or end the run, by the released number of rows, where little can be learned.

    Raises:
      LittleToLearn: the ledger is then charged with what the number of rows cost.
    """
    env = job.env
    judged: list[LittleToLearn] = []

    def judge(scale: TableSize) -> None:
        case, found = _expected(job, scale)
        if found.hopeless:
            judged.append(refusal(case, found, what=f"{TRAINING} (a noisy count)", cost=cost_of_stop(bill, "rows")))
            raise judged[0]

    request = job.request if job.config.anyway else replace(job.request, judge=judge)
    try:
        return learn(rows, request, env.mechanisms(bill), env.keyed(), progress=env.progress)
    except LittleToLearn as error:
        if error in judged and bill.spends:  # from elsewhere it may follow from rows, and is a failure
            reservation.stop(bill.epsilon_if_stopped())
        raise


def _result(job: Job, made: Made) -> SynthesisResult:
    public, budget = made.public, job.request.budget
    return SynthesisResult(
        release=Release.open(job.config.out),
        officer=job.config.out / "officer",
        findings=tuple(with_policy(job.policy, (*public.findings, *made.findings))),
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
        prior=prior_sentence(public.prior),
    )


def _prepare(config: SynthesizeConfig, env: Environment) -> Job:
    """Check everything that follows from public facts, so that no budget is reserved for a run that must fail."""
    check_out(config.out)
    schema = config.read_schema()
    budget = config.budget(schema)
    dataset = config.dataset_name(schema)
    policy = chosen_policy(config.policy)
    source = open_config_source(config, schema)
    schema, typed = completed_schema(schema, source)
    check_schema_fits(schema, source.names, budget.unit)
    check_invented(schema, source, budget.unit, config.rows or schema.rows)
    key, holder, signing = signing_key(config, env)
    generator = checked_generator(choose(config.generator), env)
    known, public_rows = open_prior(config, schema, source, budget.unit, env.home)
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
        known=known,
    )
    return Job(
        config=config,
        env=env,
        source=source,
        request=request,
        signing=signing,
        key=key,
        holder=holder,
        policy=policy,
        extensions=_extensions(config, generator.name),
        executor=executor_of(config.executor),
        public_rows=public_rows,
    )


def _extensions(config: SynthesizeConfig, generator: str) -> tuple[Extension, ...]:
    """Return what the run takes from other packages, imported now: what is wrong with it is said before it costs."""
    own = [extension_of(config.table), generator_extension(generator)]
    return (*(found for found in own if found), *(audit_extensions() if config.audit != "none" else ()))


def _audit(job: Job, public: Public, private: Private) -> tuple[list[Finding], AuditRun, Judgement | None]:
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

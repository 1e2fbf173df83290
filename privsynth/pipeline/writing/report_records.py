"""From what a run knows to the records that the two reports are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from privsynth import __version__
from privsynth.audit.registry import finding_titles
from privsynth.codecs.synthetic_rows import SyntheticRows
from privsynth.findings.finding import Finding
from privsynth.generators.registry import generator_extension
from privsynth.ledger.account import Account
from privsynth.ledger.events import DELTA_UNITS, EPSILON_UNITS
from privsynth.pipeline.audits.unread_cells import TITLES as RUN_TITLES
from privsynth.pipeline.config import REPORT_SHARE
from privsynth.pipeline.learning.request import Public, Request
from privsynth.pipeline.usability.headline import usability
from privsynth.pipeline.usability.left_out import rows_left_out
from privsynth.pipeline.writing.column_records import column_records
from privsynth.pipeline.writing.prior_record import prior_record
from privsynth.policy.files import LoadedPolicy
from privsynth.policy.judge import Judgement, judge
from privsynth.policy.one_verdict import public_policy, with_policy
from privsynth.privacy.accounting import gdp_mu
from privsynth.privacy.budget import Bill, SpendingPlan, TrainingSpec
from privsynth.public_figures.figures import TITLES as FIGURE_TITLES
from privsynth.report.hazards import hazards
from privsynth.report.records.inside import LedgerState, OfficerPart
from privsynth.report.records.judgement import Terms
from privsynth.report.records.promise import EarlierReleases, GeneratorRecord, Guarantee, SpendRecord
from privsynth.report.records.tables import ColumnProfile, SampleRows
from privsynth.report.report_data import ReportData
from privsynth.report.titles import titles_by
from privsynth.schema.definition import Schema

SAMPLE_ROWS = 10  # synthetic rows of a table that the report shows (own): what one looks over
PROFILE_BARS = 12  # of a column's profile (own): as many as fit beside each other on a page
_WHAT = {
    "votes": "Which kind each column has (numbers, dates, texts), with how many decimals. Where a unit has several "
    "rows, its votes together count as one.",
    "rows": "How many rows there are and, where a unit may have several, how many units.",
    "domain": "Frequent categories and values, and the bins of numbers and times.",
    "one_way": "How often each category or bin of each column occurs.",
    "selection": "Which pairs and triples of columns depend on each other.",
    "measurement": "How often categories or bins of several columns occur together.",
    "training": "The gradients that trained the network.",
    "report": "The figures of this report that describe real rows.",
}


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Who will sign: text for the report, and whether the key is the demonstration's."""

    signer: str = ""
    demo: bool = False

    @property
    def unsigned(self) -> bool:
        """True if unsigned."""
        return not self.signer


def public_report(
    public: Public,
    request: Request,
    bill: Bill,
    *,
    report_id: str,
    created: str,
    signing: Signing,
    files: Sequence[str],
    policy: LoadedPolicy | None = None,
) -> ReportData:
    """Return the public report: a function of what may leave.

    Args:
      policy: judged here only if all its checks are of public figures; else nothing of it is shown.
    """
    of = generator_extension(public.model.fitted.name)
    return ReportData(
        kind="public",
        report_id=report_id,
        dataset=request.dataset,
        created=created,
        tool_version=__version__,
        generator=GeneratorRecord(
            name=public.model.fitted.name,
            version=of.version if of else __version__,
            settings=_flat(public.model.fitted.settings()),
        ),
        guarantee=_guarantee(public, request, bill),
        recipients=terms_of(policy),
        approvals=approvals_of(policy),
        policy_inside=policy is not None and not policy.policy.public_only,
        unsigned=signing.unsigned,
        demo=signing.demo,
        signer=signing.signer,
        n_rows_synthetic=public.rows.n_rows,
        usability=usability(public, request, bill.plan),
        columns=column_records(public, request.schema),
        rules=tuple(rule.text for rule in public.model.parsed_rules()),
        prior=prior_record(public.prior),
        findings=tuple(with_policy(public_policy(policy), public.findings)),
        synthetic_profile=profiles(public.rows),
        samples=(sample_of(public.rows, request.schema),),
        hazards=hazards(
            public.model.fitted.name, holdout=request.holdout_fraction > 0, package=of.distribution if of else ""
        ),
        sampling_seed=request.seed,
        files=tuple(files),
        policy=judge(policy, public.findings, promise=promise_of(request.budget.epsilon, request.budget.delta))
        if policy is not None and policy.policy.public_only
        else None,
    )


def officer_report(
    report: ReportData,
    findings: Sequence[Finding],
    officer: OfficerPart,
    judgement: Judgement | None = None,
    policy: LoadedPolicy | None = None,
) -> ReportData:
    """Return the officer's report: the public one, with exact findings and what only the officer may see.

    Args:
      policy: its demands are part of the verdicts of all findings; `judgement` is what it says.
    """
    told = tuple(with_policy(policy, (*report.findings, *findings)))
    return replace(report, kind="officer", findings=told, officer=officer, policy=judgement)


def promise_of(epsilon: float, delta: float) -> dict[str, float]:
    """Return the promise as a policy names its parts."""
    return {"promised_epsilon": epsilon, "promised_delta": delta}


def _guarantee(public: Public, request: Request, bill: Bill) -> Guarantee:
    budget, plan = request.budget, request.plan
    mu, mu_delta = plan.promised_mu or (None, 0.0)
    lines = spend_records(bill, plan, request.generator.training_spec())
    return Guarantee(
        epsilon=budget.epsilon,
        delta=budget.delta,
        unit=budget.unit,
        unit_noun=request.schema.unit_noun or "",
        rows_noun=request.schema.rows_noun or "",
        neighbours=budget.neighbours,
        accountant="exact composition of Gaussian mechanisms"
        if plan.training is None
        else "privacy loss distributions (dp-accounting)",
        max_rows_per_unit=None if budget.unit == "row" else budget.max_rows_per_unit,
        mu=mu,
        mu_delta=mu_delta,
        report_share=REPORT_SHARE,
        holdout_fraction=request.holdout_fraction,
        n_rows_noisy=public.n_rows,
        left_out=rows_left_out(public.model.units),
        spends=lines,
    )


def spend_records(bill: Bill, plan: SpendingPlan, training: TrainingSpec | None) -> tuple[SpendRecord, ...]:
    """Return what was paid for, part by part; a part of one of several tables is named "table/part"."""
    total = gdp_mu(plan.budget.epsilon, plan.gaussian_delta) ** 2
    lines: list[SpendRecord] = []
    for part in dict.fromkeys(s.part for s in bill.spends):
        spends = [s for s in bill.spends if s.part == part]
        mu_squared = sum(s.mu_squared for s in spends)
        share = training.share if part == "training" and training else mu_squared / total
        only = spends[0] if len(spends) == 1 else None
        lines.append(
            SpendRecord(
                label=part,
                mechanism=_mechanism(part, spends[0].mechanism, len(spends), sum(s.steps for s in spends)),
                share=min(share, 1.0),
                what=_WHAT.get(part.rpartition("/")[2], only.label if only else part),
                noise_multiplier=only.noise_multiplier if only else None,
                sensitivity=only.l2_sensitivity if only else None,
                delta=sum(s.delta for s in spends),
            )
        )
    return tuple(lines)


def _mechanism(part: str, mechanism: str, releases: int, steps: int) -> str:
    if part == "training":
        return f"{mechanism}, {steps} steps"
    return mechanism if releases == 1 else f"{mechanism}, {releases} releases"


def _flat(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings without long lists, for reading."""
    return {key: value for key, value in settings.items() if not isinstance(value, list) or len(value) <= 8}


def profiles(rows: SyntheticRows) -> tuple[ColumnProfile, ...]:
    """Return a small histogram of the synthetic rows of each modelled column."""
    codecs = {codec.name: codec for codec in rows.codec.codecs}
    found = []
    for name, column in rows.columns():
        known = column.dropna()
        if not len(known):
            found.append(ColumnProfile(column=name, labels=("missing",), counts=(float(len(column)),)))
        elif codecs[name].family == "text":
            found.append(_category_profile(name, known, len(column) - len(known)))
        else:
            found.append(_line_profile(name, known, codecs[name].family == "time"))
    return tuple(found)


def sample_of(rows: SyntheticRows, schema: Schema, table: str = "") -> SampleRows:
    """Return the first synthetic rows as a delimited file spells them; a function of synthetic rows and the schema.

    Args:
      table: of several linked ones.
    """
    head, left = [], SAMPLE_ROWS
    for part in rows.parts:
        head.append(part.take(np.arange(min(part.n_rows, left))))
        left -= head[-1].n_rows
    written = pd.concat(list(replace(rows, parts=[part for part in head if part.n_rows] or head[:1]).texts()))
    cells = written.astype(object).where(written.notna() & (written != ""), None)
    return SampleRows(
        table=table,
        columns=tuple(map(str, cells.columns)),
        units=tuple(schema.column(str(name)).unit or "" for name in cells.columns),
        rows=tuple(tuple(None if cell is None else str(cell) for cell in row) for row in cells.to_numpy()),
    )


def _category_profile(name: str, known: pd.Series, missing: int) -> ColumnProfile:
    counts = known.astype("category").value_counts()
    counts = pd.Series(counts.to_numpy(), index=counts.index.astype(object))[counts.to_numpy() > 0]
    if missing:
        counts["missing"] = counts.get("missing", 0) + missing
    counts = counts.sort_index().sort_values(ascending=False, kind="stable")
    shown, rest = counts.iloc[:PROFILE_BARS], counts.iloc[PROFILE_BARS:]
    labels, numbers = [str(x) for x in shown.index], [float(x) for x in shown]
    if len(rest):
        labels.append(f"{len(rest)} others")
        numbers.append(float(rest.sum()))
    return ColumnProfile(column=name, labels=tuple(labels), counts=tuple(numbers))


def _line_profile(name: str, known: pd.Series, times: bool) -> ColumnProfile:
    values = known.to_numpy(dtype="datetime64[s]").astype(np.int64) if times else known.to_numpy(dtype=np.float64)
    low, high = np.quantile(values, [0.01, 0.99])
    if low == high:
        low, high = float(values.min()), float(values.max())
        high += max(1e-9, 1e-9 * abs(high))  # wide enough for bars of any width at all, also in seconds since 1970
    whole = not times and np.array_equal(values, np.rint(values))
    if whole:  # bars that begin at a whole number and hold equally many
        low, high = math.floor(low), math.ceil(high)
        step = math.ceil((high - low + 1) / PROFILE_BARS)
        edges = low + step * np.arange(math.ceil((high - low + 1) / step) + 1, dtype=np.float64)
        counts = np.histogram(np.clip(values, low, high), bins=edges)[0]
    else:
        counts, edges = np.histogram(np.clip(values, low, high), bins=PROFILE_BARS, range=(low, high))
    if times:
        labels = [str(np.datetime64(int(edge), "s"))[:10] for edge in edges[:-1]]
    else:
        labels = [f"{edge:,.0f}" if whole else f"{edge:.4g}" for edge in edges[:-1]]
    return ColumnProfile(column=name, labels=tuple(labels), counts=tuple(float(c) for c in counts), ordered=True)


def terms_of(policy: LoadedPolicy | None) -> tuple[Terms, ...]:
    """Return what a policy lets its recipients do: a person's words from before the run, so that all may see them."""
    if policy is None:
        return ()
    return tuple(Terms(name=r.name, may=r.may, must_not=r.must_not) for r in policy.policy.recipients)


def approvals_of(policy: LoadedPolicy | None) -> int:
    """Return how many people have to approve by a policy, which is said beforehand as well; 0 without one."""
    return 0 if policy is None else policy.policy.approvals


def earlier_releases(before: Account) -> EarlierReleases:
    """Return what the reports say of the releases before this one.

    It rests on what was completed, and on runs that ended by their released number of rows: any other that failed after
    its first draw may have failed because of a row.
    """
    mu, mu_delta = before.released_mu or (None, 0.0)
    return EarlierReleases(
        stopped=before.n_stopped,
        mu=mu,
        mu_delta=mu_delta,
        releases=before.n_completed,
        epsilon=before.released_epsilon_units / EPSILON_UNITS,
        delta=before.released_delta_units / DELTA_UNITS,
        units=before.released_units,
    )


def ledger_state(before: Account, after: Account) -> LedgerState:
    """Return what the officer's report says of the budget of the dataset, before and after the run."""
    return LedgerState(
        cap_epsilon=after.cap_epsilon_units / EPSILON_UNITS,
        cap_delta=after.cap_delta_units / DELTA_UNITS,
        spent_before_epsilon=before.spent_epsilon_units / EPSILON_UNITS,
        spent_before_delta=before.spent_delta_units / DELTA_UNITS,
        spent_after_epsilon=after.spent_epsilon_units / EPSILON_UNITS,
        spent_after_delta=after.spent_delta_units / DELTA_UNITS,
        releases_before=before.n_completed,
        unreleased_before=before.n_unreleased,
    )


def report_titles() -> dict[str, str]:
    """Return name of a finding -> its title, of all that an audit or the public report may hold."""
    return {**FIGURE_TITLES, **finding_titles(), **RUN_TITLES}


def report_title(name: str) -> str:
    """Return the title of a finding, or of a metric of a policy."""
    return titles_by(report_titles())(name)

"""`privsynth synthesize`: the main job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli import STOPPED
from privsynth.cli.terminal.options import (
    anyway_option,
    declared_option,
    executor_options,
    expect_rows_option,
    header_option,
    language_option,
    policy_option,
    preset_option,
    prior_option,
    source_options,
    take_preset,
    take_source_options,
)
from privsynth.cli.terminal.output import (
    checks_line,
    emit_json,
    finding_title,
    first_names,
    output_mode,
    plain,
    policy_json,
    print_findings,
    print_policy,
    progress,
    say,
)

if TYPE_CHECKING:
    from privsynth.findings.finding import Finding
    from privsynth.pipeline.result import SynthesisResult
    from privsynth.policy.judge import Judgement


SHOWN = 5  # findings of a verdict, on the terminal (own); the report has all


@click.command("synthesize")
@click.argument("source")
@click.option(
    "--unit", metavar="COLUMN|row", help="Whose privacy is protected: a column, or the word 'row'. No default."
)
@click.option("--epsilon", type=float, required=True, help="Total privacy budget of the release, everything included.")
@click.option("--delta", type=float, default=1e-6, show_default=True, help="Total delta, never a function of the rows.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the release.")
@click.option(
    "--schema", type=click.Path(path_type=Path), help="What is publicly known about the columns (YAML, or SDV JSON)."
)
@click.option("--max-rows-per-unit", type=int, metavar="K", help="Use at most K rows of each unit, chosen at random.")
@click.option(
    "--dataset", metavar="NAME", help="Name in the budget ledger (default: the schema's, else the file's stem)."
)
@click.option(
    "--generator", default="auto", show_default=True, metavar="NAME", help="auto, or one of `privsynth generators`."
)
@click.option(
    "--holdout-fraction",
    type=float,
    default=0.1,
    show_default=True,
    metavar="F",
    help="Share of units held out from training for the audit; 0 holds out none.",
)
@click.option("--rows", type=int, metavar="N", help="Synthetic rows (default: the noisy number of rows).")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Format of the synthetic table.",
)
@click.option(
    "--key", metavar="NAME", help="Signing key (see `privsynth keys init`); without one the release is UNSIGNED."
)
@click.option(
    "--seed", type=int, help="Seed of the synthetic rows, printed in the report; it does not affect the noise."
)
@click.option(
    "--audit",
    type=click.Choice(["quick", "standard", "deep", "none"]),
    default="standard",
    show_default=True,
    help="How thorough the officer's audit is; the report says what each level leaves out.",
)
@click.option(
    "--keep-units/--no-keep-units",
    default=None,
    help="Draw the rows of a synthetic unit together, under one surrogate in the unit column (default: if the schema "
    "names that column, and columns that are constant within a unit).",
)
@preset_option
@policy_option
@language_option
@prior_option
@source_options
@header_option
@declared_option
@expect_rows_option
@anyway_option
@executor_options
@click.option("--officer", is_flag=True, help="Print the officer's findings too: exact figures about real people.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(out: Path, officer: bool, as_json: bool, format_: str, **options: Any) -> None:
    """Make a release: a synthetic table, the model that made it, and two signed reports.

    SOURCE is a file (CSV, Parquet, JSON Lines, Excel, SQLite) or a database URL. The release costs at most the
    given epsilon and delta, which the ledger reserves before any row is read. Exit code 3 means that a check of the
    audit failed; the release is written all the same, and a person decides. With --audit none nothing is audited, and
    exit code 0 says nothing about the rows. Exit code 8 means that at this budget
    little can be learned from a table of that size: nothing is released, and the message says what would help.
    Ctrl-C during the audit ends only the audit: the release is made, and the officer's report says what is missing.

    Example: privsynth synthesize admissions.csv --unit patient_id --max-rows-per-unit 3 --epsilon 1 --out out/
    """
    from privsynth.cli.decisions.options import ask_log_pin
    from privsynth.cli.terminal.passphrases import ask_passphrase
    from privsynth.pipeline.config import SynthesizeConfig
    from privsynth.pipeline.environment import environment
    from privsynth.pipeline.synthesize import synthesize

    source_opts = take_source_options(options)
    if (preset := take_preset(options)) is not None:
        options["schema"] = preset
    config = SynthesizeConfig(out=out, format=format_, source_options=source_opts, **options)  # type: ignore[arg-type]
    with progress() as steps:
        env = environment(
            passphrase=ask_passphrase(),
            progress=lambda stage, share: steps(stage, share, 1.0),
            tell=say,
            log_pin=ask_log_pin(),
        )
        result = synthesize(config, env)
        output_mode().released = True
    if as_json:
        emit_json(result_json(result, officer))
    else:
        _say(result, officer)
    for finding in result.findings:
        if finding.name in ("undecodable_cells", "comma_cells"):
            say(f"Not everything was read: {finding.meaning} Another run to read it costs budget again.", err=True)
    if result.unfinished:
        say("Stopped: the release is complete; the officer's report lacks some audits and says which.", err=True)
        click.get_current_context().exit(STOPPED)
    if result.verdict == "fail":
        click.get_current_context().exit(3)


def result_json(result: SynthesisResult, officer: bool) -> dict[str, Any]:
    """Return what --json prints; the verdict is the public one unless the officer asks."""
    findings = [f for f in result.findings if officer or f.visibility == "public"]
    seen: set[str] = {f.verdict for f in findings}
    if result.judgement is not None:
        seen |= {o.verdict for o in result.judgement.outcomes if officer or not o.exact}
    folder = result.release.folder.parent
    keys = ("name", "group", "value", "low", "high", "n", "visibility", "verdict")
    return {
        "verdict": next((v for v in ("fail", "review") if v in seen), "pass"),
        "audit": result.audit_level,
        "epsilon": result.epsilon,
        "delta": result.delta,
        "unit": result.unit,
        "dataset": result.dataset,
        "signer": result.signer or None,
        "unresolved": list(result.unresolved),
        "usability": None if result.usability is None else asdict(result.usability),
        "policy": policy_json(result.judgement, officer=officer),
        "files": sorted(str(path) for path in folder.rglob("*") if path.is_file()),
        "findings": [{key: getattr(finding, key) for key in keys} for finding in findings],
    }


def _say(result: SynthesisResult, officer: bool) -> None:
    from privsynth.findings.finding import COUNTED

    folder = result.release.folder
    if officer or output_mode().verbose:
        print_findings(result.findings, officer=officer, title="Findings")
    print_policy(result.judgement, officer=officer)
    whose = "each row" if result.unit == "row" else f"each {result.unit}"
    data = next((p for p in sorted(folder.iterdir()) if p.stem == "data"), folder)
    say(f"Released {result.dataset}: ({result.epsilon:g}, {result.delta:g})-differential privacy for {plain(whose)}.")
    say(f"  synthetic data   {data}")
    say(f"  public report    {folder / 'report.html'}")
    say(f"  officer report   {result.officer / 'report.html'}  (exact figures: keep it inside)")
    say(f"  signed by        {result.signer or 'nobody: the release is marked UNSIGNED'}")
    say(f"  checks           {checks_line(result.findings, result.judgement, audited=result.audit_level != 'none')}")
    if result.usability is not None:
        for heading, text in result.usability.lines():
            say(f"  {heading.lower():<16} {text}")
    if result.prior is not None:
        say(f"  prior            {result.prior}")
    if result.unresolved:
        say(f"  not resolved     {first_names(result.unresolved)}")
        say("                   no value of these stands out from the noise: declare bounds, categories or kind: id")
    if result.judgement is not None:
        hidden = 0 if officer else sum(outcome.exact for outcome in result.judgement.outcomes)
        inside = f" ({hidden} of its {len(result.judgement.outcomes)} checks judge exact figures)" if hidden else ""
        say(f"  policy           {result.judgement.policy}: {COUNTED[result.judgement.verdict]}{inside}")
    for line in loud_lines(result.findings, result.judgement, officer=officer):
        say(line)


def loud_lines(findings: Sequence[Finding], judgement: Judgement | None, *, officer: bool) -> list[str]:
    """Return what failed and what asks for a look, as lines that add up to what `checks_line` counts.

    Of exact findings the kinds alone are named, unless the officer's figures are asked for: which column it is stands
    in the officer's report.
    """
    from privsynth.findings.finding import COUNTED
    from privsynth.findings.sentences import sentence
    from privsynth.findings.severity import worst_first
    from privsynth.policy.one_verdict import unanswered_checks

    title, lines = finding_title(), []
    for verdict in ("fail", "review"):
        own = sorted((f for f in findings if f.verdict == verdict), key=worst_first)
        told = [f for f in own if officer or f.visibility == "public"]
        exact = Counter(title(f.name) for f in own if not officer and f.visibility != "public")
        said = [sentence(f, title) for f in told[:SHOWN]]
        said += [f"and {len(told) - SHOWN} more, in the report"] if len(told) > SHOWN else []
        said += [f"{title(o.metric)}, by the policy" for o in unanswered_checks(judgement) if o.verdict == verdict]
        if exact:
            kinds = [f"{name} ({n})" if n > 1 else name for name, n in exact.most_common()]
            said.append(f"exact, {exact.total()} in the officer report: {first_names(kinds)}")
        lines += [f"  {COUNTED[verdict]:<16} {words}" for words in said]
    return lines

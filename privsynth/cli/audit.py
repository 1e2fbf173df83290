"""`privsynth audit`: judge any synthetic table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privsynth.cli import STOPPED
from privsynth.cli.terminal.options import language_option, policy_option, source_options, take_source_options
from privsynth.cli.terminal.output import (
    checks_line,
    emit_json,
    first_names,
    policy_json,
    print_findings,
    print_policy,
    progress,
    say,
)


@click.command("audit")
@click.option("--real", required=True, metavar="SOURCE", help="The real rows that the generator saw.")
@click.option("--synthetic", required=True, metavar="SOURCE", help="The synthetic rows, from any tool.")
@click.option("--holdout", metavar="SOURCE", help="Real rows of the same population, never seen by the generator.")
@click.option(
    "--schema",
    type=click.Path(path_type=Path),
    help="Kinds, roles (target, protected), unit and rules; or how tables are linked.",
)
@click.option("--dataset", metavar="NAME", help="Name in the report (default: the schema's, else the file's stem).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder for the officer's report.")
@click.option("--claimed-epsilon", type=float, help="The epsilon that the synthetic table claims.")
@click.option("--claimed-delta", type=float, default=1e-6, show_default=True, help="The delta that it claims.")
@click.option(
    "--model", type=click.Path(path_type=Path), help="The 'model' folder of the release that the rows come from."
)
@click.option(
    "--audit",
    "level",
    type=click.Choice(["quick", "standard", "deep"]),
    default="standard",
    show_default=True,
    help="How thorough the audit is; the report says what each level leaves out.",
)
@policy_option
@language_option
@click.option("--key", metavar="NAME", help="Signing key of the report.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout; it holds exact figures.")
def command(claimed_epsilon: float | None, claimed_delta: float, out: Path, as_json: bool, **options: Any) -> None:
    """Audit a synthetic table against the real one. The report is for the officer only: never share its exact figures.

    With a schema of linked tables, REAL, SYNTHETIC and HOLDOUT are folders or databases that hold all of them.

    Exit code 3 means that a check failed. Ctrl-C ends the audits and writes a report of those that had finished.

    Example: privsynth audit --real a.csv --synthetic b.csv --holdout c.csv --schema schema.yaml --out audit/
    """
    from privsynth.cli.terminal.passphrases import ask_passphrase
    from privsynth.findings.severity import worst_first
    from privsynth.pipeline.audits.outside_audit import AuditConfig, audit
    from privsynth.pipeline.environment import environment

    claimed = None if claimed_epsilon is None else (claimed_epsilon, claimed_delta)
    taken = take_source_options(options)
    config = AuditConfig(out=out, claimed=claimed, source_options=taken, **options)
    with progress() as steps:
        env = environment(passphrase=ask_passphrase(), progress=lambda stage, share: steps(stage, share, 1.0))
        made = audit(config, env)
    if as_json:
        keys = ("name", "group", "value", "low", "high", "n", "visibility", "verdict")
        emit_json(
            {
                "verdict": made.verdict,
                "policy": policy_json(made.judgement),
                "unfinished": list(made.unfinished),
                "not_compared": list(made.not_compared),
                "files": sorted(str(path) for path in made.folder.iterdir()),
                "findings": [{key: getattr(finding, key) for key in keys} for finding in made.findings],
            }
        )
    else:
        print_policy(made.judgement, officer=True)
        urgent = sorted((f for f in made.findings if f.verdict in ("fail", "review")), key=worst_first)
        print_findings(urgent, officer=True, title="Fail or review")
        if made.not_compared:
            say(f"Not compared, because the synthetic table has no such column: {first_names(made.not_compared)}")
        report = made.folder / "report.html"
        say(f"Checks: {checks_line(made.findings, made.judgement, audited=True)}")
        say(f"Report: {report} (exact: keep it inside)")
    if made.unfinished:
        say(f"Stopped before these audits had finished: {', '.join(made.unfinished)}. The report says so.", err=True)
        click.get_current_context().exit(STOPPED)
    if made.verdict == "fail":
        click.get_current_context().exit(3)

"""What commands print: sentences, one JSON object, tables and progress. Nothing here sees a row.

With `--json` stdout carries exactly one JSON object, and everything else goes to stderr. Names that come from a header
or from the ledger pass through `plain`, so that they cannot drive a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TextIO

import click

from privsynth.cli.terminal.heartbeat import Heartbeat, beating

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from privsynth.findings.finding import Finding
    from privsynth.policy.judge import Judgement

PIPE_WIDTH = 160  # columns of a table that is not printed on a terminal

_MARKS = {"pass": "✓ pass", "fail": "✗ fail", "review": "? review", "insufficient": "· no evidence", "info": ""}


@dataclass
class OutputMode:
    """How the running command was asked to speak.

    Attributes:
      as_json: stdout is for one JSON object.
      verbose: say more about progress; never a private value.
      printed: the JSON object is out.
      released: the command has made what it spends budget for.
    """

    as_json: bool = False
    verbose: bool = False
    printed: bool = False
    released: bool = False


def output_mode() -> OutputMode:
    """Return the output mode of the running command; a silent default outside the command line."""
    context = click.get_current_context(silent=True)
    found = context.find_root().obj if context else None
    return found if isinstance(found, OutputMode) else OutputMode()


def plain(text: str) -> str:
    """Return text without characters that drive a terminal; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def first_names(names: Sequence[str], at_most: int = 5) -> str:
    """Return the first few names of columns, and how many more there are."""
    more = len(names) - at_most
    return ", ".join(plain(name) for name in names[:at_most]) + (f" and {more} more" if more > 0 else "")


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence: to stdout, or to stderr if asked or if stdout is for JSON."""
    click.echo(plain(text), err=err or output_mode().as_json)


def emit_json(obj: Any) -> None:
    """Print the one JSON object of a command to stdout.

    Raises:
      ValueError: a number is NaN or infinite, or a second object is printed.
    """
    here = output_mode()
    if here.printed:
        raise ValueError("a command prints one JSON object")
    text = json.dumps(obj, indent=2, allow_nan=False)
    here.printed = True
    click.echo(text)


def bar(share: float, *, width: int = 20, fancy: bool = True) -> str:
    """Return a share as a bar: full for 1 or more, and at least one block for anything above 0."""
    filled = min(width, max(int(share * width), int(share > 0)))
    full, empty = ("█", "░") if fancy else ("#", ".")
    return full * filled + empty * (width - filled)


def speaks_unicode(stream: TextIO | None = None) -> bool:
    """Return whether a stream (stdout by default) can print more than ASCII."""
    return (getattr(stream or sys.stdout, "encoding", None) or "").lower().startswith("utf")


def console(*, err: bool = False) -> Console:
    """Return a rich console for stdout or stderr: coloured on a terminal only, wide in a pipe."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def print_table(header: Iterable[str], rows: Iterable[Iterable[str]], *, title: str = "") -> None:
    """Print a table of text to stdout (stderr if stdout is for JSON)."""
    from rich.box import ASCII, SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)) if title else None, title_justify="left")
    table.box = SIMPLE_HEAD if speaks_unicode() else ASCII
    for name in header:
        table.add_column(Text(plain(name)))
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console(err=output_mode().as_json).print(table)


def print_findings(findings: Iterable[Finding], *, officer: bool = False, title: str = "") -> None:
    """Print findings as a table: the public ones, and those for the officer only if asked."""
    named = finding_title()
    rows = [
        (
            _MARKS[f.verdict] if speaks_unicode() else f.verdict,
            f"{named(f.name)} · {f.group}" if f.group else named(f.name),
            _number(f.value, f.unit),
            "" if f.low is None or f.high is None else f"{f.low:.4g} to {f.high:.4g} ({f.confidence:.0%})",
            "" if f.baseline is None else f"{_number(f.baseline, f.unit)} {f.baseline_label}".rstrip(),
            "" if f.n is None else f"{f.n:,}",
        )
        for f in findings
        if officer or f.visibility == "public"
    ]
    print_table(("verdict", "finding", "value", "interval", "compare with", "n"), rows, title=title)


def print_policy(judgement: Judgement | None, *, officer: bool) -> None:
    """Print the verdict on each check of a policy; on findings of the officer's only if asked."""
    if judgement is None:
        return
    title = finding_title()
    rows = [
        (
            _MARKS[outcome.verdict] if speaks_unicode() else outcome.verdict,
            title(outcome.metric) if outcome.groups == "*" else f"{title(outcome.metric)} · {outcome.groups}",
            outcome.demand,
            _number(outcome.value, ""),
            "" if outcome.verdict == "pass" else ", ".join(outcome.worst[:3]),
        )
        for outcome in judgement.outcomes
        if officer or not outcome.exact
    ]
    header = ("verdict", "check", "demand", "value", "where")
    print_table(
        header, rows, title=f"Policy '{judgement.policy}', version {judgement.version}: evidence, not a conclusion"
    )


def finding_title() -> Callable[[str], str]:
    """Return what names a finding for people, as the reports do; --json has the names that policies use."""
    from privsynth.pipeline.writing.report_records import report_title

    return report_title


def checks_line(findings: Iterable[Finding], judgement: Judgement | None, *, audited: bool) -> str:
    """Return how many checks have which verdict, as the tiles of the officer's report count them."""
    from privsynth.policy.one_verdict import verdict_counts

    counts = verdict_counts(findings, judgement)
    told = f"{counts['fail']} failed, {counts['review']} for a person to review, "
    told += f"{counts['insufficient']} without enough evidence, {counts['pass']} passed"
    if audited:
        return f"{told}; see the officer report"
    return f"NOT AUDITED (--audit none): no attack was tried, no exact figure computed. Of the paid figures: {told}"


def policy_json(judgement: Judgement | None, *, officer: bool = True) -> dict[str, Any] | None:
    """Return what --json says of a policy; None without one. Verdicts on the officer's findings only if asked."""
    if judgement is None:
        return None
    keys = ("metric", "groups", "demand", "verdict", "value")
    outcomes = [o for o in judgement.outcomes if officer or not o.exact]
    return {
        "policy": judgement.policy,
        "version": judgement.version,
        "sha256": judgement.digest,
        "checks": [{key: getattr(outcome, key) for key in keys} for outcome in outcomes],
    }


def _number(value: float | None, unit: str) -> str:
    return "none" if value is None else f"{value:.4g} {unit}".rstrip()


class Steps:
    """Progress by named steps; call it as often as there is news."""

    def __init__(self, bars: Progress | None, *, lines: bool, heartbeat: Heartbeat | None = None) -> None:
        self._bars, self._lines, self._heartbeat = bars, lines, heartbeat
        self._step: str | None = None
        self._task: TaskID | None = None

    def __call__(self, step: str, done: float = 0, total: float | None = None) -> None:
        """Show that `done` of `total` of a step is done. A new name ends the step before it."""
        if step != self._step:
            self._end()
            self._step = step
            if self._bars is not None:
                self._task = self._bars.add_task(plain(step), total=total)
            elif self._lines:
                with suppress(OSError):  # a stderr that is closed must not end a run that has paid
                    click.echo(plain(step), err=True)
        if self._heartbeat is not None:
            self._heartbeat(step, done / total if total else 0.0)
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total)

    def _end(self) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, total=1, completed=1)


@contextmanager
def progress() -> Iterator[Steps]:
    """Yield a `Steps` that draws bars on stderr.

    Where stderr is no terminal it prints a line at long intervals, or one for each step with --verbose. It prints those
    as well where rich is not installed, which those who only draw from a model can do without.
    """
    if not sys.stderr.isatty():
        heartbeat, stderr = Heartbeat(), sys.stderr
        with beating(heartbeat, lambda line: click.echo(plain(line), file=stderr)):
            yield Steps(None, lines=output_mode().verbose, heartbeat=heartbeat)
        return
    if find_spec("rich") is None:
        yield Steps(None, lines=True)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(err=True), transient=not output_mode().verbose) as bars:
        steps = Steps(bars, lines=False)
        yield steps
        steps._end()

"""`privsynth benchmark`: compare generators on one table or on linked ones, for the officer alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privsynth.cli import STOPPED
from privsynth.cli.terminal.options import source_options, take_source_options
from privsynth.cli.terminal.output import console, emit_json, output_mode, plain, print_table, say

if TYPE_CHECKING:
    from privsynth.benchmark.results import Document

COLUMNS = ("acc1", "acc2", "acc3", "c2st")
MOST_ACROSS = 8  # figures beside each other: about what a wide terminal has room for (own)


@click.command("benchmark")
@click.argument("source", metavar="TABLE|FOLDER")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Output folder; an existing one is continued."
)
@click.option(
    "--schema", type=click.Path(path_type=Path), help="What is declared; of linked tables how they are linked."
)
@click.option("--unit", metavar="COLUMN|row", help="Whose privacy is protected (default: the schema's).")
@click.option("--max-rows-per-unit", type=int, metavar="K", help="Use at most K rows of each unit.")
@click.option(
    "--generators",
    default="marginal",
    show_default=True,
    metavar="A,B,...",
    help="See `privsynth generators`; for linked tables also flat:NAME.",
)
@click.option(
    "--epsilons", default="0.5,1,3,10", show_default=True, metavar="E,...", help="Budgets of the private generators."
)
@click.option("--delta", type=float, default=1e-6, show_default=True, help="δ of the private generators.")
@click.option("--seeds", type=int, default=5, show_default=True, metavar="N", help="How many times to run each.")
@click.option("--holdout", metavar="SOURCE", help="Real rows of the same population that no generator sees.")
@click.option("--holdout-fraction", type=float, metavar="F", help="Share of the units to hold out (default: 0.2).")
@click.option("--target", "targets", multiple=True, metavar="COLUMN", help="Column to predict (default: the schema's).")
@click.option(
    "--compare",
    multiple=True,
    type=click.Path(path_type=Path),
    help="JSON file, or a folder of them: runs from elsewhere.",
)
@click.option("--timeout-minutes", type=float, default=60.0, show_default=True, help="Stop a run that takes longer.")
@click.option(
    "--judge-rows",
    type=int,
    default=50_000,
    show_default=True,
    help="Maximum number of rows that train a judge's model.",
)
@click.option("--reference-epochs", type=int, metavar="N", help="Epochs of sdv: references (default: SDV's).")
@click.option("--keep-rows", is_flag=True, help="Keep the synthetic rows of each run in OUT/rows.")
@click.option("--retry-failed", is_flag=True, help="Repeat runs that failed before.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout; it holds exact figures.")
def command(source: str, generators: str, epsilons: str, timeout_minutes: float, as_json: bool, **options: Any) -> None:
    """Run generators on a table, or on linked ones, and write a page with plots and its JSON twin.

    Each generator is run over seeds and epsilons. Linked tables need a --schema with the key 'tables'; then persons
    are held out with all their rows.

    INTERNAL: no ledger accounts for the real rows that the runs use. The output is for the officer only. You may stop
    it at any time; the same command continues where it stopped.

    Example: privsynth benchmark a.csv --schema s.yaml --unit row --generators marginal,arn --epsilons 1,3 --out bench/

    Example: privsynth benchmark clinic/ --schema linked.yaml --generators marginal,sdv:hma --epsilons 3 --out bench/
    """
    from privsynth.benchmark.config import BenchmarkConfig
    from privsynth.benchmark.results import WATERMARK
    from privsynth.benchmark.runner import benchmark

    taken = take_source_options(options)
    for name in ("targets", "compare"):
        options[name] = tuple(options[name])
    config = BenchmarkConfig(
        table=source,
        generators=tuple(name.strip() for name in generators.split(",") if name.strip()),
        epsilons=_numbers(epsilons),
        timeout_s=60 * timeout_minutes,
        source_options=taken,
        **options,
    )
    say(WATERMARK, err=True)
    try:
        with _progress() as tell:
            document = benchmark(config, tell)
    except KeyboardInterrupt:
        say(f"Stopped. The finished runs are in {config.out}; the same command continues from there.", err=True)
        click.get_current_context().exit(STOPPED)
    if as_json:
        emit_json(document.model_dump(mode="json"))
        return
    _show(document)
    say(f"Page: {config.out / 'benchmark.html'} (exact figures: keep it inside)")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows one bar for all runs on stderr; without a terminal, a line a stage with --verbose."""
    if not sys.stderr.isatty():
        yield (
            lambda text, done, of: click.echo(plain(f"{done}/{of} {text}"), err=True) if output_mode().verbose else None
        )
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console(err=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda text, done, of: bars.update(task, description=plain(text), completed=done, total=of)


def _numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a list with commas.

    Raises:
      ConfigError: one of them is no number.
    """
    from privsynth.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ConfigError(f"--epsilons needs numbers with commas between them, like 0.5,1,3, not '{text}'") from None


def _show(document: Document) -> None:
    """Print the means of all figures, and what failed."""
    from privsynth.benchmark.page import figure, label, seconds

    keys = list(dict.fromkeys([*document.ceiling, *(key for line in document.summary for key in line.figures)]))
    keys.sort(key=lambda key: (key not in COLUMNS[:3], key in COLUMNS))
    rows = [("real rows", "", "", *(f"{document.ceiling[k]:.4f}" if k in document.ceiling else "–" for k in keys), "")]
    for line in document.summary:
        budget = "none" if line.epsilon is None else f"{line.epsilon:g}"
        shown = (figure(line.figures.get(key)) for key in keys)
        rows.append((label(line), budget, str(line.done), *shown, seconds(line.fit_s)))
    lines = [("generator", "ε", "runs", *keys, "fit, s"), *rows]
    if len(keys) > MOST_ACROSS:  # a figure to a line, for a name that is cut is of no use
        lines = list(zip(*lines, strict=True))
    print_table(lines[0], lines[1:])
    for run in document.runs:
        if run.status == "failed":
            budget = "" if run.epsilon is None else f", ε {run.epsilon:g}"
            say(f"Failed: {run.generator}{budget}{f', seed {run.seed}' if run.seed is not None else ''}: {run.reason}")

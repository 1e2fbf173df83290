"""`privsynth answer`: a figure with its interval, from the noisy tables of a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from privsynth.cli.terminal.output import emit_json, first_names, print_table, say

if TYPE_CHECKING:
    from privsynth.release.noisy.answer import AnswerResult


@click.command("answer")
@click.argument("release", type=click.Path(path_type=Path))
@click.argument("question")
@click.option("--table", help="Of linked tables, the one that is asked (default: the one that has the columns).")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of each interval by itself.")
@click.option(
    "--sampling", is_flag=True, help="Intervals also cover that the rows are a sample of more people like them."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a line for each group.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(
    release: Path,
    question: str,
    table: str | None,
    confidence: float,
    sampling: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Answer a QUESTION about the real rows of a RELEASE, with an interval, from the noisy tables that it paid for.

    It reads what was published, so it costs no budget, and everybody gets the same answer. What no paid table holds
    is refused, with the tables that are nearest.

    A question is a statistic (count, share, share(ward = surgery), mean(age), sum(age), median(age),
    quantile(age, 0.9)), then 'by' and one or two columns, then 'where' and conditions, joined by 'and'. Names and
    values with blanks stand between backticks or quotes.

    Example: privsynth answer out/public 'mean(age) by ward where sex = F'
    """
    from privsynth.release.noisy.answer import answer

    if as_csv and as_json:
        raise click.UsageError("give either --csv or --json")
    found = answer(release, question, table=table, confidence=confidence, sampling=sampling)
    if as_json:
        emit_json(found.to_json())
    elif as_csv:
        click.echo(found.to_frame().to_csv(index=False, lineterminator="\n"), nl=False)
    else:
        _print(found)


def _print(found: AnswerResult) -> None:
    header = [
        *found.by,
        "value",
        f"{found.confidence * 100:g} % interval",
        *(["wherever in the bins"] if found.has_bins else []),
    ]
    rows = []
    for row in found.rows:
        bins = [_interval(row.bins_low, row.bins_high)] if found.has_bins else []
        rows.append((*row.group, _number(row.value), _interval(row.low, row.high), *bins))
    print_table(header, rows, title=found.question)
    for sentence in found.covers:
        say(sentence)
    say(f"From {'the table' if len(found.tables) == 1 else f'{len(found.tables)} tables'} {first_names(found.tables)}.")


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "noise hides it"
    if low is None:
        return f"up to {_number(high)}"
    return f"{_number(low)} and more" if high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float | None) -> str:
    """Return four significant digits, or all before the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"

"""From a `Document` to one HTML page: autoescaped, no script, no network, watermarked."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privsynth.benchmark.pictures import Kind, Point, Series, Spot, against_epsilon, against_seconds
from privsynth.benchmark.results import NOT_PRIVATE, Document, Spread, Summary
from privsynth.pages.templates import templates_dir
from privsynth.report import format_numbers
from privsynth.report.charts import svg
from privsynth.report.render import report_style

REFERENCE_EPSILON = 1.0  # of the charts against seconds, if there are runs at it (own)
MINUS = "−"


@dataclass(frozen=True)
class Measure:
    """A figure as the page shows it.

    Attributes:
      key: its name in the document.
      short: heading of its column.
      title: heading of its chart.
      meaning: one sentence.
      stretched: its best is 1, and the axis is stretched towards it.
      ceiling_name: what real rows reach.
    """

    key: str
    short: str
    title: str
    meaning: str
    stretched: bool = True
    ceiling_name: str = "holdout"


_FIDELITY = (
    Measure(
        "acc2",
        "acc2",
        "Pairs of columns",
        "1 minus the mean total variation distance between the counts of synthetic and training rows, over all pairs "
        "of columns; numbers in deciles. The ceiling is what the holdout reaches; it has fewer rows, so that a good "
        "generator can pass it.",
    ),
    Measure("acc3", "acc3", "Triples of columns", "The same over 200 triples of columns, drawn once."),
    Measure("acc1", "acc1", "Single columns", "The same over single columns."),
)
_HISTORIES = (
    Measure(
        "within",
        "within",
        "Pairs of columns of one row",
        "1 minus the mean total variation distance between synthetic and training persons, over all pairs of columns "
        "of a row, and over the tables; numbers in deciles. The ceiling is what the held-out persons reach; they are "
        "fewer, so that a good generator can pass it.",
    ),
    Measure("next", "next", "From one row to the next", "The same over each column in one row and in the next."),
    Measure("parent", "parent", "A row and the rows above it", "The same over a column and one of a row above."),
    Measure("count", "count", "How many rows", "The same for the number of rows that each row above has."),
    Measure("gap", "gap", "The gap to the next row", "The same over the gap, alone and with each column."),
    Measure("place", "place", "The place in the history", "The same over a column and the row's place."),
    Measure("agg2", "agg2", "What sums up a person", "The same over pairs of figures that sum up a person."),
    Measure("agg1", "agg1", "Single figures that sum up a person", "The same over single ones."),
    Measure("column", "column", "Single columns", "The same over single columns."),
)
_KEYS = Measure(
    "keys", "keys", "Keys", "Share of the written rows whose key is their own and leads to a row.", stretched=False
)
_APART = Measure(
    "c2st",
    "c2st",
    "Can a model tell the rows from real ones?",
    "AUROC of boosted trees that tell synthetic from holdout rows. 0.5 means that they cannot; lower is better.",
    stretched=False,
    ceiling_name="training rows",
)


def render(document: Document) -> str:
    """Return the page.

    Raises:
      jinja2.UndefinedError: a template names what does not exist.
      ValueError: a figure is not finite.
    """
    style = report_style()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    utility = _utility(document)
    fidelity = [m for m in (*_FIDELITY, *_HISTORIES) if _has(document, m)]
    measures = [*sorted(_FIDELITY, key=lambda m: m.key), *_HISTORIES, _KEYS, *utility, _APART]
    return (
        _environment()
        .get_template("benchmark.html")
        .render(
            document=document,
            style=Markup(style),  # our own file; the digest of the policy is taken over these bytes
            style_hash=digest,
            name=document.table.name if document.table else str(document.settings["table"]),
            fidelity=[(m, _chart(document, m)) for m in fidelity],
            utility=[(m, _chart(document, m)) for m in utility],
            apart=[(m, _chart(document, m)) for m in (_APART,) if _has(document, m)],
            seconds=_seconds(document, [*fidelity[:2], *utility[:1], _APART]),
            reference=_reference_epsilon(document),
            measures=[m for m in measures if _has(document, m)],
            lines=document.summary,
            label=label,
            marks=_marks,
            failed=[run for run in document.runs if run.status == "failed"],
            not_private=NOT_PRIVATE,
            not_private_here=any(not line.private for line in document.summary),
            foreign=[line for line in document.summary if line.origin == "elsewhere"],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda v: svg.clean(v) if isinstance(v, str) and not isinstance(v, Markup) else v,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(whole=whole, power=format_numbers.power)
    return environment


def figure(spread: Spread | None, digits: int = 4) -> str:
    """Return mean and spread with fixed decimals, or a dash."""
    if spread is None:
        return "–"
    mean = f"{spread.mean:.{digits}f}".replace("-", MINUS)
    return mean if spread.sd is None else f"{mean} ± {spread.sd:.{digits}f}"


def seconds(spread: Spread | None) -> str:
    """Return seconds with their spread, or a dash."""
    return figure(spread, 1) if spread is None or spread.mean < 100 else figure(spread, 0)


def whole(spread: Spread | None) -> str:
    """Return a mean as a whole number, or a dash."""
    return "–" if spread is None else f"{spread.mean:,.0f}"


def label(line: Summary) -> str:
    """Return a generator's name, prefixed if it is not private, so that no cut can hide it."""
    return line.generator if line.private else f"not private: {line.generator}"


def _marks(line: Summary) -> list[str]:
    quoted = _quoted(line)
    words = [(not line.private, "not private"), (quoted, "quoted"), (line.origin == "elsewhere", "elsewhere")]
    marks = [word for true, word in words if true]
    return marks[:-1] if "quoted" in marks else marks


def _quoted(line: Summary) -> bool:
    return line.origin == "elsewhere" and line.judge != "privsynth"


def _key(line: Summary) -> tuple[Any, ...]:
    return (line.generator, line.origin, line.judge)


def _places(document: Document) -> dict[tuple[Any, ...], int]:
    """Return the number of each generator, in the order of the document: ours first."""
    return {key: i for i, key in enumerate(dict.fromkeys(_key(line) for line in document.summary))}


def _has(document: Document, measure: Measure) -> bool:
    return any(measure.key in line.figures for line in document.summary) or measure.key in document.ceiling


def _utility(document: Document) -> list[Measure]:
    """Return a measure for each target, from what is in the document."""
    keys = dict.fromkeys([*document.ceiling, *(key for line in document.summary for key in line.figures)])
    found = []
    for key in keys:
        kind, _, target = key.partition(":")
        if kind == "tstr":
            words = "AUROC on the holdout of boosted trees trained on synthetic rows to predict this column."
            found.append(Measure(key, f"tstr {target}", f"Predicting {target}", words, ceiling_name="trained on real"))
        elif kind == "ap":
            words = (
                "Average precision of the same trees for the rare values: how many of those that they name are right."
            )
            title = f"Finding the rare values of {target}"
            found.append(Measure(key, f"AP {target}", title, words, stretched=False, ceiling_name="trained on real"))
        elif kind == "r2":
            words = "R² on the holdout of boosted trees trained on synthetic rows; 1 is perfect, 0 predicts nothing."
            title = f"Predicting {target} as a number"
            found.append(Measure(key, f"R² {target}", title, words, stretched=False, ceiling_name="trained on real"))
    return found


def _chart(document: Document, measure: Measure) -> Markup:
    places = _places(document)
    series = []
    for key, place in places.items():
        lines = [line for line in document.summary if _key(line) == key and measure.key in line.figures]
        if lines:
            points = [Point(s.epsilon, s.figures[measure.key].mean, s.figures[measure.key].sd) for s in lines]
            series.append(Series(label(lines[0]), place, _kind(lines[0]), tuple(points)))
    return against_epsilon(
        measure.title,
        series,
        stretched=measure.stretched,
        ceiling=document.ceiling.get(measure.key),
        ceiling_name=measure.ceiling_name,
    )


def _kind(line: Summary) -> Kind:
    if not line.private:
        return Kind.NOT_PRIVATE
    if line.origin == "here":
        return Kind.OURS
    return Kind.QUOTED if _quoted(line) else Kind.ELSEWHERE


def _reference_epsilon(document: Document) -> float | None:
    """Return the epsilon at which most generators have runs; of several, the one nearest to 1."""
    counts: dict[float, int] = {}
    for line in document.summary:
        if line.epsilon is not None and line.done:
            counts[line.epsilon] = counts.get(line.epsilon, 0) + 1
    most = [epsilon for epsilon, n in counts.items() if n == max(counts.values())]
    return min(most, key=lambda epsilon: abs(epsilon - REFERENCE_EPSILON)) if most else None


def _seconds(document: Document, measures: Sequence[Measure]) -> list[tuple[Measure, Markup]]:
    """Return a chart against seconds for each measure, at one epsilon and without privacy."""
    places, epsilon = _places(document), _reference_epsilon(document)
    found = []
    for measure in measures:
        spots = [
            Spot(label(s), places[_key(s)], _kind(s), s.fit_s.mean, s.figures[measure.key].mean)
            for s in document.summary
            if s.epsilon in (None, epsilon) and s.fit_s is not None and measure.key in s.figures
        ]
        if spots:
            at = "" if epsilon is None else f" (ε = {epsilon:g})"
            title = f"{measure.title}{at}, against seconds"
            ceiling = document.ceiling.get(measure.key)
            chart = against_seconds(
                title, spots, stretched=measure.stretched, ceiling=ceiling, ceiling_name=measure.ceiling_name
            )
            found.append((measure, chart))
    return found

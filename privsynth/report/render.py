"""From `ReportData` to one HTML page: autoescaped, no script, no network, the same bytes for the same report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privsynth.findings.finding import COUNTED
from privsynth.findings.sentences import of_what
from privsynth.findings.severity import excess_words
from privsynth.pages.templates import templates_dir
from privsynth.report import explain_epsilon, format_numbers
from privsynth.report.blocks import zero_note
from privsynth.report.charts import promise, svg
from privsynth.report.headlines import headlines
from privsynth.report.pictures import pictures_of
from privsynth.report.records.promise import EarlierReleases, Guarantee
from privsynth.report.regulation.annex import annex
from privsynth.report.report_data import ReportData
from privsynth.report.sections import left_out_words, sections, unmeasured
from privsynth.report.sheet.decision_sheet import Deed, decision_sheet
from privsynth.report.sheet.together import together_sentence
from privsynth.report.sheet.uses import doubted_ties
from privsynth.report.titles import GLOSSARY, STATUSES, VERDICTS, plain_part, titles_by
from privsynth.report.verdict_rows import checks, tally
from privsynth.wording.words import Foreign, words

ATTESTATION = Markup('<script type="application/vnd.in-toto.bundle" id="privsynth-attestation"></script>')
DEEDS_START, DEEDS_END = Markup("<!-- privsynth:deeds -->"), Markup("<!-- /privsynth:deeds -->")
LOUD = ("fail", "review")  # verdicts that ask for a person


def render(report: ReportData, titles: Mapping[str, str]) -> str:
    """Return the report as one self-contained HTML page with an empty attestation element at its end.

    Every chart is inline SVG with a text alternative, and its figures stand in a table beside it. Texts from outside
    (names of columns, groups, datasets) are escaped and cleaned of control characters.
    Args:
      titles: name of a finding -> its title; a name without one is spelled out.
    Raises:
      jinja2.UndefinedError: a template names what does not exist.
      ValueError: a figure is not finite.
    """
    style, title = report_style(), titles_by(titles)
    judged = checks(report, title)
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return (
        _environment(templates_dir())
        .get_template("report.html")
        .render(
            report=report,
            g=report.guarantee,
            officer=report.kind == "officer",
            style=Markup(style),  # our own file; the digest of the policy is taken over these bytes
            style_hash=digest,
            attestation=ATTESTATION,
            deeds_start=DEEDS_START,
            deeds_end=DEEDS_END,
            sections=sections(report, title),
            unmeasured=unmeasured(report),
            tally=tally(report),
            annex=annex(report, report.language),
            say=words(report.language).say,
            sheet=decision_sheet(report, title),
            loud_checks=[check for check in judged if check.verdict in LOUD],
            quiet_checks=[check for check in judged if check.verdict not in LOUD],
            doubted=doubted_ties(report),
            headlines=headlines(report, title),
            title=title,
            verdicts=VERDICTS,
            counted=COUNTED,
            statuses=STATUSES,
            glossary=GLOSSARY,
            promise=None if report.guarantee is None else _promise(report.guarantee, report.earlier),
            pictures=pictures_of(report),
        )
    )


def render_deeds(deeds: Sequence[Deed]) -> str:
    """Return who did what and when, as it stands on page one between `DEEDS_START` and `DEEDS_END`."""
    return _environment(templates_dir()).get_template("_deeds.html").render(deeds=deeds)


@cache
def _environment(folder: Path) -> Environment:
    """Return the environment of a folder, cached, for compiling templates takes longer than rendering."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=format_numbers.number,
        share=format_numbers.share,
        power=format_numbers.power,
        tidy=format_numbers.tidy,
        pairs=zip,
        sentence=lambda words: f"{words[:1].upper()}{words[1:]}.",
    )
    environment.tests["foreign"] = lambda text: isinstance(text, Foreign)
    environment.globals.update(
        interval=format_numbers.interval, zero_note=zero_note, excess_words=excess_words, of_what=of_what
    )
    return environment


def _clean(value: Any) -> Any:
    """Return a text without control characters; leave markup, which only this package makes, as it is."""
    return svg.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def report_style() -> str:
    """Return the style sheets as they stand in the page, newline for newline."""
    return "\n" + "".join((templates_dir() / name).read_text(encoding="utf-8") for name in ("report.css", "charts.css"))


def _promise(g: Guarantee, earlier: EarlierReleases | None) -> dict[str, Any]:
    """Return the pictures and words that explain the guarantee."""
    bounds: dict[str, Any] = {"epsilon": g.epsilon, "delta": g.delta, "mu": g.mu, "mu_delta": g.mu_delta}
    cards = explain_epsilon.risk_cards(**bounds)
    return {
        "budget": promise.waterfall(
            "Where the budget went", [(plain_part(s.label), s.share) for s in g.spends], total=_whole(g)
        ),
        "cards": cards,
        "people": promise.people("What an attacker can gain, in 100 guesses", cards),
        "membership": explain_epsilon.membership_sentence(**bounds),
        "delta": explain_epsilon.delta_sentence(g.delta),
        "which": explain_epsilon.which_sentence(**bounds),
        "together": "" if earlier is None else together_sentence(g, earlier),
        "percent": explain_epsilon.percent,
        "left_out": left_out_words(g),
    }


def _whole(g: Guarantee) -> str:
    """Return the name of the whole budget, on the scale on which its parts add up."""
    return f"The whole budget: ε = {format_numbers.number(g.epsilon)}, δ = {format_numbers.power(g.delta)}"

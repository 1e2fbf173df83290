"""From `ReportData` to one HTML page: autoescaped, no script, no network, the same bytes for the same report."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privsynth.report import charts, curves, numbers, plain, svg
from privsynth.report.model import ReportData
from privsynth.report.sections import sections, tally, title_of
from privsynth.report.titles import GLOSSARY, VERDICTS

_PACKAGE = Path(__file__).resolve().parents[1]
ATTESTATION = Markup('<script type="application/vnd.in-toto.bundle" id="privsynth-attestation"></script>')


def templates_dir() -> Path:
    """Return the folder of HTML templates: inside an installed package, or beside it in a checkout.

    Raises:
      FileNotFoundError: the installation lacks them.
    """
    installed = _PACKAGE / "templates"
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "templates").is_dir():
        return checkout / "templates"
    raise FileNotFoundError("privsynth was installed without its HTML templates")


def render(report: ReportData) -> str:
    """Return the report as one self-contained HTML page with an empty attestation element at its end.

    Every chart is inline SVG with a text alternative, and its figures stand in a table beside it.
    """
    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=numbers.number, share=numbers.share, power=numbers.power, clean=svg.clean, title_of=title_of, pairs=zip
    )
    css = (templates_dir() / "report.css").read_text(encoding="utf-8")
    style = Markup("\n" + css)
    digest = base64.b64encode(hashlib.sha256(str(style).encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("report.html").render(
        report=report,
        style=style,
        style_hash=digest,
        attestation=ATTESTATION,
        sections=sections(report),
        tally=tally(report),
        verdicts=VERDICTS,
        glossary=GLOSSARY,
        interval=numbers.interval,
        budget=_budget(report),
        cards=_cards(report),
        people=curves.people("What an attacker can gain", _cards(report)) if report.guarantee else None,
        profiles=[
            (p, charts.histogram(f"{p.column}, synthetic rows", p.labels, p.counts, ordered=p.ordered))
            for p in report.synthetic_profile
        ],
        membership=_membership(report),
        delta_words=plain.delta_sentence(report.guarantee.delta) if report.guarantee else "",
    )


def _budget(report: ReportData) -> Markup | None:
    if report.guarantee is None or not report.guarantee.spends:
        return None
    return charts.budget_bar("Where the budget went", [(s.label, s.share) for s in report.guarantee.spends])


def _cards(report: ReportData) -> tuple[plain.RiskCard, ...]:
    g = report.guarantee
    return () if g is None else plain.risk_cards(epsilon=g.epsilon, delta=g.delta, mu=g.mu)


def _membership(report: ReportData) -> str:
    g = report.guarantee
    return "" if g is None else plain.membership_sentence(epsilon=g.epsilon, delta=g.delta, mu=g.mu)

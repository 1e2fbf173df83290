"""A small document that is written as Markdown and as a page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privsynth.pages.templates import templates_dir
from privsynth.report.charts.svg import clean

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class CardTable:
    """Rows of texts under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CardSection:
    """A heading and what stands below: paragraphs, lists and tables."""

    heading: str
    blocks: tuple[str | Bullets | CardTable, ...]


@dataclass(frozen=True)
class CardDocument:
    """A title, a sentence below it, and sections."""

    title: str
    lead: str
    sections: tuple[CardSection, ...]


def to_markdown(document: CardDocument) -> str:
    """Return the document as Markdown; texts from outside cannot become markup."""
    parts = [f"# {_markdown(document.title)}", _markdown(document.lead)]
    for section in document.sections:
        parts.append(f"## {_markdown(section.heading)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: str | Bullets | CardTable) -> str:
    if isinstance(block, str):
        return _markdown(block)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_markdown(item)}" for item in block.items)
    lines = [block.header, ("---",) * len(block.header), *block.rows]
    return "\n".join(_row(line, plain=at == 1) for at, line in enumerate(lines))


def _row(cells: Sequence[str], *, plain: bool) -> str:
    return "| " + " | ".join(cells if plain else [_markdown(cell) for cell in cells]) + " |"


def _markdown(text: str) -> str:
    """Return one line in which nothing is markup; a number with a full stop at its start would become a list."""
    line = _SPECIAL.sub(r"\\\1", " ".join(clean(text).split()))
    return re.sub(r"^([-+]|\d+[.)])(?= )", r"\\\1", line)


def to_html(document: CardDocument) -> str:
    """Return the document as one self-contained page without scripts."""
    style = "\n" + (templates_dir() / "card.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("card.html").render(document=document, style=Markup(style), style_hash=digest)

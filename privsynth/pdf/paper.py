"""What a page needs before WeasyPrint can draw it, done to its tree; the bytes of the page stay as they are.

WeasyPrint (70.0) asserts that what breaks across pages inside of a grid is never a picture. So no grid reaches it:
each becomes a plain block, and `templates/pdf.css` puts side by side what stood so.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement

from privsynth.pages.templates import templates_dir

_GRID = re.compile(r"\bdisplay\s*:\s*(?:inline-)?grid\b", re.IGNORECASE)
_FOLDED = "details:not([open]) > *:not(summary) { display: none }"


def put_on_paper(page: Element, *, annex: bool) -> None:
    """Take the grids out of the styles of a page, and fold or open its parts.

    Args:
      page: the root of its tree; it is changed.
      annex: whether parts that are folded are opened.
    """
    for style in page.iter("style"):
        style.text = _GRID.sub("display: block", style.text or "")
    for styled in page.iterfind(".//*[@style]"):
        styled.set("style", _GRID.sub("display: block", styled.get("style", "")))
    if annex:
        for part in page.iter("details"):
            part.set("open", "")
    last = SubElement(page, "style")
    last.text = (templates_dir() / "pdf.css").read_text(encoding="utf-8") + _FOLDED

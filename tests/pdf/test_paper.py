"""Real reports as PDF: no grid, at which WeasyPrint fails, is laid out; whatever else fails is one sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import weasyprint
from click.testing import CliRunner
from pyhanko.pdf_utils.reader import PdfFileReader
from report.conftest import finding, officer
from titled import render

from privsynth.cli import main
from privsynth.errors import InputError
from privsynth.pdf.edition import PAGE, pdf_edition
from privsynth.report.charts.matrices import Pair, tiles
from privsynth.signing.release import EMPTY_ELEMENT

SHARES = {"labels": ["a", "b"], "real": [0.25, 0.75], "synthetic": [0.5, 0.5]}
SIDE = [str(i) for i in range(8)]
EVEN = [[1 / 64] * 8 for _ in range(8)]
PART = f"<details class='part'><summary>Part</summary>{'<p>Folded words.</p>' * 200}</details>"  # some pages
PAIR = {"rows": SIDE, "columns": SIDE, "real": EVEN, "synthetic": EVEN}


def pages(document: bytes) -> int:
    return int(PdfFileReader(io.BytesIO(document)).root["/Pages"]["/Count"])


@pytest.fixture(scope="module")
def officers_page() -> bytes:
    """Return an officer's report with the pictures that an audit draws, without its annex."""
    drawn = (
        *(finding("tvd_1way", 0.1, group=f"c{i}", visibility="officer", detail={"overlay": SHARES}) for i in range(6)),
        *(finding("tvd_2way", 0.1, group=f"p{i}", visibility="officer", detail={"pair": PAIR}) for i in range(3)),
    )
    body, annex, _ = render(replace(officer(), findings=drawn)).partition('<section id="annex" class="annex">')
    assert annex
    return f"{body}</div></div></main>{EMPTY_ELEMENT}</body></html>".encode()


@pytest.fixture(scope="module")
def page() -> Callable[[str], bytes]:
    """Return a function that makes a page of some elements in the style of a report."""
    style = render(officer()).partition("<style>")[2].partition("</style>")[0]
    head = f"<!DOCTYPE html><html lang='en'><head><title>Report</title><style>{style}</style></head>"
    return lambda body: f"{head}<body class='officer'>{body}{EMPTY_ELEMENT}</body></html>".encode()


def test_an_officers_report_is_drawn_without_a_grid(officers_page, monkeypatch):
    """Where a grid breaks depends on fonts, and so does whether WeasyPrint fails: the grids themselves are counted."""
    grids = []
    for module in (weasyprint.layout.block, weasyprint.layout.inline, weasyprint.layout.grid):
        monkeypatch.setattr(module, "grid_layout", lambda context, box, *rest: grids.append(box.element) or 1 / 0)
    assert pages(pdf_edition(officers_page)) > 1
    assert not grids


@pytest.mark.parametrize("below", [200, 240])
def test_pictures_that_do_not_fit_a_page_come_on_the_next(page, below):
    drawn = tiles(Pair(title="a × b", rows=SIDE, columns=SIDE, real=EVEN, synthetic=EVEN))
    assert pages(pdf_edition(page(f"<div style='height: {below}mm'></div>{drawn}{drawn}"))) == 2


def test_the_annex_of_a_report_is_opened_on_request(page):
    annex = page(f"<p>Body.</p><section class='annex'>{PART}</section>")
    assert pages(pdf_edition(annex)) == 1
    assert pages(pdf_edition(annex, annex=True)) > 1


def test_a_failure_of_weasyprint_is_one_sentence_without_its_words(officers_page, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise AssertionError("a cell of the page")

    monkeypatch.setattr(weasyprint.HTML, "write_pdf", fail)
    with pytest.raises(InputError, match="cannot draw this page"):
        pdf_edition(officers_page)
    (tmp_path / PAGE).write_bytes(officers_page)
    out = tmp_path / "report.pdf"
    done = CliRunner().invoke(main, ["pdf", str(tmp_path), "--out", str(out)])
    assert done.exit_code == 2
    assert "print it to a PDF there" in done.stderr
    assert "a cell of the page" not in done.output
    assert not out.exists()

"""Reports in a real browser: axe has no complaint, light and dark; a phone never scrolls sideways; pages on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from chromium import axe_script, browser, needs_chromium  # noqa: F401
from report.conftest import officer, public
from titled import render

from privsynth.report.records.promise import EarlierReleases
from privsynth.report.records.tables import TableRecord

pytestmark = needs_chromium

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
TABLES = (
    TableRecord(name="patients", n_rows=100),
    TableRecord(name="stays", parent="patients", order="admitted", max_children=8, n_rows=250),
    TableRecord(name="wards", reference=True, n_rows=12),
)
EARLIER = EarlierReleases(releases=1, epsilon=1.0, delta=1e-6, units=("patient_id",))
REPORTS = {
    "public": lambda: replace(public(), earlier=EARLIER),
    "officer": lambda: replace(officer(), earlier=EARLIER),
    "public, linked": lambda: replace(public(), tables=TABLES),
    "officer, linked": lambda: replace(officer(), tables=TABLES),
}
UNFOLD = "document.querySelectorAll('details').forEach(part => part.open = true)"
# The texts of pictures whose contrast with what is drawn below them, or with the page, is under 4.5 (WCAG 1.4.3).
FAINT = """() => {
    const rgb = colour => (colour.match(/[\\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = colour => rgb(colour).map(v => linear(v / 255))
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
    const paper = getComputedStyle(document.querySelector('.body')).backgroundColor;
    return [...document.querySelectorAll('svg.chart text')].filter(text => {
        const box = text.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
        const below = [...text.closest('svg').querySelectorAll('rect')].filter(rect => {
            const at = rect.getBoundingClientRect(), fill = getComputedStyle(rect).fill;
            return fill !== 'none' && at.left <= x && x <= at.right && at.top <= y && y <= at.bottom
                && rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
        });
        const back = below.length ? getComputedStyle(below[below.length - 1]).fill : paper;
        return box.width && contrast(getComputedStyle(text).fill, back) < 4.5;
    }).map(text => text.textContent + ': ' + getComputedStyle(text).fill);
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """Return axe-core as a script."""
    return axe_script()


@pytest.fixture(params=REPORTS)
def opened(browser, request, tmp_path) -> Iterator[Callable[..., Any]]:  # noqa: F811
    """Return a function that opens a report; a request, or a complaint on the console, fails the test."""
    path = tmp_path / "report.html"
    path.write_text(render(REPORTS[request.param]()), encoding="utf-8")
    complaints: list[str] = []
    contexts = []

    def open_page(*, size: dict[str, int] = DESK, scheme: str = "light", anchor: str = "") -> Any:
        contexts.append(browser.new_context(offline=True, viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith("file:") else None)
        page.on("console", lambda told: complaints.append(told.text))
        page.goto(path.as_uri() + anchor)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "dark")], ids=["desk", "desk, dark", "phone, dark"]
)
def test_axe_has_no_complaint_and_no_doubt(opened, axe, size, scheme):
    """Texts in pictures, of which axe cannot tell the background, are measured by `FAINT`.

    On a phone it cannot tell that of cells beyond the frame of a table either; their colours are those of the desk.
    """
    page = opened(size=size, scheme=scheme)
    page.evaluate(UNFOLD)
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")
    told = [
        (item["id"], node["target"], node["failureSummary"])
        for kind in ("violations", "incomplete")
        for item in found[kind]
        for node in item["nodes"]
        if not (item["id"] == "color-contrast" and (size == PHONE or node["html"].startswith(("<text", "<tspan"))))
    ]
    assert told == []
    assert page.evaluate(FAINT) == []


@pytest.mark.parametrize("unfolded", [False, True], ids=["folded", "unfolded"])
def test_a_phone_scrolls_down_and_never_sideways(opened, unfolded):
    page = opened(size=PHONE)
    assert not page.locator(".contents ol").first.is_visible()
    if unfolded:
        page.evaluate(UNFOLD)
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] == wide[1]
    cut = page.evaluate(
        """[...document.querySelectorAll('table, svg.chart')].filter(one => {
            const frame = one.closest('.scroll, figure') || one.parentElement;
            const room = getComputedStyle(frame).overflowX;
            return one.getBoundingClientRect().right > innerWidth + 1 && room !== 'auto' && room !== 'scroll';
        }).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert cut == []


def test_page_one_is_one_screen(opened):
    page = opened()
    assert page.locator(".contents ol").first.is_visible()
    assert page.evaluate("document.querySelector('.sheet').getBoundingClientRect().bottom") <= DESK["height"]


def test_a_link_opens_its_part_of_the_annex(opened):
    page = opened(anchor="#glossary")
    assert page.locator("#glossary").is_visible()
    assert not page.locator("#making").is_visible()


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_page_one_is_one_printed_page_and_a_closed_annex_is_not_printed(opened, paper):
    page = opened()
    body = _pages(page.pdf(format=paper))
    page.evaluate("document.querySelectorAll('.sheet ~ *').forEach(one => one.remove())")
    assert _pages(page.pdf(format=paper)) == 1
    page = opened()
    page.evaluate("document.querySelector('#glossary').closest('details').open = true")
    assert _pages(page.pdf(format=paper)) > body


def _pages(pdf: bytes) -> int:
    """Return the number of pages: each is an object that Chromium writes in the open."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))

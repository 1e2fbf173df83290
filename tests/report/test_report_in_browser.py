"""Pictures in a real browser: every text whole and inside its picture, on a desk and on a phone, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import browser, needs_chromium  # noqa: F401
from titled import render

import privsynth
from privsynth.report.charts.overlays import Overlay, overlay
from privsynth.report.records.tables import ColumnProfile

pytestmark = needs_chromium
SAMPLES = Path(__file__).parents[2] / "sample_data"
VIEWS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
# The corners of each text's box, in the picture's own units, against its viewport; half a unit for rounding.
CUT = """() => [...document.querySelectorAll("svg.chart text")].map(text => {
  const picture = text.ownerSVGElement, box = text.getBBox(), to = picture.getScreenCTM().inverse();
  const own = to.multiply(text.getScreenCTM()), wide = picture.viewBox.baseVal;
  const corners = [[box.x, box.y], [box.x + box.width, box.y], [box.x, box.y + box.height],
    [box.x + box.width, box.y + box.height]].map(([x, y]) => new DOMPoint(x, y).matrixTransform(own));
  const outside = corners.some(p => p.x < -.5 || p.y < -.5 || p.x > wide.width + .5 || p.y > wide.height + .5);
  return [picture.querySelector("title").textContent, text.textContent, outside || text.textContent.includes("…")];
})"""
TONES = """() => [...document.querySelectorAll("svg.chart :is(text, rect, path, line)")].map(one => {
  const style = getComputedStyle(one);
  return [one.tagName, one.getAttribute("fill") || one.getAttribute("stroke"), style.fill, style.stroke];
})"""
ANY_NAME = (  # wide, narrow and foreign letters, no place to break, and a sentence
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "a_very_long_column_name_" * 4,
    "Straßenbauverwaltungsangestelltenversicherung",
    "Ж" * 30,
    "患者の住所" * 8,
    "Emergency department, referred by another hospital (not elsewhere classified)",
)


@pytest.fixture
def opened(browser, tmp_path) -> Iterator[Callable[[str, str], Any]]:  # noqa: F811
    """Return a function that opens a page with all its folds open."""
    contexts = []

    def open_page(html: str, view: str) -> Any:
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        contexts.append(browser.new_context(offline=True, **VIEWS[view]))
        page = contexts[-1].new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
        return page

    yield open_page
    for context in contexts:
        context.close()


def cut(page: Any) -> list[list[str]]:
    """Return the texts that are cut or leave their picture, with its title."""
    found = page.evaluate(CUT)
    assert found
    return [[title, text] for title, text, wrong in found if wrong]


@pytest.mark.parametrize("view", VIEWS)
def test_every_text_of_a_report_is_whole_and_nothing_scrolls_sideways(opened, report, view):
    page = opened(render(report), view)
    assert cut(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("name", ANY_NAME)
def test_any_name_is_whole(opened, officer_report, make_finding, name):
    shares = {"labels": [name, "b"], "real": [0.25, 0.75], "synthetic": [0.5, 0.5]}
    grid = [[0.25, 0.25], [0.0, 0.5]]
    pair = {"rows": [name, "b"], "columns": [name, "b"], "real": grid, "synthetic": grid}
    matrix = [[None, 0.3], [0.3, None]]
    findings = (
        make_finding("tvd_1way", 0.1, group=name, visibility="officer", detail={"overlay": shares}),
        make_finding("tvd_2way", 0.1, group=f"{name} × b", visibility="officer", detail={"pair": pair}),
        make_finding("tvd_2way_mean", 0.1, detail={"columns": [name, "b"], "matrix": matrix, "beside": matrix}),
        *(make_finding("representation", i / 9, family="bias", group=f"{name}={i}") for i in range(3)),
        make_finding("membership_auc", 0.6, family="membership", group=name, detail={"roc": [[0, 0], [1, 1]]}),
    )
    profile = ColumnProfile(column=name, labels=(name,), counts=(1.0,))
    page = opened(render(replace(officer_report, findings=findings, synthetic_profile=(profile,))), "phone")
    assert cut(page) == []


def test_a_text_that_leaves_its_picture_is_found(opened):
    """The measure itself: a label that is pushed out must be seen."""
    picture = str(overlay(Overlay(title="t", labels=["a", "b"], synthetic=[0.5, 0.5])))
    assert cut(opened(picture, "desk")) == []
    moved = picture.replace('<text x="8"', '<text x="357"', 1)
    assert len(cut(opened(moved, "desk"))) == 1


def test_every_tone_changes_on_a_dark_page(opened, officer_report):
    light, dark = (opened(render(officer_report), view).evaluate(TONES) for view in VIEWS)
    assert len(light) == len(dark)
    for one, other in zip(light, dark, strict=True):
        if one[1] not in (None, "none"):
            assert one[2:] != other[2:], one


@pytest.fixture(scope="module", params=["hospital.csv", "hospital"])
def release(request, tmp_path_factory) -> Path:
    """Return a release of the sample hospital, as one table or as several."""
    out = tmp_path_factory.mktemp("drawn") / "out"
    linked = request.param == "hospital"
    schema = SAMPLES / ("hospital/schema.yaml" if linked else "hospital.schema.yaml")
    more = {} if linked else {"unit": "patient_id", "generator": "marginal"}
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PRIVSYNTH_HOME", str(home))
        privsynth.synthesize(SAMPLES / request.param, schema=schema, epsilon=3, audit="quick", out=out, **more)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["public", "officer"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_text_of_the_sample_releases_is_whole(opened, release, reader, view):
    page = opened((release / reader / "report.html").read_text(encoding="utf-8"), view)
    assert cut(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.slow
@pytest.mark.parametrize(("reader", "most"), [("public", 8), ("officer", 20)])
def test_the_sample_releases_are_printed_on_few_pages(browser, release, reader, most):  # noqa: F811
    page = browser.new_page()
    page.goto((release / reader / "report.html").as_uri())
    printed = page.pdf(format="A4", prefer_css_page_size=True)
    page.close()
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 1 < pages <= most

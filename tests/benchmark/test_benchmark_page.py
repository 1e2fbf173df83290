"""The page and its charts: watermark, marks of what is not private, no script, no network, figures in place."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from benchmark.invented import a_document, a_run

from privsynth.benchmark.page import render
from privsynth.benchmark.pictures import BOTTOM, TOP, Kind, Point, Scale, Series, Spot, against_epsilon, against_seconds
from privsynth.benchmark.results import WATERMARK

HOSTILE = '<script>alert("x")</script>'


def numbers_of(pattern: str, text: str) -> list[float]:
    return [float(x) for x in re.findall(pattern, text)]


def chart(*series: Series, ceiling: float | None = None, stretched: bool = True) -> str:
    return against_epsilon("Pairs", series, stretched=stretched, ceiling=ceiling, ceiling_name="holdout")


def test_a_stretched_scale_gives_equal_factors_equal_steps():
    scale = Scale.over([0.5, 0.98], stretched=True)
    assert scale(0.8) - scale(0.9) == pytest.approx(scale(0.9) - scale(0.95))
    assert TOP <= scale(0.98) < scale(0.5) <= BOTTOM
    assert scale(1.0) >= TOP  # nothing is drawn outside


@pytest.mark.parametrize("figures", [(0.9, 0.9001), (0.0, 0.999), (0.97, 0.98), (1.0, 1.0), (0.2, 0.3)], ids=str)
@pytest.mark.parametrize("stretched", [True, False])
def test_marks_hold_all_figures_and_do_not_crowd(figures, stretched):
    scale = Scale.over(figures, stretched=stretched)
    places = [scale(mark) for mark in scale.marks]
    assert all(one > two for one, two in pairwise(places))
    assert min(one - two for one, two in pairwise(places)) > 11
    assert len(set(scale.names())) == len(scale.marks)
    assert all(TOP <= scale(x) <= BOTTOM for x in figures)


def test_a_line_rises_with_its_figures_and_its_whiskers_are_one_standard_deviation():
    one = Series("marginal", 0, Kind.OURS, (Point(1.0, 0.6, 0.1), Point(3.0, 0.8, None)))
    drawn = chart(one, stretched=False, ceiling=0.9)
    (path,) = re.findall(r'<path d="M([\d.]+) ([\d.]+) L([\d.]+) ([\d.]+)"', drawn)
    x1, y1, x2, y2 = map(float, path)
    assert x1 < x2
    assert y1 > y2
    scale = Scale.over([0.5, 0.9], stretched=False)
    whisker = re.findall(rf'<line x1="{x1:g}" y1="([\d.]+)" x2="{x1:g}" y2="([\d.]+)"', drawn)
    assert (f"{scale(0.5):.2f}".rstrip("0").rstrip("."), f"{scale(0.7):.2f}".rstrip("0").rstrip(".")) in whisker
    assert drawn.count('stroke-dasharray="5 4"') == 2  # the ceiling, and its sign in the legend
    assert "holdout: 0.900" in drawn


def test_what_has_no_epsilon_stands_apart():
    drawn = chart(
        Series("marginal", 0, Kind.OURS, (Point(1.0, 0.9), Point(10.0, 0.95))),
        Series("not private: copula", 1, Kind.NOT_PRIVATE, (Point(None, 0.8),)),
    )
    assert "no privacy" in drawn
    assert len(re.findall(r'<path d="M[^"]*L[^"]*" fill="none"', drawn)) == 1  # no line for the reference


def test_a_chart_without_figures_says_so_and_one_without_numbers_is_refused():
    assert "No run has this figure" in chart()
    for wrong in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            chart(Series("marginal", 0, Kind.OURS, (Point(1.0, wrong),)))
        with pytest.raises(ValueError, match="not finite"):
            against_seconds(
                "t", [Spot("m", 0, Kind.OURS, wrong, 0.5)], stretched=True, ceiling=None, ceiling_name="holdout"
            )


def test_seconds_go_to_the_right_and_figures_up():
    spots = [Spot("slow", 0, Kind.OURS, 100.0, 0.9), Spot("fast", 1, Kind.OURS, 1.0, 0.95)]
    drawn = against_seconds("t", spots, stretched=True, ceiling=0.97, ceiling_name="holdout")
    circle = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    square = re.search(r'<rect x="([\d.]+)" y="([\d.]+)"', drawn)
    assert circle is not None
    assert square is not None
    assert float(circle[1]) > float(square[1]) + 100
    assert float(circle[2]) > float(square[2])


def named(drawn: str) -> list[tuple[str, float, float]]:
    """Return (anchor, x, y) of the names beside shapes; those of the legend have another size."""
    found = re.findall(
        r'<text x="([\d.-]+)" y="([\d.-]+)"[^>]*font-size="11" text-anchor="(\w+)"[^>]*>generator', drawn
    )
    return [(anchor, float(x), float(y)) for x, y, anchor in found]


def test_a_name_stands_beside_its_shape_or_in_the_legend_alone():
    def draw(*seconds: float) -> str:
        spots = [Spot(f"generator number {i}", i, Kind.OURS, s, 0.9) for i, s in enumerate(seconds)]
        return against_seconds("t", spots, stretched=True, ceiling=None, ceiling_name="holdout")

    assert [anchor for anchor, _, _ in named(draw(10.0, 90_000.0))] == ["start", "end"]  # the last one has no room
    crowded = draw(*(10.0 + i / 100 for i in range(9)))
    assert len(named(crowded)) < 9
    for i in range(9):
        assert f">generator number {i}</text>" in crowded
    rows = sorted(named(crowded))
    assert all(one[0] != two[0] or abs(one[2] - two[2]) > 12 for one, two in pairwise(rows))


def test_only_our_own_marks_are_filled_and_quoted_ones_are_dotted():
    shapes = {}
    for kind in Kind:
        drawn = chart(Series("generator", 0, kind, (Point(None if kind == Kind.NOT_PRIVATE else 1.0, 0.9),)))
        shapes[kind] = re.findall(r"<circle[^>]*>", drawn)[0]
        assert f">{kind.value}</text>" in drawn
        assert [other.value in drawn for other in Kind].count(True) == 1
    assert [kind for kind in Kind if 'fill="#fff"' not in shapes[kind]] == [Kind.OURS]
    assert [kind for kind in Kind if "dasharray" in shapes[kind]] == [Kind.QUOTED]


def document():
    return a_document(
        *(a_run(epsilon=e, seed=s) for e in (1.0, 3.0) for s in (1, 2)),
        a_run("sdv:copula", None),
        a_run(HOSTILE, origin="elsewhere", judge="another judge", note="Two cores."),
        a_run("broken", seed=7, status="failed", reason="it ran out of luck", figures={}, fit_s=None),
    )


def test_the_page_is_watermarked_and_calls_nobody():
    page = render(document())
    assert page == render(document())
    assert page.count(WATERMARK) == 2
    assert 'class="banner loud"' in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert not re.search(r"\sstyle=", page)
    assert "&lt;script&gt;" in page


def test_what_is_not_private_is_marked_in_every_chart_and_in_the_table():
    page = render(document())
    for drawn in re.findall(r"<svg.*?</svg>", page, flags=re.S):
        assert "sdv:copula" not in drawn or "not private: sdv:copula" in drawn
    row = re.search(r"<tr><th scope=\"row\">sdv:copula.*?</tr>", page)
    assert row is not None
    assert "not private" in row[0]
    assert ">none<" in row[0]
    assert "have no guarantee at all" in page
    assert "have no guarantee at all" not in render(a_document(a_run()))


def test_the_page_shows_figures_spreads_failures_and_where_runs_come_from():
    page = render(document())
    row = re.search(r"<tr><th scope=\"row\">marginal</th><td class=\"n\">1</td>.*?</tr>", page, flags=re.S)
    assert row is not None
    assert "0.9015" in row[0]
    assert "±&nbsp;0.0007" in row[0]
    assert "it ran out of luck" in page
    assert "Figures by another judge. Two cores." in page
    assert ">quoted<" in page
    assert "0.9500" in page  # the ceiling
    assert "6 of 7 here, 1 from elsewhere; 1 failed" in page


def test_headings_are_linked_from_the_contents():
    page = render(document())
    ids = set(re.findall(r'<section id="(\w+)"', page))
    assert ids == set(re.findall(r'<li><a href="#(\w+)"', page))
    assert {"fidelity", "utility", "apart", "seconds", "figures", "failed", "settings", "limits"} == ids


def test_a_page_of_nothing_yet_can_be_read():
    empty = a_document(ceiling={})
    page = render(empty.model_copy(update={"table": None}))
    assert "Nothing was measured yet" in page
    assert WATERMARK in page

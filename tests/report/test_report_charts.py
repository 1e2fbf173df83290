"""Charts: well-formed, described, deterministic; NaN, emptiness, long names and 400 columns."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from titled import title

from privsynth.report.charts import svg
from privsynth.report.charts.histories import MOST_BARS, paired_bars, two_matrices
from privsynth.report.charts.plots import Row, budget_bar, empty, forest, group_bars, heatmap, histogram, worst_rows
from privsynth.report.charts.roc import Curve, people, roc
from privsynth.report.charts.steps import Line, steps
from privsynth.report.explain_epsilon import bound_curve, risk_cards

ROWS = [Row(label=f"column {i}", value=i / 1000, low=i / 2000, high=i / 500, baseline=0.01) for i in range(400)]
PAIRS = [(f"c{i}", f"c{j}", (i * j % 17) / 100) for i in range(30) for j in range(i)]
CURVE = Curve("distance", [0.0, 0.01, 0.1, 1.0], [0.0, 0.02, 0.2, 1.0])
NAME = "{http://www.w3.org/2000/svg}"

CHARTS = {
    "empty": empty("t"),
    "forest": forest("t", ROWS[:5], better="lower", baseline_label="holdout"),
    "forest of 400": forest("t", ROWS, better="lower"),
    "forest of one": forest("t", [Row(label="a", value=0.0)]),
    "forest without figures": forest("t", [Row(label="a", value=None)]),
    "forest below zero": forest("t", [Row(label="a", value=-0.3, low=-0.4, high=-0.2)]),
    "groups": group_bars("t", ROWS[:3]),
    "bins": histogram("t", ["0", "1"], [3, 4], ordered=True),
    "categories": histogram("t", [str(i) for i in range(12)], [1.0] * 12),
    "no rows": histogram("t", ["a"], [0]),
    "heatmap": heatmap("t", PAIRS),
    "no pairs": heatmap("t", []),
    "budget": budget_bar("t", [("a", 0.5), ("b", 0.3)]),
    "no budget": budget_bar("t", []),
    "roc": roc("t", [CURVE] * 7, bound=bound_curve(epsilon=1.0, delta=1e-6)),
    "no roc": roc("t", []),
    "people": people("t", risk_cards(epsilon=1.0, delta=1e-6)),
    "steps": steps("t", [Line("a", [1.0, 0.5]), Line("b", [0.0, None, 2.0])], across="generation"),
    "paired bars": paired_bars("t", [str(i) for i in range(30)], [0.1, *[0.9 / 29] * 29], [1 / 30] * 30),
    "no paired bars": paired_bars("t", [], [], []),
    "two matrices": two_matrices("t", ["a", "long name of a value"], [[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0]] * 2),
    "no matrices": two_matrices("t", [], [], []),
    "no steps": steps("t", [], across="generation"),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_a_described_picture_without_ids_scripts_or_styles(name):
    picture = CHARTS[name]
    root = ElementTree.fromstring(str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{NAME}title", f"{NAME}desc"]
    assert all(root[i].text for i in (0, 1))
    for element in root.iter():
        assert not {"id", "style", "href", "class"} & set(element.keys()) or element is root
        assert element.tag.removeprefix(NAME) in {"svg", "title", "desc", "text", "rect", "line", "path", "circle", "g"}
    assert "nan" not in str(picture).lower().replace("finance", "")


def test_the_worst_twenty_of_400_are_shown_and_the_picture_says_so():
    picture = str(CHARTS["forest of 400"])
    assert "The worst 20 of 400" in picture
    assert "column 399<" in picture
    assert "column 5<" not in picture
    assert worst_rows(ROWS, "higher")[0].label == "column 0"


def test_what_could_not_be_measured_counts_as_worst():
    rows = [*ROWS[:30], Row(label="unknown", value=None)]
    assert worst_rows(rows, "lower")[0].label == "unknown"
    assert "insufficient evidence" in forest("t", rows, better="lower")


def test_farthest_from_the_baseline_is_worst_for_a_target():
    rows = [Row(label=str(i), value=i / 10, baseline=0.5) for i in range(30)]
    assert worst_rows(rows, "target")[0].label == "29"


def test_a_heatmap_of_thirty_columns_shows_the_worst_twenty():
    picture = str(CHARTS["heatmap"])
    assert "20 of 30 columns" in picture
    worst = max(PAIRS, key=lambda pair: pair[2])
    assert f"{worst[0]} × {worst[1]}" in picture


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_none_are_refused(bad):
    for draw in (
        lambda: forest("t", [Row(label="a", value=bad)]),
        lambda: forest("t", [Row(label="a", value=0.1, high=bad)]),
        lambda: histogram("t", ["a"], [bad]),
        lambda: heatmap("t", [("a", "b", bad)]),
        lambda: budget_bar("t", [("a", bad)]),
        lambda: Curve("a", [0.0, bad], [0.0, 1.0]),
        lambda: svg.ticks(0.0, bad),
    ):
        with pytest.raises(ValueError):
            draw()


def test_a_long_label_is_cut_and_whole_in_its_title():
    name = "a_very_long_column_name_" * 4
    picture = str(forest("t", [Row(label=name, value=0.5)]))
    assert f"<title>{name}</title>" in picture
    assert "…" in picture


def test_a_hatch_ends_also_where_its_gap_is_nothing():
    with pytest.raises(ValueError, match="gap"):
        svg.hatch(0, 0, 10, 10, gap=0)


def test_names_stay_text():
    name = '</title><script>"x"&'
    for picture in (
        forest(name, [Row(label=name, value=1.0)]),
        histogram(name, [name], [1]),
        heatmap(name, [(name, "b", 0.5)]),
        budget_bar(name, [(name, 1.0)]),
        roc(name, [Curve(name, [0, 1], [0, 1])]),
    ):
        assert "<script" not in picture
        ElementTree.fromstring(str(picture))


def test_characters_that_hide_or_reorder_are_replaced():
    assert svg.clean("a\u202eb\x00c\u200dd") == "a\ufffdb\ufffdc\u200dd"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
@example(250001.0, -6.103515625e-05)
@example(0.0, 5e-324)
@example(1.0, 1.0 + 2e-16)
@example(1e6, 1e6 + 1e-9)
def test_ticks_cover_the_range_and_are_not_many(one, two):
    low, high = min(one, two), max(one, two)
    marks = svg.ticks(low, high)
    assert 2 <= len(marks) <= 12
    assert marks[0] <= low + 1e-6 * max(1, abs(low))
    assert marks[-1] >= high - 1e-6 * max(1, abs(high))
    assert len(svg.tick_texts(marks)) == len(marks)


def test_the_picture_of_people_counts_upwards():
    picture = str(people("t", risk_cards(epsilon=1.0, delta=0.0)))
    assert "at most 3 in 100" in picture
    assert "at most 28 in 100" in picture


def test_a_curve_is_read_off_at_a_false_positive_rate():
    assert CURVE.at(0.05) == 0.02
    assert CURVE.at(0.0) == 0.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tvd_2way_mean", "Mean distance, pairs of columns"),
        ("membership_auc", "Membership attacks (AUC)"),
        ("promised_epsilon", "Promised epsilon"),
        ("something_new", "Something new"),
    ],
)
def test_every_finding_has_a_title(name, words):
    assert title(name) == words


def test_lines_are_told_in_words_and_by_shape():
    kept = [Line("replace", [1.0, 0.5, 0.1]), Line("mix", [1.0, None, 0.9]), Line("plain", [1.0, 0.8, 0.7], soft=True)]
    text = str(steps("Kept", kept, across="generation"))
    assert "replace: 1, 0.500, 0.100" in text
    assert "mix: 1, –, 0.900" in text
    assert len({line.partition('"')[0] for line in text.split('stroke-dasharray="')[1:]}) == 3
    assert "Nothing was measured" in steps("Kept", [Line("one", [1.0])], across="generation")
    with pytest.raises(ValueError, match="not finite"):
        steps("Kept", [Line("a", [1.0, math.nan])], across="generation")


def test_the_strongest_attacks_are_drawn_and_the_picture_says_how_many_are_not():
    weak = [Curve(f"weak {i}", [0, 0.5, 1], [0, 0.5 + i / 100, 1]) for i in range(6)]
    strong = Curve("strong", [0, 0.1, 1], [0, 0.9, 1])
    picture = roc("t", [*weak, strong])
    assert strong.area == pytest.approx(0.9)
    for name, drawn in (("strong", True), ("weak 5", True), ("weak 1", False), ("weak 0", False)):
        assert (name in picture) == drawn
    assert picture.count("5 of 7 curves are drawn") == 2, "in the words and in the picture"
    assert "curves are drawn" not in roc("t", [*weak[:4], strong])


def test_bars_that_cannot_be_seen_are_drawn_as_one():
    picture = paired_bars("t", ["0", "1", "2", "3", "4"], [0.5, 0.4989, 0.001, 0.0001, 0.0], [0.5, 0.5, 0, 0, 0])
    assert "2 or more: real 0.1 %, synthetic 0 %" in picture
    assert f">{MOST_BARS - 1} or more<" in CHARTS["paired bars"]


@pytest.mark.parametrize("shares", [[0.5], [0.5, -0.1], [0.5, math.nan]])
def test_bars_and_matrices_that_do_not_fit_are_refused(shares):
    with pytest.raises(ValueError, match=r"do not fit|not finite"):
        paired_bars("t", ["a", "b"], shares, [0.5, 0.5])
    with pytest.raises(ValueError, match=r"do not fit|not finite"):
        two_matrices("t", ["a", "b"], [shares, shares], [[0.5, 0.5]] * 2)

"""Charts: well-formed, described, deterministic; NaN, emptiness, long names and 400 columns."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from titled import title

from privsynth.pages.templates import templates_dir
from privsynth.report.charts import svg
from privsynth.report.charts.matrices import Pair, heatmap, ratios, tiles
from privsynth.report.charts.overlays import MOST_BARS, OTHERS, Overlay, overlay
from privsynth.report.charts.plots import Row, empty, forest, group_bars, worst_rows
from privsynth.report.charts.promise import people, waterfall
from privsynth.report.charts.roc import Curve, roc
from privsynth.report.charts.steps import Line, steps
from privsynth.report.charts.text_width import text_width, wrapped
from privsynth.report.explain_epsilon import bound_curve, risk_cards
from privsynth.report.format_numbers import share

ROWS = [Row(label=f"column {i}", value=i / 1000, low=i / 2000, high=i / 500, baseline=0.01) for i in range(400)]
PAIRS = [(f"c{i}", f"c{j}", (i * j % 17) / 100) for i in range(30) for j in range(i)]
CURVE = Curve("distance", [0.0, 0.01, 0.1, 1.0], [0.0, 0.02, 0.2, 1.0])
NAME = "{http://www.w3.org/2000/svg}"

LONG = "a_very_long_column_name_" * 4
SIXTEEN = [i / 136 for i in range(16)]
GRID = [[0.5, 0.25], [0.0, 0.25]]

CHARTS = {
    "empty": empty("t"),
    "forest": forest("t", ROWS[:5], better="lower", baseline_label="holdout"),
    "forest of 400": forest("t", ROWS, better="lower"),
    "forest of one": forest("t", [Row(label="a", value=0.0)]),
    "forest without figures": forest("t", [Row(label="a", value=None)]),
    "forest below zero": forest("t", [Row(label="a", value=-0.3, low=-0.4, high=-0.2)]),
    "groups": group_bars("t", ROWS[:3]),
    "bins": overlay(Overlay(title="t", labels=["0", "1", "2"], edges=[0, 1, 5], synthetic=[0.4, 0.6], real=[0.5, 0.5])),
    "noisy bins": overlay(
        Overlay(
            title="t", labels=["0", "1", "2"], edges=[0, 1, 5], synthetic=[0.4, 0.6], real=[-0.01, 1.0], sd=[0.1, 0.2]
        )
    ),
    "categories": overlay(Overlay(title="t", labels=[f"{i} {LONG}" for i in range(16)], synthetic=SIXTEEN)),
    "noisy categories": overlay(
        Overlay(title="t", labels=["a", "b"], synthetic=[0.4, 0.6], real=[-0.01, 1.01], sd=[0.1, 0.1], note=LONG)
    ),
    "no rows": overlay(Overlay(title="t", labels=["a"], synthetic=[0.0])),
    "heatmap": heatmap("t", PAIRS),
    "ratios": ratios("t", PAIRS, "the holdout"),
    "no pairs": heatmap("t", []),
    "budget": waterfall("t", [("a", 0.5), ("b", 0.3)], total="everything"),
    "no budget": waterfall("t", [], total="everything"),
    "roc": roc("t", [CURVE] * 7, bound=bound_curve(epsilon=1.0, delta=1e-6)),
    "no roc": roc("t", []),
    "people": people("t", risk_cards(epsilon=1.0, delta=1e-6)),
    "steps": steps("t", [Line("a", [1.0, 0.5]), Line(LONG, [0.0, None, 2.0])], across="generation"),
    "no steps": steps("t", [], across="generation"),
}
TILES = {
    "tiles": tiles(Pair(title="t", rows=["a", LONG], columns=[LONG, "b"], real=GRID, synthetic=GRID)),
    "many tiles": tiles(
        Pair(
            title="t",
            rows=["a"],
            columns=[f"category {i}" for i in range(16)],
            real=[SIXTEEN],
            synthetic=[SIXTEEN],
            meaning=LONG,
        )
    ),
}


def elements(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def each_tile(name: str) -> list[str]:
    inner = str(TILES[name]).removeprefix('<div class="tiles">').removesuffix("</div>")
    return [f"<svg {part}" for part in inner.split("<svg ")[1:]]


ALL = [*CHARTS.items(), *((name, tile) for name in TILES for tile in each_tile(name))]


@pytest.mark.parametrize(("name", "picture"), ALL)
def test_every_chart_is_a_described_picture_without_ids_scripts_or_styles(name, picture):
    root = elements(picture)
    assert root.get("role") == "img"
    assert [child.tag for child in root][:2] == [f"{NAME}title", f"{NAME}desc"]
    assert all(root[i].text for i in (0, 1))
    allowed = {"svg", "title", "desc", "text", "tspan", "rect", "line", "path", "circle", "g"}
    for element in root.iter():
        assert not {"id", "style", "href", "class"} & set(element.keys()) or element is root
        assert element.tag.removeprefix(NAME) in allowed
    assert "nan" not in str(picture).lower().replace("finance", "")


@pytest.mark.parametrize(("name", "picture"), ALL)
def test_every_tone_has_another_on_a_dark_page(name, picture):
    sheet = (templates_dir() / "charts.css").read_text(encoding="utf-8")
    for kind in ("fill", "stroke"):
        for tone in set(re.findall(rf'{kind}="(#[0-9a-f]+)"', str(picture))):
            assert f'[{kind}="{tone}"] {{ {kind}: var(--' in sheet


@pytest.mark.parametrize(("name", "picture"), ALL)
def test_no_text_is_cut_or_leaves_its_picture(name, picture):
    """By the widths of the widest usual font; tests/report/test_report_in_browser.py measures pages in a browser."""
    root = elements(picture)
    wide = float(root.get("width", 0))
    assert "…" not in str(picture)
    upright = {text for g in root.iter(f"{NAME}g") if "rotate" in g.get("transform", "") for text in g}
    shift = {t: _shift(g) for g in root.iter(f"{NAME}g") for t in g.iter(f"{NAME}text")}
    for text in root.iter(f"{NAME}text"):
        if text in upright:
            continue
        size = float(text.get("font-size", 12))
        for line in [text.text or "", *(span.text or "" for span in text)]:
            width = text_width(line, size) * (1.1 if text.get("font-weight") == "600" else 1.0)
            left = float(text.get("x", 0)) + shift.get(text, 0.0)
            left -= width * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.get("text-anchor", "start")]
            assert left >= 0, line
            assert left + width <= wide + 1e-6, line


def _shift(group: ElementTree.Element) -> float:
    found = re.match(r"translate\(([-\d.]+)", group.get("transform", ""))
    return float(found[1]) if found else 0.0


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
        lambda: Overlay(title="t", labels=["a"], synthetic=[bad]),
        lambda: Overlay(title="t", labels=["a"], synthetic=[1.0], real=[bad]),
        lambda: Pair(title="t", rows=["a"], columns=["b"], real=[[bad]], synthetic=[[1.0]]),
        lambda: ratios("t", [("a", "b", bad)], "the holdout"),
        lambda: heatmap("t", [("a", "b", bad)]),
        lambda: waterfall("t", [("a", bad)], total="all"),
        lambda: Curve("a", [0.0, bad], [0.0, 1.0]),
        lambda: svg.ticks(0.0, bad),
    ):
        with pytest.raises(ValueError):
            draw()


def test_a_long_label_is_broken_into_lines_and_whole():
    picture = elements(forest("t", [Row(label=LONG, value=0.5)]))
    label = next(text for text in picture.iter(f"{NAME}text") if len(text))
    assert "".join(label.itertext()) == LONG


@given(st.text(max_size=60), st.floats(20, 200))
@example("WWWW_WWWW", 20.0)
def test_lines_hold_all_that_a_text_says_and_are_no_wider_than_they_may_be(text, width):
    lines = wrapped(text, width, 12)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(text_width(line, 12) <= width or len(line) == 1 for line in lines)


def test_a_hatch_ends_also_where_its_gap_is_nothing():
    with pytest.raises(ValueError, match="gap"):
        svg.hatch(0, 0, 10, 10, gap=0)


def test_names_stay_text():
    name = '</title><script>"x"&'
    for picture in (
        forest(name, [Row(label=name, value=1.0)]),
        overlay(Overlay(title=name, labels=[name], synthetic=[1])),
        waterfall(name, [(name, 0.5)], total=name),
        ratios(name, [(name, "b", 0.5)], name),
        heatmap(name, [(name, "b", 0.5)]),
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
    assert ">with: at most 3<" in picture
    assert ">with: at most 28<" in picture


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


def test_bars_are_ordered_by_what_differs_and_the_rest_is_one():
    labels, real = [f"c{i:02}" for i in range(16)], [1 / 16] * 16
    picture = elements(overlay(Overlay(title="t", labels=labels, synthetic=SIXTEEN, real=real)))
    texts = [text.text for text in picture.iter(f"{NAME}text")]
    named = [text for text in texts if text in labels or text == OTHERS]
    gaps = [abs(SIXTEEN[labels.index(name)] - 1 / 16) for name in named[:-1]]
    assert len(named) == MOST_BARS
    assert named[-1] == OTHERS
    assert gaps == sorted(gaps, reverse=True)
    assert max(abs(SIXTEEN[i] - 1 / 16) for i, name in enumerate(labels) if name not in named) <= gaps[-1]
    rest = [i for i, name in enumerate(labels) if name not in named]
    told = picture[1].text or ""
    assert f"{OTHERS}: real {share(len(rest) / 16)}, synthetic {share(sum(SIXTEEN[i] for i in rest))}" in told


def test_heights_of_steps_are_shares_by_width():
    """A bin of four times the width with the same share is a quarter as high."""
    data = Overlay(title="t", labels=["0", "1", "5"], edges=[0, 1, 5], synthetic=[0.5, 0.5])
    path = next(p for p in elements(overlay(data)).iter(f"{NAME}path"))
    ys = [float(pair.split()[1]) for pair in re.split(r"[ML]", path.get("d", ""))[1:]]
    ground = ys[0]
    assert ground - ys[3] == pytest.approx((ground - ys[1]) / 4)


def test_tiles_share_one_scale():
    faint = [[0.1, 0.0], [0.0, 0.0]]
    real, synthetic = tiles(Pair(title="t", rows="ab", columns="cd", real=GRID, synthetic=faint)).split("<svg ")[1:]
    assert f'fill="{svg.SHADES[6]}"' in real
    assert f'fill="{svg.SHADES[6]}"' not in synthetic
    assert f'fill="{svg.SHADES[3]}"' in synthetic  # a fifth of it: the square root


def test_a_pair_as_near_as_fresh_rows_is_pale_and_one_far_beyond_is_dark():
    picture = str(ratios("t", [("a", "b", 1.0), ("a", "c", 9.0)], "the holdout"))
    assert re.search(rf'a: 1</title><rect[^>]*fill="{svg.SHADES[0]}"', picture)
    assert re.search(rf'a: 9</title><rect[^>]*fill="{svg.SHADES[6]}"', picture)


def test_the_waterfall_falls_from_what_the_step_before_left():
    picture = elements(waterfall("t", [("a", 0.5), ("b", 0.3)], total="everything"))
    bars = [(float(r.get("x", 0)), float(r.get("width", 0))) for r in picture.iter(f"{NAME}rect")]
    whole, first, second, unused = bars
    assert first == pytest.approx((whole[0], whole[1] * 0.5))
    assert second == pytest.approx((whole[0] + whole[1] * 0.5, whole[1] * 0.3), abs=0.01)
    assert sum(unused) == pytest.approx(sum(whole), abs=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"synthetic": [0.5]},
        {"synthetic": [0.5, -0.1]},
        {"synthetic": [0.5, 0.5], "real": [1.0]},
        {"synthetic": [0.5], "edges": [1, 1]},
        {"synthetic": [0.5, 0.5], "edges": [1, 2, 3]},
    ],
)
def test_shares_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match=r"do not fit|negative|do not rise"):
        Overlay(title="t", labels=["a", "b"], **wrong)
    with pytest.raises(ValueError, match="do not fit"):
        Pair(title="t", rows=["a"], columns=["b"], real=[[0.5, 0.5]], synthetic=[[1.0]])

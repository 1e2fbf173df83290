"""Pictures of a report: the worst first, exact ones for the officer alone, noisy or synthetic ones for the public."""

from __future__ import annotations

from dataclasses import replace

import pytest
from titled import render

from privsynth.findings.finding import Finding
from privsynth.report.charts import svg
from privsynth.report.pictures import SHOWN, pictures_of
from privsynth.report.records.tables import ColumnProfile, SampleRows

SHARES = {"labels": ["a", "b"], "real": [0.25, 0.75], "synthetic": [0.5, 0.5]}
PAIR = {"rows": ["a", "b"], "columns": ["c"], "real": [[0.25], [0.75]], "synthetic": [[0.5], [0.5]]}


def finding(name: str, group: str, value: float, visibility: str = "officer", **detail) -> Finding:
    return Finding(
        family="fidelity", name=name, group=group, value=value, visibility=visibility, meaning="M.", detail=detail
    )


def profile(column: str) -> ColumnProfile:
    return ColumnProfile(column=column, labels=("a", "b"), counts=(1.0, 1.0))


def test_columns_come_worst_first_and_those_without_real_figures_last(officer_report):
    names = [f"c{i}" for i in range(SHOWN + 3)]
    findings = [finding("tvd_1way", name, i / 100, overlay=SHARES) for i, name in enumerate(names)]
    report = replace(officer_report, findings=tuple(findings), synthetic_profile=(profile("alone"), profile("c0")))
    found = pictures_of(report)
    assert [drawn.name for drawn in found.columns] == [*reversed(names), "alone"]
    assert [drawn.name for drawn in found.worst] == list(reversed(names))[:SHOWN]
    assert (*found.worst, *found.rest) == found.columns
    assert found.columns[-1].shows == "synthetic"


def test_an_exact_picture_takes_the_place_of_a_noisy_one(officer_report):
    noisy = finding("tvd_1way", "c·week", 0.5, "public", overlay={**SHARES, "sd": [0.1, 0.1]})
    exact = finding("tvd_1way", "c", 0.1, overlay=SHARES)
    for findings, shows in (((noisy, exact), ["exact"]), ((noisy,), ["noisy"])):
        report = replace(officer_report, findings=findings, synthetic_profile=(profile("c"),))
        assert [drawn.shows for drawn in pictures_of(report).columns] == shows


def test_pairs_are_exact_where_there_are_exact_ones_else_those_that_were_paid_for(officer_report):
    paid = {"name": "a × b", "beyond": 2.0, "pair": PAIR}
    public = finding("tvd_2way_mean", "", 0.1, "public", paid_pairs=[{**paid, "name": "near", "beyond": 1.0}, paid])
    exact = [finding("tvd_2way", f"p{i}", i / 10, pair=PAIR) for i in range(3)]
    found = pictures_of(replace(officer_report, findings=(public, *exact)))
    assert [drawn.name for drawn in found.pairs] == ["p2", "p1", "p0"]
    found = pictures_of(replace(officer_report, findings=(public,)))
    assert [drawn.name for drawn in found.pairs] == ["a × b", "near"]
    assert "real, noisy" in found.pairs[0].picture


def test_distances_of_pairs_stand_beside_those_of_fresh_rows(officer_report):
    detail = {"columns": ["a", "b"], "matrix": [[None, 0.3], [0.3, None]], "beside": [[None, 0.1], [0.1, None]]}
    (matrix,) = pictures_of(replace(officer_report, findings=(finding("tvd_2way_mean", "", 0.1, **detail),))).matrices
    assert "b × a: 3.00" in matrix
    assert f'fill="{svg.SHADES[5]}"' in matrix


def test_a_public_report_shows_synthetic_rows_as_they_are_written_with_units(public_report):
    sample = SampleRows(columns=("age", "<ward>"), units=("years", ""), rows=(("41", None), ("7", "ent")))
    page = render(replace(public_report, samples=(sample,)))
    assert 'age</bdi> <span class="why">years</span>' in page
    assert "<bdi>&lt;ward&gt;</bdi>" in page
    assert '<td><span class="why">missing</span></td>' in page
    assert "the first 2 synthetic rows" in page


def test_sample_rows_that_do_not_fit_their_columns_are_refused():
    with pytest.raises(ValueError, match="1 cells, and there are 2 columns"):
        SampleRows(columns=("a", "b"), units=("", ""), rows=(("1",),))


def test_histories_are_drawn_for_each_table_below_their_captions(officer_report):
    gap = {"labels": ["0", "1", "2"], "edges": [0, 1, 2], "real": [0.5, 0.5], "synthetic": [0.75, 0.25]}
    grid = {"labels": ["a", "b"], "real": [[0.5, 0.5], [0.0, 1.0]], "synthetic": [[1.0, 0.0], [0.0, 1.0]]}
    count = {"labels": ["0", "1"], "real": [0.5, 0.5], "synthetic": [0.25, 0.75]}
    told = (
        ("gap_distance_mean", {"overlay": gap, "measured_in": "days"}, "Gap to the next row: {}, in days"),
        ("transition_distance_worst", grid, "Worst column in one row and in the next: {}"),
        ("children_distance", count, "Number of rows for each row above: {}"),
    )
    findings = [
        replace(finding(name, table, 0.1, **detail), family="histories")
        for table in ("stays", "tests")
        for name, detail, _ in told
    ]
    page = render(replace(officer_report, findings=tuple(findings)))
    for _, _, heading in told:
        for table in ("stays", "tests"):
            assert f"<figcaption><bdi>{heading.format(table)}</bdi></figcaption>" in page

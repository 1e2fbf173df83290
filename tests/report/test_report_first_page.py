"""The first page: the policy, one line for each question, what was left out; and numbers as people write them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from titled import headlines, render, sections

from privsynth.findings.families import families
from privsynth.pages.templates import templates_dir
from privsynth.report.format_numbers import tidy
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.report.render import _environment


def test_every_family_has_its_line_and_silence_is_no_pass(officer_report):
    lines = {line.family: line for line in headlines(officer_report)}
    assert list(lines) == list(families(linked=False))
    assert lines["pii"].verdict == "insufficient"
    assert lines["pii"].finding is None
    assert lines["bias"].verdict == "fail"
    assert lines["bias"].finding.group == "sex=X"
    assert lines["bias"].counts == (("fail", 1), ("insufficient", 1), ("pass", 1))


def test_the_exact_figure_and_the_worst_one_stand_for_a_family(officer_report, make_finding):
    found = (
        make_finding("tvd_2way_mean", 0.9),
        make_finding("tvd_2way_mean", 0.1, visibility="officer"),
        make_finding("tstr_auroc", 0.9, family="utility", better="higher", group="a"),
        make_finding("tstr_auroc", 0.6, family="utility", better="higher", group="b"),
        make_finding("membership_auc", 0.6, family="membership", group="a"),
        make_finding("membership_auc", 0.5, family="membership", group="b", verdict="fail"),
        make_finding("selection_rate_gap", 0.3, family="bias", verdict="review"),
        make_finding("representation", 0.1, family="bias", verdict="fail"),
        make_finding("something_new", 3.0, family="coverage"),
        make_finding("something_else", None, family="pii", verdict="insufficient"),
    )
    lines = {line.family: line for line in headlines(replace(officer_report, findings=found))}
    assert lines["fidelity"].exact
    assert lines["fidelity"].finding.value == 0.1
    assert lines["utility"].finding.group == "b"
    assert lines["membership"].finding.group == "b"
    assert lines["bias"].finding.name == "representation"
    assert lines["coverage"].finding.value == 3.0
    assert (lines["pii"].finding, lines["pii"].verdict) == (None, "insufficient")


def test_policy_and_glance_come_before_everything_else(officer_report, public_report):
    inside, outside = render(officer_report), render(public_report)
    places = [inside.index(f'<section id="{name}"') for name in ("policy", "glance", "checks", "promise")]
    assert places == sorted(places)
    assert '<section id="policy"' in outside
    assert '<section id="glance"' not in outside
    assert '<section id="policy"' not in render(replace(public_report, policy=None))
    assert "decides nothing" in outside.replace("\n", " ")


def test_a_public_report_refuses_verdicts_on_exact_figures(officer_report, public_report):
    with pytest.raises(ValueError, match="verdicts on the officer's findings"):
        replace(public_report, policy=officer_report.policy)
    pretended = replace(officer_report.policy, public_only=True)
    with pytest.raises(ValueError, match="verdicts on the officer's findings"):
        replace(public_report, policy=pretended)


@pytest.mark.parametrize(
    ("audit", "words"),
    [
        (AuditRun(level="none"), "switched off"),
        (AuditRun(level="deep"), "This level leaves nothing out."),
        (AuditRun(level="quick", left_out={"decay": "Everything."}), "Everything."),
        (AuditRun(level="deep", thinned="At most 9 rows."), "At most 9 rows."),
        (AuditRun(level="deep", unfinished=("epsilon", "bias")), "epsilon, bias. Nobody knows"),
    ],
)
def test_how_much_was_audited_is_said(officer_report, audit, words):
    page = " ".join(render(replace(officer_report, officer=OfficerPart(audit=audit))).split())
    assert words in page
    assert ("This report is partial" in page) == bool(audit.unfinished)


def test_generations_are_drawn_beside_plain_resampling(officer_report):
    (decay,) = [section for section in sections(officer_report) if section.family == "decay"]
    (picture,) = decay.overviews
    assert "replace: 1, 0.600, 0.200" in picture
    assert "resampling without a model: 1, 0.900, 0.700" in picture


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at most 1e-06", "at most 10⁻⁶"),
        ("δ = 1e-6)", "δ = 10⁻⁶)"),
        ("2.5e-07 and 1.0e+12", "2.5 × 10⁻⁷ and 10¹²"),
        ("column 1e5x, v1e-6, 0.1e", "column 1e5x, v1e-6, 0.1e"),
        ("nothing", "nothing"),
    ],
)
def test_small_numbers_are_powers_of_ten(text, shown):
    assert tidy(text) == shown


def test_templates_are_compiled_once():
    assert _environment(templates_dir()) is _environment(templates_dir())

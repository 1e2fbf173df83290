"""Page one: each of its answers, from public facts alone in the public report."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import jsonschema
import pytest
from titled import render, title

from privsynth.findings.usability import JoinedCodes, Usability
from privsynth.policy.files import parse_policy
from privsynth.report.explain_epsilon import which_sentence
from privsynth.report.records.inside import AuditRun, OfficerPart
from privsynth.report.records.judgement import SignOff, Terms
from privsynth.report.records.promise import EarlierReleases, Guarantee
from privsynth.report.records.tables import TableRecord
from privsynth.report.report_data import json_schema
from privsynth.report.sheet.decision_sheet import decision_sheet
from privsynth.report.sheet.nouns import unit_noun
from privsynth.wording.words import with_article, words

FIRST = EarlierReleases(releases=0, epsilon=0.0, delta=0.0)
TWO = EarlierReleases(releases=2, epsilon=2.0, delta=2e-6, units=("patient_id",))


def sheet(report):
    return decision_sheet(report, title)


def named(g: Guarantee, **nouns: str) -> Guarantee:
    return replace(g, **nouns)


@pytest.mark.parametrize(
    ("column", "noun"),
    [
        ("patient_id", "patient"),
        ("patientId", "patient"),
        ("Account No", "account"),
        ("account", "account"),
        ("row", "row"),
        ("p", "unit of p"),
        ("x17", "unit of x17"),
        ("<b>id</b>", "unit of <b>id</b>"),
    ],
)
def test_a_unit_that_nobody_named_is_called_as_its_column_is(public_report, column, noun):
    assert unit_noun(replace(public_report.guarantee, unit=column)) == noun


def test_articles_and_lists():
    assert [with_article(n) for n in ("patient", "account", "user", "unit", "employee")] == [
        "a patient", "an account", "a user", "a unit", "an employee",
    ]  # fmt: skip
    assert words().listed(["a"]) == "a"
    assert words().listed(["a", "b", "c"]) == "a, b and c"
    assert words().listed(list("abcdef")) == "a, b, c, d and 2 more"


def test_whose_privacy_is_said_with_the_declared_nouns(public_report):
    g = named(public_report.guarantee, unit_noun="patient", rows_noun="stays")
    (first, second) = sheet(replace(public_report, guarantee=g)).protected
    assert first == "A patient, with at most 3 of their stays."
    assert second == "About 12 % of them have more stays; their other stays were not used."
    rows = sheet(replace(public_report, guarantee=replace(g, unit="row", unit_noun="", max_rows_per_unit=None)))
    assert rows.protected == ("One row. Whoever has several rows is protected in each of them alone, not as a person.",)
    tables = (TableRecord(name="patients"), TableRecord(name="stays", parent="patients", max_children=8))
    (linked,) = sheet(replace(public_report, guarantee=g, tables=tables)).protected
    assert linked == "A patient, with all their rows in every table (at most 8 of stays)."


def test_the_promise_is_one_number_by_the_tightest_conversion(public_report):
    g = replace(public_report.guarantee, epsilon=3.0, delta=1e-6, mu=0.6446212205242646)
    found = sheet(replace(public_report, guarantee=g)).promise
    assert found.number == "62.7 %"
    assert "even odds that a patient is in the data can get to at most 62.7 %" in found.sentence
    exact = NormalDist().cdf(g.mu / 2) * (1 - g.mu_delta) + g.mu_delta
    assert exact <= 0.627
    assert exact > 0.626
    plain = sheet(replace(public_report, guarantee=replace(g, mu=None, mu_delta=0.0))).promise
    assert plain.number == "95.3 %"
    assert math.isclose(math.exp(3) / (1 + math.exp(3)), 0.9526, abs_tol=1e-4)


def test_the_annex_has_the_other_conversions_and_says_which_to_quote(public_report):
    words = which_sentence(epsilon=3.0, delta=1e-6, mu=0.6446212205242646, mu_delta=1e-7)
    places = [words.index(number) for number in ("62.7 %", "74.1 %", "95.3 %")]
    assert places == sorted(places)
    page = render(public_report)
    assert 'id="conversions"' in page
    assert "Which number to quote" in page


def test_releases_of_a_dataset_add_up_and_differing_units_do_not(public_report):
    assert "No ledger" not in sheet(public_report).releases[0]
    assert sheet(public_report).releases[0] == "Not known: no ledger was asked."
    assert "the first" in sheet(replace(public_report, earlier=FIRST)).releases[0]
    together = sheet(replace(public_report, earlier=TWO)).releases[0]
    assert together.startswith("2 before this one.")
    assert "at most 95.3 %, by the plain sums (ε = 3, δ = 3 × 10⁻⁶): coarser than the number above." in together
    apart = sheet(replace(public_report, earlier=replace(TWO, units=("patient_id", "row")))).releases
    assert "nothing can be promised of them together" in apart[1]
    assert not any("%" in words for words in apart)


def test_all_releases_are_told_in_the_measure_of_the_one(public_report):
    """Releases like this one: their number grows as μ does, and does not jump to another conversion."""
    g = public_report.guarantee
    like = EarlierReleases(
        releases=2, epsilon=2.0, delta=2e-6, units=("patient_id",), mu=g.mu * math.sqrt(2), mu_delta=2 * g.mu_delta
    )
    found = sheet(replace(public_report, earlier=like))
    assert found.promise.number == "54.8 %"
    exact = 100 * NormalDist().cdf(g.mu * math.sqrt(3) / 2)
    assert exact < 58.3
    assert "from even odds to at most 58.3 % (sums: ε = 3, δ = 3 × 10⁻⁶)" in found.releases[0]
    page = render(replace(public_report, earlier=like))
    assert "the same three numbers are 58.3 %, " in page
    assert "no release was planned by what another one showed" in page
    stopped = EarlierReleases(releases=0, epsilon=0.1, delta=1e-6, units=("patient_id",), stopped=1)
    told = sheet(replace(public_report, earlier=stopped)).releases[0]
    assert told.startswith("None that was completed before this one. 1 run stopped early: it released nothing, but its")
    assert "ε = 1.1" in told
    jsonschema.validate(replace(public_report, earlier=replace(like, stopped=1)).to_json(), json_schema())


def test_the_reasons_are_the_worst_findings_and_then_public_facts(public_report, make_finding):
    bad = make_finding("base_rate", 0.1, family="bias", group="sex=F · ill=true", baseline=0.21, verdict="fail")
    first, *_ = sheet(replace(public_report, findings=(*public_report.findings, bad), policy=None)).reasons
    assert first.verdict == "fail"
    assert any(char.isdigit() for char in first.text)
    use = Usability(resolved=("a",), lost=("b", "c"), missed=("a × b",))
    quiet = sheet(replace(public_report, findings=(), usability=use, policy=None)).reasons
    assert [reason.text for reason in quiet][:2] == [
        "2 of 3 columns are noise: b and c.",
        "Not tied as in the real table: a with b.",
    ]
    assert len(quiet) <= 3
    g = replace(public_report.guarantee, left_out=None)
    assert sheet(replace(public_report, findings=(), usability=None, policy=None, guarantee=g)).reasons == ()


def test_a_promise_that_the_policy_refuses_is_the_first_reason(public_report, make_finding):
    outcome = replace(public_report.policy.outcomes[0], metric="promised_epsilon", demand="at most 2", value=3.0)
    found = (make_finding("tvd_1way", 0.4, group="length_of_stay", better="lower", verdict="fail"),)
    refused, kept = (replace(outcome, verdict=verdict) for verdict in ("fail", "pass"))
    report = replace(public_report, findings=found, policy=replace(public_report.policy, outcomes=(refused,)))
    first, second, *_ = sheet(report).reasons
    assert first.text == "Promised epsilon: the policy asks for at most 2, and it is 3."
    assert (first.verdict, first.place) == ("fail", "policy")
    assert second.text.startswith("length_of_stay")
    report = replace(report, policy=replace(public_report.policy, outcomes=(kept,)))
    assert sheet(report).reasons[0].text.startswith("length_of_stay")


def test_exact_findings_are_reasons_for_the_officer_alone(officer_report, public_report, make_finding):
    exact = make_finding(
        "exact_copies", 0.4, family="alarms", visibility="officer", verdict="fail", detail={"copies": 4}
    )
    inside = sheet(replace(officer_report, findings=(*officer_report.findings, exact)))
    assert any(reason.place == "alarms" for reason in inside.reasons)
    assert all(reason.place != "alarms" for reason in sheet(public_report).reasons)


def test_what_was_not_tested_is_said(officer_report, public_report):
    outside = " ".join(sheet(public_report).untested)
    assert "stays with the officer" in outside
    assert "membership, disclosure, alarms" in outside
    inside = " ".join(sheet(officer_report).untested)
    assert "Utility: one draw of synthetic rows instead of three." in inside
    assert "Stopped before they had finished: bias." in inside
    none = sheet(replace(officer_report, officer=OfficerPart(audit=AuditRun(level="none")))).untested
    assert none[0].startswith("Nothing was audited")


def test_uses_come_from_the_policy_for_each_recipient(public_report):
    terms = (Terms(name="planning office", may=("tables of wards",), must_not=("staffing of a ward",)),)
    found = sheet(replace(public_report, recipients=terms))
    assert found.uses.may == (("By planning office", ("tables of wards",)),)
    assert found.uses.must_not[0] == ("By planning office", ("staffing of a ward",))
    assert found.uses.must_not[1][0] == "By anyone"
    assert "For planning office." in found.policy[0]
    plain = sheet(public_report)
    assert plain.uses.may[0][1][0] == "Counts and shares in 1 of 3 columns."
    assert plain.uses.may[0][1][-1] == "By whom it may be used was not said: no policy names recipients."
    assert any("<ward>: noise" in words for words in plain.uses.must_not[0][1])


def test_the_policy_says_what_it_found(public_report, officer_report):
    name, checks = sheet(public_report).policy
    assert name == "“ward statistics”, version 2."
    assert checks.startswith("Of 4 checks: 2 fail")
    assert "Failed: " in checks
    assert "None was given" in sheet(replace(officer_report, policy=None)).policy[0]


def test_a_policy_names_recipients_and_claims_nothing_for_them():
    raw = b"""
policy: p
version: "1"
purpose: q
recipients:
  - {name: planning office, may: [tables of wards], must_not: [decisions about one person]}
checks:
  - {metric: promised_epsilon, at_most: 2, source: own}
"""
    (recipient,) = parse_policy(raw, "policy").policy.recipients
    assert recipient.may == ("tables of wards",)
    with pytest.raises(Exception, match="conclusion that a person draws"):
        parse_policy(raw.replace(b"tables of wards", b"as anonymous data"), "policy")


def test_who_did_what_and_when(public_report):
    lines = {deed.what: deed for deed in sheet(public_report).deeds}
    assert list(lines) == ["Made", "Signed", "Reviewed", "Approved"]
    assert lines["Made"].at == "22 November 2026, 10:00 UTC"
    assert lines["Reviewed"].by == lines["Approved"].by == "nobody yet"
    told = (
        SignOff(meaning="approved", name="A. Officer", at="2026-11-23T12:00:00+01:00", comment="for the board"),
        SignOff(meaning="rejected", name="B. Auditor", at="2026-11-24T12:00:00+00:00"),
    )
    signed = sheet(replace(public_report, sign_offs=told, signer="Office, key aaaa bbbb cccc dddd")).deeds
    found = {deed.what: deed for deed in signed}
    assert (found["Approved"].by, found["Approved"].at) == ("A. Officer", "23 November 2026, 11:00 UTC")
    assert found["Rejected"].by == "B. Auditor"
    assert (found["Signed"].by, found["Signed"].key) == ("Office", "aaaa bbbb …")
    unsigned = {d.what: d for d in sheet(replace(public_report, unsigned=True)).deeds}
    assert unsigned["Signed"].by == "nobody: UNSIGNED"
    with pytest.raises(ValueError, match="offset"):
        SignOff(meaning="approved", name="A", at="2026-11-23T12:00:00")


def test_what_the_sheet_is_made_of_fits_the_published_schema(report):
    told = replace(
        report,
        guarantee=named(report.guarantee, unit_noun="patient", rows_noun="stays"),
        earlier=TWO,
        recipients=(Terms(name="planning office"),),
        sign_offs=(SignOff(meaning="reviewed", name="A", at="2026-11-23T12:00:00+00:00"),),
    )
    jsonschema.Draft202012Validator(json_schema()).validate(told.to_json())
    assert not {"earlier", "recipients", "sign_offs"} & report.to_json().keys()


def test_the_public_sheet_knows_nothing_of_the_officer(public_report, officer_report):
    """The officer's edition differs in what it found, and the public one is the same whatever that was."""
    assert sheet(replace(public_report)) == sheet(public_report)
    outside = render(public_report).partition("</header>")[0]
    for secret in ("INTERNAL", "Membership attacks", "exact", "One draw of synthetic rows"):
        assert secret not in outside.partition("<header")[2].replace("verdicts on exact figures", "").replace(
            "is exact and stays", ""
        )


@pytest.mark.parametrize("kind", ["public", "officer"])
def test_every_reason_leads_to_a_section_of_the_page(kind, public_report, officer_report):
    report = public_report if kind == "public" else officer_report
    page = render(report)
    for reason in sheet(report).reasons:
        assert f'id="{reason.place}"' in page


def test_what_a_figure_doubts_is_not_praised_in_another_place(public_report, make_finding):
    use = Usability(resolved=("age", "ward", "stay"), kept=("age × ward", "ward × stay"))
    exact = {"visibility": "officer"}
    found = (
        make_finding("tvd_2way", 0.4, group="ward × age (worst of 3)", better="lower", verdict="review", **exact),
        make_finding("tail_weight", 0.04, group="stay", better="target", verdict="fail", **exact),
    )
    report = replace(public_report, kind="officer", usability=use, policy=None, findings=found)
    used = sheet(report).uses
    assert used.may[0][1][:2] == ("Counts and shares in 2 of 3 columns.", "Two columns at a time: ward by stay.")
    assert used.must_not[0][1][2:] == (
        "For stay, until somebody has looked: a check failed.",
        "For age by ward, until somebody has looked: a check failed or asks for it.",
    )
    assert "<b>Look first</b> at age × ward:" in render(report)
    calm = replace(report, findings=())
    assert sheet(calm).uses.may[0][1][:2] == (
        "Counts and shares in 3 of 3 columns.",
        "Two columns at a time: age by ward and ward by stay.",
    )
    assert "Look first" not in render(calm)


def test_the_public_page_tells_a_policy_whose_verdicts_stay_inside_from_none(public_report):
    none = sheet(replace(public_report, policy=None)).policy
    inside = sheet(replace(public_report, policy=None, policy_inside=True)).policy
    assert "None was given" in none[0]
    assert "verdicts stay with the officer" in inside[0]
    two = replace(public_report, policy=None, policy_inside=True, approvals=2)
    assert sheet(two).policy[1] == "By it, 2 people who did not make the release have to approve it."
    assert two.to_json()["approvals"] == 2
    jsonschema.validate(two.to_json(), json_schema())
    assert sheet(replace(public_report, approvals=1)).policy[2].startswith("By it, 1 person who did not make")
    told = replace(public_report, policy=None, policy_inside=True).to_json()
    jsonschema.validate(told, json_schema())
    assert told["policy_inside"] is True
    assert "policy_inside" not in public_report.to_json()


def test_a_tie_is_allowed_only_at_the_level_at_which_it_was_judged(public_report, make_finding):
    """Neither page allows what the other forbids: both name the groups, and both warn of single codes."""
    joined = {"place": 0, "groups": 21, "codes": 184, "level": "chapter"}
    tie = "diagnosis × ward"
    use = Usability(resolved=("diagnosis", "ward"), kept=(tie,), judged_in=(JoinedCodes(tie=tie, **joined),))
    paid = make_finding("tie_distance", 0.1, group=tie, verdict="pass", better="lower", detail={"joined": [joined]})
    exact = make_finding("tvd_2way", 0.5, group=tie, better="lower", verdict="fail", visibility="officer")
    outside = replace(public_report, usability=use, policy=None, findings=(paid,))
    inside = replace(
        outside, kind="officer", findings=(paid, exact), officer=OfficerPart(audit=AuditRun(level="standard"))
    )
    told, inner = sheet(outside).uses, sheet(inside).uses
    allowed = "Two columns at a time: diagnosis in 21 groups (chapter) by ward."
    assert allowed in told.may[0][1]
    assert allowed in inner.may[0][1]
    warned = "For single codes of diagnosis by ward: the tie was judged in groups alone; code by code "
    assert warned + "the rows may show none of it." in told.must_not[0][1]
    assert warned + "a check failed or asks for a look." in inner.must_not[0][1]
    assert not any(words.startswith("For diagnosis by ward") for words in (*told.must_not[0][1], *inner.must_not[0][1]))
    assert any("may forbid more" in words for words in told.may[0][1])
    assert "mostly kept: diagnosis (in 21 groups: chapter) × ward" in use.ties_text()
    worse = replace(outside, findings=(replace(paid, verdict="review"),))
    assert "Two columns at a time" not in " ".join(sheet(worse).uses.may[0][1])
    assert any(
        words.startswith("For diagnosis in 21 groups (chapter) by ward, until")
        for words in sheet(worse).uses.must_not[0][1]
    )
    jsonschema.validate(outside.to_json(), json_schema())
    german = " ".join(sheet(replace(outside, language="de")).uses.may[0][1])
    assert "diagnosis in 21 Gruppen (chapter) nach ward" in german


def test_pairs_of_parts_of_columns_are_not_called_pairs_of_columns(public_report):
    one = Usability(resolved=("a", "b", "c"), pairs=3, pairs_hidden=1)
    told = sheet(replace(public_report, usability=one, policy=None)).uses.must_not[0][1]
    assert any(words.startswith("For how two columns go together in 1 of 3 pairs: noise") for words in told)
    parts = sheet(replace(public_report, usability=replace(one, pairs=10), policy=None)).uses.must_not[0][1]
    assert any("in 1 of 10 pairs (of a time, week, weekday and clock are paired apart)" in words for words in parts)

"""`ReportData` refuses what must not leave, and its JSON fits the published schema."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from privsynth.extensions import Extension
from privsynth.report.hazards import ELSEWHERE, hazards
from privsynth.report.records.inside import OfficerPart
from privsynth.report.records.promise import GeneratorRecord, Guarantee, SpendRecord
from privsynth.report.report_data import json_schema


def test_a_public_report_refuses_a_finding_of_the_officer(public_report, make_finding):
    exact = make_finding("exact_copies", 0.0, family="alarms", visibility="officer")
    with pytest.raises(ValueError, match="exact_copies"):
        replace(public_report, findings=(*public_report.findings, exact))


def test_a_public_report_refuses_the_officers_part(public_report):
    with pytest.raises(ValueError, match="officer's part"):
        replace(public_report, officer=OfficerPart())


def test_a_public_report_needs_a_guarantee_and_a_private_generator(public_report):
    with pytest.raises(ValueError, match="guarantee"):
        replace(public_report, guarantee=None)
    loose = GeneratorRecord(name="sdv:ctgan", version="1", private=False)
    with pytest.raises(ValueError, match="no public report"):
        replace(public_report, generator=loose, guarantee=None)


def test_a_generator_without_privacy_carries_no_guarantee(officer_report):
    loose = GeneratorRecord(name="sdv:ctgan", version="1", private=False)
    with pytest.raises(ValueError, match="no guarantee"):
        replace(officer_report, generator=loose)
    assert replace(officer_report, generator=loose, guarantee=None).guarantee is None


def test_the_clock_must_say_its_offset(public_report):
    with pytest.raises(ValueError, match="offset"):
        replace(public_report, created="2026-11-22T10:00:00")


@pytest.mark.parametrize("wrong", [{"epsilon": float("nan")}, {"epsilon": 0.0}, {"delta": 1.0}, {"mu": float("inf")}])
def test_a_guarantee_refuses_numbers_that_promise_nothing(public_report, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(public_report.guarantee, **wrong)


def test_shares_beyond_the_budget_are_refused():
    half = SpendRecord(label="a", mechanism="Gaussian", share=0.6, what="")
    with pytest.raises(ValueError, match="more than the whole"):
        Guarantee(epsilon=1.0, delta=0.0, unit="row", neighbours="", accountant="", spends=(half, half))


def test_json_fits_the_schema_and_survives_a_round_trip(report):
    data = json.loads(report.to_json_text())
    jsonschema.Draft202012Validator(json_schema()).validate(data)
    assert data == report.to_json()


def test_what_is_from_other_packages_is_named_and_nothing_is_said_where_all_is_ours(report):
    taken = (Extension("source", ".toy", "toys", "1.2"), Extension("audit", "toy", "toys", "1.2"))
    assert "extensions" not in report.to_json()
    data = replace(report, extensions=taken).to_json()
    jsonschema.Draft202012Validator(json_schema()).validate(data)
    assert data["extensions"][0] == {"kind": "source", "name": ".toy", "distribution": "toys", "version": "1.2"}


def test_the_schema_is_a_schema_and_refuses_what_the_types_refuse(officer_report):
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    smuggled = {**officer_report.to_json(), "kind": "public"}
    places = {error.json_path for error in validator.iter_errors(smuggled)}
    assert "$.officer" in places
    assert any(place.startswith("$.findings[") for place in places)


def test_the_schema_refuses_a_missing_and_an_unknown_field(public_report):
    validator = jsonschema.Draft202012Validator(json_schema())
    data = public_report.to_json()
    assert not validator.is_valid({**data, "score": 97})
    assert not validator.is_valid({key: value for key, value in data.items() if key != "guarantee"})


def test_a_seed_of_64_bits_is_kept_as_text(public_report):
    assert public_report.to_json()["sampling_seed"] == str(2**63 + 1)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 2**53, object()])
def test_json_refuses_what_it_cannot_hold_and_says_where(public_report, wrong):
    bad = replace(public_report, generator=GeneratorRecord(name="m", version="1", settings={"a": [wrong]}))
    with pytest.raises(ValueError, match=r"settings\.a\[0\]"):
        bad.to_json()


def test_the_same_report_gives_the_same_text(public_report):
    again = replace(
        public_report, generator=replace(public_report.generator, settings={"tables": 3, "fit": {"steps": 10}})
    )
    assert again.to_json_text() == public_report.to_json_text()


def test_hazards_name_what_stays_open():
    table = {hazard.name: hazard for hazard in hazards("arn", holdout=True)}
    assert table["Finite precision"].status == "partly"
    assert "floating point" in table["Finite precision"].residual
    assert table["Timing and other side channels"].status == "open"
    assert table["The decision to publish"].status == "open"
    assert "parser" in table["What counts as a record"].residual


def test_a_table_from_elsewhere_is_given_no_credit_for_what_this_tool_does():
    for name in (ELSEWHERE, "sdv:ctgan"):
        table = hazards(name, holdout=False)
        assert table[0].status == "open"
        assert not any("Noise is added" in h.addressed or "Epsilon is total" in h.addressed for h in table)

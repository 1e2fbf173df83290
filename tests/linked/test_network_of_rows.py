"""Linked tables by the generator `arn`: the plan, the bill, the report, the model, and what is drawn from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from linked.clinic import SPEC, clinic, learned

import privsynth
from privsynth.cli import main
from privsynth.errors import ConfigError
from privsynth.generators.arn import generator as arn
from privsynth.generators.arn.generator import ArnGenerator
from privsynth.generators.arn.next_event.generator import NextEventSettings
from privsynth.generators.arn.next_event.training import NextEventTraining, NextEventWarmStart
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.model import given_attributes, place_codes
from privsynth.sampling.linked.persons import draw_histories, known_codes
from privsynth.sampling.linked.saved import load_linked, save_linked
from privsynth.sampling.linked.written import written_frame

MARGINAL = MarginalGenerator(FitSettings(components=128, max_steps=100))
SMALL = ArnGenerator(
    marginal=MARGINAL,
    next_event=NextEventSettings(
        steps=8, warm=NextEventWarmStart(rows=4_000, steps=150, batch=256), training=NextEventTraining(persons=64)
    ),
)


@pytest.fixture(scope="module")
def clinic_model():
    return learned(epsilon=20.0, generator=SMALL, of_persons=MARGINAL)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(arn, "GENERATOR", SMALL)


def test_persons_are_noisy_tables_and_their_rows_a_network(clinic_model):
    model, bill = clinic_model
    assert {name: one.fitted.name for name, one in model.models.items()} == {
        "patients": "marginal", "stays": "arn", "tests": "arn"
    }  # fmt: skip
    trained = [spend for spend in bill.spends if spend.part == "training"]
    assert [spend.label.split(":")[0] for spend in trained] == ["stays", "tests"]
    assert bill.epsilon_spent() <= 20.0


def test_what_hangs_together_in_the_clinic_does_in_what_is_drawn(clinic_model):
    model, _ = clinic_model
    drawn = draw_linked(model, 1_500, seed=3)
    frames = {name: written_frame(model, name, drawn, seed=3) for name in model.models}
    stays = frames["stays"].merge(frames["patients"], left_on="patient", right_on="patient_id")
    assert not ((stays["sex"] == "M") & (stays["ward"] == "obstetrics")).any()
    tests = frames["tests"].merge(frames["stays"], left_on="stay", right_on="stay_id")
    real = clinic()
    expected = real["tests"].merge(real["stays"], left_on="stay", right_on="stay_id")
    for column in ("name", "ward"):
        one, other = (frame[column].value_counts(normalize=True) for frame in (tests, expected))
        assert one.sub(other, fill_value=0).abs().sum() / 2 < 0.1
    table, true = (
        f.groupby("ward")["name"].value_counts(normalize=True).unstack(fill_value=0) for f in (tests, expected)
    )
    assert (table - true).abs().to_numpy().max() < 0.2
    ordered = frames["stays"].groupby("patient")["admitted"].apply(lambda days: days.is_monotonic_increasing)
    assert ordered.all()


def test_a_saved_model_draws_the_same_persons(clinic_model, tmp_path):
    model, _ = clinic_model
    save_linked(model, tmp_path)
    one, other = (draw_linked(m, 150, seed=5) for m in (model, load_linked(tmp_path)))
    for name in model.models:
        assert (one[name].codes == other[name].codes).all()
        assert (one[name].parent == other[name].parent).all()


def test_drawn_histories_say_of_each_row_what_was_known_before_it(clinic_model):
    """The naive twin: parent by parent, row by row."""
    model, _ = clinic_model
    drawn = draw_linked(model, 80, seed=6)
    given = given_attributes(model.schema, "stays", model.codecs)
    found, own = known_codes(model, "stays", drawn), len(model.codecs["stays"].attributes)
    stays, before = drawn["stays"], None
    place = 0
    for row in range(stays.n_rows):
        place = place + 1 if row and stays.parent[row] == stays.parent[row - 1] else 0
        before = stays.codes[:, row - 1] if place else None
        for at, one in enumerate(given):
            code, nothing = found[own + at, row], one.attribute.size - 1
            if one.source == "above":
                assert code == drawn["patients"].codes[one.at, stays.parent[row]]
            elif one.source == "previous":
                assert code == (nothing if before is None else before[one.at])
            elif one.source == "place":
                assert code == place_codes(np.array([place]))[0]
            else:
                assert (code == nothing) == (before is None)
        per_unit = model.models["stays"].rows_per_unit
        assert found[-1, row] == min(
            per_unit.class_of((stays.person == stays.person[row]).sum()), len(per_unit.classes)
        )
    codes, person = draw_histories(model, "tests", 40, np.random.default_rng(1))
    assert codes.shape == (len(model.models["tests"].fitted.sizes), len(person))


def test_the_plan_shows_the_training_and_what_is_left_for_tables():
    plain, network = (
        privsynth.plan(clinic(20), schema=SPEC, epsilon=1, generator=name) for name in ("marginal", "arn")
    )
    assert network.generator == "arn"
    assert network.epsilon_of_events <= 1 + 1e-9
    shares = {part.name: part.share for part in network.parts}
    assert sum(shares.values()) == pytest.approx(1)
    assert 0.1 < shares["training"] < 0.3
    before = {part.name: part.share for part in plain.parts}
    assert shares["patients/one_way"] == pytest.approx(before["patients/one_way"])
    assert shares["stays/report"] == pytest.approx(before["stays/report"])
    assert shares["stays/measurement"] == pytest.approx(before["stays/measurement"] * (1 - 0.3 / 0.95))
    assert sum(table.share for table in network.tables) == pytest.approx(1)


def test_a_release_says_what_was_trained(small, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, frame in clinic(120).items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "schema.yaml").write_text(json.dumps(SPEC))
    arguments = ["synthesize", str(folder), "--schema", str(folder / "schema.yaml"), "--epsilon", "3"]
    arguments += ["--generator", "arn", "--audit", "none", "--out", str(tmp_path / "out"), "--anyway"]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    report = json.loads((tmp_path / "out" / "public" / "report.json").read_text())
    assert report["generator"]["name"] == "arn"
    spends = {spend["label"]: spend for spend in report["guarantee"]["spends"]}
    assert "16 steps" in spends["training"]["mechanism"]
    assert spends["training"]["share"] == pytest.approx(0.3 * 0.7, abs=0.1)
    assert "privacy loss distributions" in report["guarantee"]["accountant"]
    drawn = CliRunner().invoke(
        main, ["sample", str(tmp_path / "out/public/model"), "--rows", "20", "--out", str(tmp_path / "more")]
    )
    assert drawn.exit_code == 0, drawn.output


def test_other_generators_are_refused():
    with pytest.raises(ConfigError, match="'marginal' and 'arn'"):
        privsynth.plan(clinic(20), schema=SPEC, epsilon=1, generator="tvae")

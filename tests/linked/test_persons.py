"""More persons of a model of linked tables: as many as wanted, such as meet conditions, in files and in frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from linked.clinic import learned

from privsynth.errors import ConfigError
from privsynth.sampling.linked import persons as module
from privsynth.sampling.linked import written
from privsynth.sampling.linked.draw import TableDrawing, draw_linked
from privsynth.sampling.linked.drawn import DrawnTable
from privsynth.sampling.linked.persons import draw_persons, order_persons
from privsynth.sampling.linked.written import written_frame


@pytest.fixture(scope="module")
def model():
    return learned(epsilon=10.0)[0]


def frames(model, n, *given, seed=1):
    drawn = draw_persons(model, order_persons(model, n, given), seed=seed)
    return {name: written_frame(model, name, drawn, seed=seed) for name in model.models}


def resolved(tables):
    assert tables["patients"]["patient_id"].is_unique
    assert tables["stays"]["stay_id"].is_unique
    assert set(tables["stays"]["patient"]) <= set(tables["patients"]["patient_id"])
    assert set(tables["tests"]["stay"]) <= set(tables["stays"]["stay_id"])
    return tables


def test_persons_of_whom_nothing_is_asked_are_those_of_a_release(model):
    drawn = draw_linked(model, 50, seed=1)
    for name, frame in frames(model, 50).items():
        pd.testing.assert_frame_equal(frame, written_frame(model, name, drawn, seed=1))


def test_persons_in_parts_and_blocks_have_keys_that_resolve(model, monkeypatch):
    monkeypatch.setattr(module, "PART_PERSONS", 40)
    monkeypatch.setattr(written, "BLOCK_ROWS", 30)
    tables = resolved(frames(model, 100))
    assert len(tables["patients"]) == 100
    # Persons of different parts differ, and a stay belongs to a person of its own part.
    first, second = (tables["patients"]["born"].iloc[at : at + 40].tolist() for at in (0, 40))
    assert first != second
    men = set(tables["patients"].query("sex == 'M'")["patient_id"])
    assert "obstetrics" not in set(tables["stays"][tables["stays"]["patient"].isin(men)]["ward"])


@pytest.mark.parametrize("text", ["sex = F", "patients: sex = F", "patients.sex = F and patients.born < 1970-01-01"])
def test_a_condition_on_persons_holds_for_each(model, text):
    tables = resolved(frames(model, 200, text))
    assert len(tables["patients"]) == 200
    assert set(tables["patients"]["sex"]) == {"F"}
    if "born" in text:
        assert tables["patients"]["born"].max() < pd.Timestamp("1970-01-01")


def test_every_person_has_a_row_that_meets_a_condition_and_keeps_the_others(model):
    tables = resolved(frames(model, 200, "stays: ward = obstetrics and days >= 2", "tests: name = x-ray"))
    stays = tables["stays"]
    met = stays[(stays["ward"] == "obstetrics") & (stays["days"] >= 2)]
    everyone = set(tables["patients"]["patient_id"])
    assert set(met["patient"]) == everyone
    of_stay = stays.set_index("stay_id")["patient"]
    x_rays = tables["tests"].query("name == 'x-ray'")["stay"]
    assert set(of_stay[x_rays]) == everyone
    assert set(stays["ward"]) > {"obstetrics"}  # all rows of a person come along
    assert set(tables["patients"]["sex"]) == {"F"}  # the rule


def test_persons_who_meet_a_condition_are_those_that_the_model_would_draw(model):
    """Exact: the shares are those among persons drawn without a condition. Off by 4.9 σ at odds of 1e-6."""
    n = 3_000
    free, asked = draw_linked(model, n, seed=2), draw_persons(model, order_persons(model, n, ["sex = M"]), seed=3)
    men = free["patients"].rows.columns["sex"].values == 1
    numbers = [free["patients"].children("stays")[men], asked["patients"].children("stays")]
    means, errors = [one.mean() for one in numbers], [one.std() / np.sqrt(len(one)) for one in numbers]
    assert abs(means[0] - means[1]) < 4.9 * np.hypot(*errors)


def test_the_number_of_rows_of_a_person_can_be_asked_for(model):
    assert (frames(model, 100, "`number of stays` >= 3")["stays"].groupby("patient").size() >= 3).all()


def test_histories_that_end_early_count_the_rows_that_came_out(model, monkeypatch):
    real = TableDrawing.draw_below

    def without_every_third(self):
        table = real(self)
        at = np.flatnonzero(np.arange(table.n_rows) % 3 > 0)
        return DrawnTable(table.rows.take(at), table.codes[:, at], table.parent[at], table.person[at])

    monkeypatch.setattr(TableDrawing, "draw_below", without_every_third)
    tables = frames(model, 100, "`number of stays` >= 2", "stays: `number of tests` >= 1")
    assert (tables["stays"].groupby("patient").size() >= 2).all()
    assert tables["stays"]["patient"].nunique() == len(tables["patients"]) == 100
    tested = tables["stays"][tables["stays"]["stay_id"].isin(tables["tests"]["stay"])]
    assert tested["patient"].nunique() == 100


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ward = surgery", "no column 'ward'"),
        ("stays: ward = icu", "has no category 'icu'"),
        ("visits: ward = surgery", "position|cannot be read|no column"),
        ("wards: floor = 1", "'wards' is a reference table"),
        ("stays: patient = p00001", "no column 'patient'"),
        ("sex = F and sex = M", "meet the condition"),
    ],
)
def test_what_cannot_be_met_is_refused_by_a_sentence(model, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        frames(model, 5, text)


def test_what_hardly_any_person_has_is_refused(model, monkeypatch):
    monkeypatch.setattr(module, "TRY_PERSONS", 500)
    with pytest.raises(ConfigError, match=r"only 0 of [\d,]+ persons that the model drew"):
        frames(model, 5, "stays: ward = obstetrics", "sex = M")

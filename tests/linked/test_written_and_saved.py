"""Tables with keys that resolve, and a model that is saved and read back, from anybody."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
from linked.clinic import SPEC, clinic, learned

from privsynth.errors import SourceError
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.saved import is_linked, load_linked, save_linked
from privsynth.sampling.linked.written import written_frame, written_texts


@pytest.fixture(scope="module")
def model():
    return learned(epsilon=10.0)[0]


def test_every_key_of_a_parent_is_one_and_no_key_stands_twice(model):
    drawn = draw_linked(model, 400, seed=3)
    frames = {name: written_frame(model, name, drawn, seed=3) for name in model.models}
    assert list(frames["stays"].columns) == ["stay_id", "patient", "admitted", "ward", "days"]
    for table, key in (("patients", "patient_id"), ("stays", "stay_id")):
        assert frames[table][key].is_unique
    assert set(frames["stays"]["patient"]) <= set(frames["patients"]["patient_id"])
    assert set(frames["tests"]["stay"]) <= set(frames["stays"]["stay_id"])
    assert not set(frames["stays"]["stay_id"]) & set(frames["patients"]["patient_id"])
    assert "number of stays" not in frames["patients"]
    (texts,) = written_texts(model, "stays", drawn, seed=3)
    assert texts["patient"].tolist() == frames["stays"]["patient"].tolist()
    assert texts["admitted"].str.fullmatch(r"\d{4}-\d\d-\d\d").all()


def test_persons_of_whom_nothing_but_a_key_is_known_are_written():
    spec = copy.deepcopy(SPEC)
    spec["tables"]["patients"]["columns"] = {"patient_id": {"kind": "id"}}
    spec["tables"]["stays"]["rules"] = []
    frames = clinic(300)
    frames["patients"] = frames["patients"][["patient_id"]]
    bare = learned(epsilon=10.0, frames=frames, spec=spec)[0]
    drawn = draw_linked(bare, 50, seed=3)
    patients, stays = (written_frame(bare, name, drawn, seed=3) for name in ("patients", "stays"))
    assert patients["patient_id"].nunique() == 50
    assert set(stays["patient"]) <= set(patients["patient_id"])
    (texts,) = written_texts(bare, "patients", drawn, seed=3)
    assert texts["patient_id"].tolist() == patients["patient_id"].tolist()


def test_a_saved_model_draws_the_same_persons(model, tmp_path):
    assert not is_linked(tmp_path)
    files = save_linked(model, tmp_path)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    again = load_linked(tmp_path)
    assert again.schema == model.schema
    one, other = draw_linked(model, 200, seed=5), draw_linked(again, 200, seed=5)
    for name in model.models:
        mine, theirs = (written_frame(m, name, d, seed=5) for m, d in ((model, one), (again, other)))
        pd.testing.assert_frame_equal(mine, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.pop("tables"),
        lambda data: data["tables"].pop("tests"),
        lambda data: data["tables"]["stays"].update(columns=["nowhere"]),
        lambda data: data["tables"]["stays"].update(codec=[]),
        lambda data: data["tables"]["stays"]["rows_of_person"].update(classes=[[1, 1], [3, 4]]),
        lambda data: data["tables"]["patients"].update(keys=[]),
        lambda data: data["schema"]["tables"]["stays"].update(parent={"table": "tests", "column": "x"}),
        lambda data: data.update(n_persons=-1),
        lambda data: data.update(format=99),
    ],
)
def test_a_changed_model_is_refused_by_a_sentence(model, tmp_path, change):
    save_linked(model, tmp_path)
    data = json.loads((tmp_path / "linked.json").read_text())
    change(data)
    (tmp_path / "linked.json").write_text(json.dumps(data))
    with pytest.raises(SourceError, match=r"holds a model"):
        load_linked(tmp_path)


def test_a_model_whose_numbers_are_another_tables_is_refused(model, tmp_path):
    save_linked(model, tmp_path)
    (tmp_path / "tests.safetensors").write_bytes((tmp_path / "patients.safetensors").read_bytes())
    with pytest.raises(SourceError, match="holds a model"):
        load_linked(tmp_path)
    (tmp_path / "tests.safetensors").unlink()
    with pytest.raises(SourceError, match=r"lacks tests\.safetensors"):
        load_linked(tmp_path)


def test_no_persons_of_a_child_table_are_no_error(model):
    drawn = draw_linked(model, 1, seed=11)
    assert drawn["patients"].n_rows == 1
    assert len(np.unique(drawn["stays"].person)) <= 1

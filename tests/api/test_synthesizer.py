"""`Synthesizer`: the conventions of scikit-learn, and a release like every other."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

import privsynth
from privsynth.errors import BudgetExceeded, ConfigError, NotFittedError, OutputError
from privsynth.ledger.ledger import Ledger

SCHEMA = {
    "columns": {
        "patient": {"kind": "id"},
        "ward": {"kind": "categorical", "categories": ["ICU", "ER", "surgery"]},
        "age": {"kind": "integer", "minimum": 0, "maximum": 120},
        "smoker": {"kind": "boolean"},
    }
}


def stays(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "patient": [f"p{i // 2}" for i in range(n)],
            "ward": rng.choice(["ICU", "ER", "surgery"], n),
            "age": rng.integers(0, 100, n),
            "smoker": rng.choice(["yes", "no"], n),
        }
    )


def unfitted(**more) -> privsynth.Synthesizer:
    usual = {"epsilon": 1, "unit": "patient", "max_rows_per_unit": 2, "dataset": "stays", "schema": SCHEMA}
    return privsynth.Synthesizer(**{**usual, "audit": "none", "seed": 5, "anyway": True, **more})


def test_the_constructor_stores_and_checks_nothing():
    made = privsynth.Synthesizer(epsilon=-1, generator="none such", out=3)
    assert made.get_params()["epsilon"] == -1
    assert made.get_params(deep=False) == made.get_params()
    assert not [name for name in vars(made) if name.endswith("_")]


def test_parameters_are_set_by_name():
    made = unfitted()
    assert made.set_params(epsilon=2, unit="row") is made
    assert (made.epsilon, made.get_params()["unit"]) == (2, "row")
    with pytest.raises(ConfigError, match="no parameter 'epsilom'"):
        made.set_params(epsilom=2)


def test_scikit_learn_clones_it_without_its_release():
    schema = privsynth.Schema.model_validate(SCHEMA)
    made = unfitted(schema=schema, policy="internal")
    made.release_ = "as if it were fitted"
    other = clone(made)
    assert other is not made
    assert other.get_params() == made.get_params()
    assert not hasattr(other, "release_")
    check_is_fitted(made)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(other)


@pytest.mark.parametrize("ask", [
    lambda made: made.sample(1), lambda made: made.report(), lambda made: made.save("x"),
])  # fmt: skip
def test_nothing_can_be_asked_of_it_before_it_is_fitted(ask):
    with pytest.raises(NotFittedError, match="call fit"):
        ask(unfitted())


def test_what_cannot_be_fitted_leaves_no_trace(privsynth_home):
    made = unfitted()
    with pytest.raises(ConfigError, match="make y a column"):
        made.fit(stays(), y=[1])
    with pytest.raises(ConfigError, match="dataset=…"):
        made.set_params(dataset=None).fit(stays())
    assert not hasattr(made, "release_")
    gc.collect()
    assert not list((privsynth_home / "work").glob("run-*"))
    assert not Ledger(privsynth_home).accounts()


def test_it_says_what_was_changed_and_no_more():
    assert repr(privsynth.Synthesizer(epsilon=1)) == "Synthesizer(epsilon=1)"
    assert repr(unfitted(passphrase=lambda: b"secret")) == (
        "Synthesizer(epsilon=1, unit='patient', max_rows_per_unit=2, schema=<dict>, dataset='stays', "
        "passphrase=<function>, seed=5, audit='none', anyway=True)"
    )
    assert "call fit" in unfitted()._repr_html_()


def test_a_fit_is_a_release_in_the_ledger_and_costs_what_it_says(privsynth_home):
    frame = stays()
    before = frame.copy()
    made = unfitted().fit(frame)
    pd.testing.assert_frame_equal(frame, before)
    (account,) = Ledger(privsynth_home).accounts()
    assert (account.dataset, account.n_completed, account.to_json()["spent_epsilon"]) == ("stays", 1, 1.0)
    assert (made.epsilon_, made.delta_, made.unit_, made.dataset_) == (1, 1e-6, "patient", "stays")
    assert made.feature_names_in_.tolist() == list(frame.columns)
    assert made.n_features_in_ == 4
    assert made.release_.report["sampling_seed"] == "5"
    assert made.report().read_text(encoding="utf-8").startswith("<!")
    assert made.report(officer=True).parent.name == "officer"
    for page in (made._repr_html_(), made.result_._repr_html_()):
        assert "epsilon 9 of 10 for this dataset" in page
        assert "the officer&#x27;s audit was not run" in page

    rows = made.sample(50, seed=1)
    assert len(rows) == 50
    pd.testing.assert_frame_equal(rows, made.sample(50, seed=1))
    assert not rows.equals(made.sample(50, seed=2))
    assert set(made.sample(20, given="ward = ICU")["ward"]) == {"ICU"}
    assert len(made.sample()) == len(made.release_.data())
    assert Ledger(privsynth_home).accounts()[0].to_json()["spent_epsilon"] == 1.0  # samples are free

    with pytest.raises(BudgetExceeded):
        made.set_params(epsilon=9.5).fit(frame)
    assert made.epsilon_ == 1, "a fit that fails leaves the release as it was"


def test_the_release_lives_as_long_as_anything_refers_to_it_and_a_saved_copy_longer(tmp_path, privsynth_home):
    made = unfitted().fit(stays())
    release, folder = made.release_, made.release_.folder
    assert folder.is_relative_to(privsynth_home)
    assert (folder.parent.parent.stat().st_mode & 0o777) == 0o700
    with pytest.raises(OutputError, match="save it"):
        pickle.dumps(made)
    saved = made.save(tmp_path / "kept")
    with pytest.raises(OutputError, match="exists already"):
        made.save(tmp_path / "kept")
    with pytest.raises(ConfigError, match="path must be a path"):
        made.save(stays())
    other = copy.deepcopy(made)
    del made, other
    gc.collect()
    assert len(release.sample(3, seed=1)) == 3
    expected = release.sample(9, seed=4)
    del release
    gc.collect()
    assert not folder.exists()
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"public", "officer"}
    assert (tmp_path / "kept" / "officer").stat().st_mode & 0o777 == 0o700
    pd.testing.assert_frame_equal(saved.sample(9, seed=4), expected)
    pd.testing.assert_frame_equal(privsynth.Release.open(tmp_path / "kept").sample(9, seed=4), expected)


def test_a_release_with_a_place_of_its_own_is_made_there(tmp_path):
    source = tmp_path / "stays.csv"
    stays().to_csv(source, index=False)
    made = unfitted(out=tmp_path / "out", dataset=None).fit(source)
    assert made.release_.folder == tmp_path / "out" / "public"
    assert made.dataset_ == "stays"
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    pd.testing.assert_frame_equal(again.sample(5, seed=1), made.sample(5, seed=1))
    with pytest.raises(OutputError, match="exists already"):
        made.fit(source)

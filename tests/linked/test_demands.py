"""Rules over several tables keep the shares of the classes that they speak of, and end no history."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from linked.clinic import SPEC, clinic, learned

from privsynth.codecs.columns import CategoryCodec
from privsynth.codecs.table import TableCodec
from privsynth.sampling.linked.demands import Demands
from privsynth.sampling.linked.draw import draw_linked
from privsynth.sampling.linked.drawn import rules_held
from privsynth.sampling.linked.order_rules import OrderRules
from privsynth.sampling.linked.saved import load_linked, save_linked
from privsynth.schema.rule_parser import Vocabulary, parse_rule

NAMES = ("ward", "admitted", "parent.sex", "parent.born", "previous.ward", "previous.discharged")
WARDS = ("medicine", "obstetrics", "surgery")
CODEC = TableCodec((CategoryCodec("ward", WARDS, nullable=False, other=False),))


def rule(text: str):
    return parse_rule(text, Vocabulary(names=NAMES))


def allowed(text: str, known: set[str], frame: pd.DataFrame) -> np.ndarray:
    """Return (rows, codes) whether each row may have each ward."""
    found = np.ones((len(frame), len(WARDS)), dtype=bool)
    for given, at in Demands(CODEC, [rule(text)], known).groups(frame):
        if given.evidence:
            found[at] = given.evidence[0][: len(WARDS)] > 0
    return found


PEOPLE = pd.DataFrame(
    {
        "parent.sex": ["M", "F", "F"],
        "parent.born": pd.to_datetime(["1990-01-01", "1990-01-01", "2015-01-01"]),
        "admitted": pd.to_datetime(["2020-01-01"] * 3),
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "ward = obstetrics => `parent.sex` = F",
        "`parent.sex` = M => ward != obstetrics",
        "`parent.sex` = M => ward in (medicine, surgery)",
        "ward in (obstetrics) => `parent.sex` != M",
    ],
)
def test_a_rule_on_the_row_above_forbids_values_whichever_way_it_is_written(text):
    found = allowed(text, {"parent.sex"}, PEOPLE)
    assert found.tolist() == [[True, False, True], [True, True, True], [True, True, True]]


def test_an_age_is_reckoned_from_dates_before_the_row_is_drawn():
    text = "ward = obstetrics => `parent.sex` = F and admitted - `parent.born` >= 4383"
    found = allowed(text, {"parent.sex", "parent.born", "admitted"}, PEOPLE)
    assert found[:, 1].tolist() == [False, True, False]
    assert found[:, [0, 2]].all()


def test_a_first_row_has_no_row_before_that_could_forbid_anything():
    assert allowed("`previous.ward` = surgery => ward = surgery", {"previous.ward"}, PEOPLE).all()
    later = PEOPLE.assign(**{"previous.ward": ["surgery", "medicine", None]})
    found = allowed("`previous.ward` = surgery => ward = surgery", {"previous.ward"}, later)
    assert found.tolist() == [[False, False, True], [True, True, True], [True, True, True]]


def test_what_is_forbidden_elsewhere_weighs_more_where_it_is_allowed():
    text = "ward = obstetrics => `parent.sex` = F"
    weighty = Demands(CODEC, [rule(text)], {"parent.sex"}, (3.0,))
    (of_men, men), (of_women, women) = sorted(weighty.groups(PEOPLE), key=lambda one: len(one[1]))
    assert men.tolist() == [0]
    assert women.tolist() == [1, 2]
    assert of_men.evidence[0][:3].tolist() == [1, 0, 1]
    assert of_women.evidence[0][:3].tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("admitted >= `previous.discharged`", 10.0, np.inf),
        ("`previous.discharged` <= admitted", 10.0, np.inf),
        ("admitted - `previous.discharged` >= 3", 13.0, np.inf),
        ("admitted - `previous.discharged` <= 30 and admitted > `previous.discharged`", 10.0, 40.0),
        ("5 <= admitted - `previous.discharged`", 15.0, np.inf),
        ("year(admitted) >= 1971", 365.0, np.inf),
        ("1971 < year(admitted)", 730.0, np.inf),
        ("year(admitted) >= year(`previous.discharged`)", 0.0, np.inf),
        ("year(admitted) < 1971", -np.inf, 365.0 - 1 / 86_400),
        ("year(admitted) <= 1971", -np.inf, 730.0 - 1 / 86_400),
        ("month(admitted) >= 3", -np.inf, np.inf),
        ("ward = surgery => admitted >= `previous.discharged`", -np.inf, np.inf),
    ],
)
def test_rules_bound_times_by_arithmetic(text, low, high):
    frame = pd.DataFrame({"previous.discharged": pd.to_datetime(["1970-01-11"])})
    found = OrderRules([rule(text)], "admitted").bounds(frame)
    assert [float(ends[0]) for ends in found] == [low, high]
    first = OrderRules([rule(text)], "admitted").bounds(pd.DataFrame(index=range(2)))
    assert np.isinf(first).all() or "previous" not in text  # of a first row nothing is told of a row before


@pytest.fixture(scope="module")
def model():
    """Return a model to which noise has given obstetric stays of men and of children."""
    spec = copy.deepcopy(SPEC)
    spec["tables"]["stays"]["rules"] = [
        "ward = obstetrics => `parent.sex` = F and admitted - `parent.born` >= 4383",
        "admitted >= `parent.born`",
        "admitted >= `previous.admitted`",
        "ward = obstetrics => days <= 3",
    ]
    frames = clinic(1_500)
    mixed = np.random.default_rng(1).permutation(frames["patients"]["sex"])  # the model learns no tie to sex
    return learned(20.0, frames={**frames, "patients": frames["patients"].assign(sex=mixed)}, spec=spec)[0]


def shares(model, persons: int = 6_000):
    drawn = draw_linked(model, persons, seed=1)
    ward = model.codecs["stays"].frame(drawn["stays"].rows)["ward"].astype(str)
    return ward.value_counts(normalize=True), drawn


def test_classes_keep_their_shares_and_histories_their_lengths(model):
    """In two models drawn twice the ward had 11.8 to 14.2 % without rules, 13.0 to 13.5 % with, 5.4 to 6.6 % bare."""
    tables = {name: table.model_copy(update={"rules": ()}) for name, table in model.schema.tables.items()}
    free, _ = shares(replace(model, schema=model.schema.model_copy(update={"tables": tables})))
    kept, drawn = shares(model)
    assert all(held.all() for _, held in rules_held(model, "stays", drawn))
    assert kept["obstetrics"] == pytest.approx(free["obstetrics"], abs=0.055)  # three standard errors of .018 (own)
    bare = replace(model, models={name: replace(one, weights=()) for name, one in model.models.items()})
    assert shares(bare)[0]["obstetrics"] < 0.75 * free["obstetrics"]
    counts = np.bincount(drawn["stays"].parent, minlength=drawn["patients"].n_rows)
    assert (counts == drawn["patients"].children("stays")).all()


def test_weights_are_saved_with_the_model(model, tmp_path):
    save_linked(model, tmp_path)
    assert load_linked(tmp_path).models["stays"].weights == model.models["stays"].weights
    assert model.models["stays"].weights[0] > 1.5
    assert model.models["tests"].weights == ()

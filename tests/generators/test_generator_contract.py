"""What every private generator of the registry owes its callers, whatever it is inside."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from doubles import ExactMechanisms, StubMechanisms
from leaks.proof import small_generators
from safetensors.numpy import load, save

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import Encoded
from privsynth.errors import ConfigError
from privsynth.generators.registry import GENERATORS, choose, load_generator, restore_generator
from privsynth.privacy.accounting import SubsampledGaussianEvent
from privsynth.privacy.budget import Bill, Budget, SpendingPlan
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import no_progress

PRIVATE = [name for name, info in GENERATORS.items() if info.private]
REFERENCES = [name for name, info in GENERATORS.items() if not info.private]
PARTS = {"rows": 0.1, "one_way": 0.2, "selection": 0.1, "measurement": 0.7, "report": 0.1}
OURS = {"one_way", "selection", "measurement", "training"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def table(sizes=(4, 3, 2), n=60, *, k=1, seed=0, nulls=True) -> Encoded:
    """Return rows whose attributes follow the first one; every third unit has k rows, the others one."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n), np.where(np.arange(n) % 3 == 0, k, 1))
    first = rng.integers(0, sizes[0], len(unit))
    codes = np.array([(first + (rng.random(len(unit)) < 0.2)) % size for size in sizes], dtype=np.uint16)
    attributes = tuple(Attribute(f"a{i}", size, nulls, False) for i, size in enumerate(sizes))
    return Encoded(codes, unit, attributes, k, float(max(len(unit), 1)), tuple(range(len(sizes))))


def plan_for(name: str, *, steps: int = 3) -> SpendingPlan:
    """Return a plan with few steps; its noise is not calibrated, which no test here is about."""
    spec = load_generator(name).training_spec()
    event = spec and SubsampledGaussianEvent(
        noise_multiplier=1.0, sampling_probability=spec.sampling_probability, steps=steps
    )
    return SpendingPlan(budget=Budget(epsilon=3.0), parts=PARTS, training=event)


def fit(name: str, data: Encoded, mechanisms=None):
    """Fit with exact answers, or those of the mechanisms that are given."""
    mechanisms = mechanisms if mechanisms is not None else ExactMechanisms()
    rng = np.random.default_rng(1)
    return load_generator(name).fit(data, mechanisms, plan_for(name), rng=rng, progress=no_progress)


def content(fitted) -> tuple:
    """Return all that is saved, every byte."""
    tensors = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in fitted.tensors().items()}
    return tensors, json.dumps(fitted.settings(), allow_nan=False)


@pytest.mark.parametrize("name", PRIVATE)
def test_rows_have_the_promised_shape_and_depend_on_the_seed_alone(name):
    data = table()
    fitted = fit(name, data)
    assert fitted.name == name
    rows = fitted.sample_codes(300, np.random.default_rng(5))
    assert (rows.shape, rows.dtype) == ((3, 300), np.dtype(np.uint16))
    assert (rows.max(axis=1) < np.array(data.sizes)).all()
    assert np.array_equal(fitted.sample_codes(300, np.random.default_rng(5)), rows)
    assert not np.array_equal(fitted.sample_codes(300, np.random.default_rng(6)), rows)
    for count in (0, 1):
        assert fitted.sample_codes(count, np.random.default_rng(0)).shape == (3, count)


@pytest.mark.parametrize("name", PRIVATE)
def test_a_saved_model_gives_the_same_rows(name):
    fitted = fit(name, table())
    tensors = load(save({key: np.ascontiguousarray(array) for key, array in fitted.tensors().items()}))
    again = restore_generator(name, tensors, json.loads(json.dumps(fitted.settings(), allow_nan=False)))
    rows = fitted.sample_codes(200, np.random.default_rng(5))
    assert np.array_equal(again.sample_codes(200, np.random.default_rng(5)), rows)
    assert content(again) == content(fitted)


@pytest.mark.parametrize("name", ["tvae", "ctgan"])
@pytest.mark.parametrize("change", ["sizes", "no_null", "hidden", "tensor missing"])
def test_a_model_that_does_not_fit_itself_is_refused(name, change):
    fitted = fit(name, table())
    tensors, settings = fitted.tensors(), fitted.settings()
    if change == "tensor missing":
        tensors = {key: array for key, array in tensors.items() if not key.endswith("1.weight")}
    else:
        settings = {**settings, change: {"sizes": [4, 3, 3], "no_null": [False], "hidden": 17}[change]}
    with pytest.raises(ValueError, match=r"do(es)? not fit"):
        restore_generator(name, tensors, settings)


@pytest.mark.parametrize("name", PRIVATE)
def test_only_its_own_parts_are_spent_and_training_once(name):
    plan = plan_for(name)
    bill = Bill(plan)
    fit(name, table(k=2), GaussianMechanisms(bill))
    spent = [spend.part for spend in bill.spends]
    assert set(spent) <= OURS
    assert spent.count("training") == (plan.training is not None)
    assert "one_way" in spent


@pytest.mark.parametrize("name", [name for name in PRIVATE if name != "marginal"])
def test_a_plan_without_training_and_a_table_without_columns_spend_nothing(name):
    bare = replace(plan_for(name), training=None)
    for data, plan in ((table(), bare), (replace(table(), codes=np.zeros((0, 60)), attributes=()), plan_for(name))):
        bill = Bill(plan)
        with pytest.raises(ConfigError, match=r"training run|no column"):
            load_generator(name).fit(
                data, GaussianMechanisms(bill), plan, rng=np.random.default_rng(0), progress=no_progress
            )
        assert not bill.spends


@pytest.mark.parametrize("name", PRIVATE)
def test_with_constant_answers_nothing_depends_on_the_rows(name):
    data = table(k=3)
    fewer = replace(data, codes=data.codes[:, 3:], unit=data.unit[3:])
    nobody = replace(data, codes=data.codes[:, :0], unit=data.unit[:0])
    other = replace(data, codes=np.zeros_like(data.codes))
    made = [content(fit(name, each, StubMechanisms())) for each in (data, fewer, nobody, other)]
    assert all(each == made[0] for each in made[1:])


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize(
    ("sizes", "n", "k"),
    [
        ((4, 3), 0, 1),
        ((4, 3), 1, 1),
        ((5,), 40, 1),
        ((1, 4, 1), 40, 1),
        ((1,), 9, 1),
        ((4, 3), 30, 5),
        ((900, 3), 40, 1),
    ],
    ids=["no row", "one row", "one column", "single codes", "one single code", "k rows a unit", "900 codes"],
)
def test_odd_tables(name, sizes, n, k):
    fitted = fit(name, table(sizes, n, k=k))
    rows = fitted.sample_codes(20, np.random.default_rng(0))
    assert (rows.max(axis=1) < np.array(sizes)).all()
    assert all(np.isfinite(array).all() for array in fitted.tensors().values())


@pytest.mark.parametrize("name", PRIVATE)
def test_null_is_never_drawn_where_it_was_declared_away(name):
    data = table(nulls=False)
    data.codes[1] = 2  # every row holds the NULL that was declared away
    rows = fit(name, data).sample_codes(500, np.random.default_rng(0))
    assert (rows.max(axis=1) < np.array(data.sizes) - 1).all()


@pytest.mark.parametrize("name", REFERENCES)
def test_what_has_no_privacy_cannot_be_a_generator_of_a_release(name):
    for refused in (lambda: choose(name, epsilon=1.0), lambda: load_generator(name)):
        with pytest.raises(ConfigError, match=r"no privacy guarantee.*privsynth benchmark.*privsynth audit"):
            refused()
    with pytest.raises(ConfigError, match="does not know"):
        restore_generator(name, {}, {})


def test_auto_and_the_list_of_choices_name_private_generators_only():
    assert {choose("auto", epsilon=e) for e in (0.1, 1.0, 100.0)} <= set(PRIVATE)
    with pytest.raises(ConfigError) as error:
        choose("magic", epsilon=1.0)
    assert all(name in str(error.value) for name in PRIVATE)
    assert "sdv" not in str(error.value)

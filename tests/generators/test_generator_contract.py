"""Every private generator keeps the contract that ships, and a generator that breaks it is told so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from leaks.proof import small_generators

from privsynth.codecs.encoded_table import CodedRows
from privsynth.errors import ConfigError
from privsynth.generators.registry import (
    GENERATORS,
    choose,
    generator_info,
    load_generator,
    load_restore,
    restore_generator,
)
from privsynth.privacy.budget import Bill
from privsynth.privacy.mechanisms import GaussianMechanisms
from privsynth.progress import no_progress
from privsynth.testing.generators import CHECKS, GeneratorUnderTest, check_generator, invented_table

PRIVATE = [name for name, info in GENERATORS.items() if info.private]
REFERENCES = [name for name, info in GENERATORS.items() if not info.private]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def subject(name: str) -> GeneratorUnderTest:
    return GeneratorUnderTest(load_generator(name), load_restore(generator_info(name)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", PRIVATE)
def test_every_private_generator_keeps_the_contract(name, check):
    check(subject(name))


@pytest.mark.parametrize("name", ["tvae", "ctgan"])
@pytest.mark.parametrize("change", ["sizes", "no_null", "hidden", "tensor missing"])
def test_a_model_that_does_not_fit_itself_is_refused(name, change):
    fitted = subject(name).fit(invented_table())
    tensors, settings = fitted.tensors(), fitted.settings()
    if change == "tensor missing":
        tensors = {key: array for key, array in tensors.items() if not key.endswith("1.weight")}
    else:
        settings = {**settings, change: {"sizes": [4, 3, 3], "no_null": [False], "hidden": 17}[change]}
    with pytest.raises(ValueError, match=r"do(es)? not fit"):
        restore_generator(name, tensors, settings)


@pytest.mark.parametrize("name", [name for name in PRIVATE if name != "marginal"])
def test_a_plan_without_training_and_a_table_without_columns_spend_nothing(name):
    bare = replace(subject(name).plan(), training=None)
    for data, plan in (
        (invented_table(), bare),
        (
            replace(invented_table(), rows=CodedRows(np.zeros((0, 60)), np.arange(60)), attributes=()),
            subject(name).plan(),
        ),
    ):
        bill = Bill(plan)
        with pytest.raises(ConfigError, match=r"training run|no column"):
            load_generator(name).fit(
                data, GaussianMechanisms(bill), plan, rng=np.random.default_rng(0), progress=no_progress
            )
        assert not bill.spends


@pytest.mark.parametrize("name", REFERENCES)
def test_what_has_no_privacy_cannot_be_a_generator_of_a_release(name):
    for refused in (lambda: choose(name), lambda: load_generator(name)):
        with pytest.raises(ConfigError, match=r"no privacy guarantee.*privsynth benchmark.*privsynth audit"):
            refused()
    with pytest.raises(ConfigError, match="does not know"):
        restore_generator(name, {}, {})


def test_auto_and_the_list_of_choices_name_private_generators_only():
    assert choose("auto") in PRIVATE
    with pytest.raises(ConfigError) as error:
        choose("magic")
    assert all(name in str(error.value) for name in PRIVATE)
    assert "sdv" not in str(error.value)


@dataclass(frozen=True)
class Wrapped:
    """A generator of ours, and what a test makes of its models."""

    inner: Any
    change: Any

    name = "marginal"

    def training_spec(self):
        return self.inner.training_spec()

    def expected_errors(self, facts, plan):
        return self.inner.expected_errors(facts, plan)

    def fit(self, data, mechanisms, plan, **more):
        return self.change(self.inner, data, mechanisms, plan, more)


def _remembers_a_row(inner, data, mechanisms, plan, more):
    fitted = inner.fit(data, mechanisms, plan, **more)
    return replace(fitted, tables=((int(data.rows.codes[0, :1].sum()) % 3,),))


def _understates(inner, data, mechanisms, plan, more):
    doubled = replace(data, rows=CodedRows(np.repeat(data.rows.codes, 2, axis=1), np.repeat(data.rows.unit, 2)))
    return inner.fit(doubled, mechanisms, plan, **more)


def _fails_on_few_rows(inner, data, mechanisms, plan, more):
    if data.rows.codes.shape[1] < 2:
        raise ValueError("secret 4711")
    return inner.fit(data, mechanisms, plan, **more)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_remembers_a_row, "learns_through_mechanisms_alone"),
        (_understates, "moved by .* declared"),
        (_fails_on_few_rows, "it ends with ValueError"),
    ],
)
def test_a_generator_that_breaks_the_contract_is_told_where(change, said):
    broken = Wrapped(load_generator("marginal"), change)
    with pytest.raises(ConfigError, match=said) as error:
        check_generator(broken, load_restore(generator_info("marginal")))
    assert "4711" not in str(error.value)

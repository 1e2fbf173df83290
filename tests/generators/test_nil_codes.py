"""Columns that never have a null, or another text, get none from noise; those that have keep them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from doubles import RecordingMechanisms

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.nil_codes import NIL_SIGMAS, never_drawn, without_nil
from privsynth.generators.registry import codes_never_drawn
from privsynth.privacy.budget import Budget, plan_spending


@dataclass(frozen=True)
class Table:
    """A noisy one-way table."""

    counts: np.ndarray
    sigma: float | np.ndarray


def rows(attributes: list[Attribute], columns: tuple[int, ...] | None = None) -> Encoded:
    codes = np.zeros((len(attributes), 10), dtype=np.uint16)
    return Encoded(
        CodedRows(codes, np.arange(10)), tuple(attributes), 1, 10.0, columns or tuple(range(len(attributes)))
    )


def judged(counts: list[float], sigma: float | list[float], *, can_be_null: bool = True, other: bool | None = None):
    attribute = Attribute("a", len(counts), can_be_null, False, other)
    table = Table(np.array(counts), np.array(sigma) if isinstance(sigma, list) else sigma)
    (found,) = without_nil(rows([attribute]), [table]).attributes
    return found


@pytest.mark.parametrize(
    ("null", "sigma", "left"),
    [(-5.0, 10.0, False), (34.9, 10.0, False), (35.1, 10.0, True), (0.0, 0.0, False), (1.0, 0.0, True)],
)  # fmt: skip
def test_a_null_that_noise_explains_is_none(null, sigma, left):
    assert NIL_SIGMAS == 3.5
    assert judged([100.0, 50.0, null], sigma).can_be_null is left
    assert judged([100.0, 50.0, null], [1.0, 1.0, sigma]).can_be_null is left
    assert judged([100.0, 50.0, null], sigma, can_be_null=False).can_be_null is False


def test_other_is_judged_by_its_own_count_and_only_where_there_is_one():
    assert judged([100.0, 2.0, 90.0], 1.0, other=True).other is False
    assert judged([100.0, 20.0, 90.0], 1.0, other=True).other is True
    assert judged([100.0, 0.0, 90.0], 1.0).other is None


def test_the_attributes_of_a_column_are_null_together():
    attributes = [Attribute(f"t·{part}", 3, True, False) for part in ("week", "weekday", "clock")]
    tables = [Table(np.array([50.0, 50.0, null]), 10.0) for null in (25.0, 25.0, 12.0)]
    together = without_nil(rows(attributes, (0, 0, 0)), tables).attributes
    assert [a.can_be_null for a in together] == [True] * 3  # 20.7 of 5.8: clear only taken together
    assert [a.can_be_null for a in without_nil(rows(attributes), tables).attributes] == [False] * 3
    tables[0] = Table(np.array([50.0, 50.0, 60.0]), 1_000.0)  # hardly measured
    tables[1:] = [Table(np.array([50.0, 50.0, 1.0]), 10.0)] * 2
    assert [a.can_be_null for a in without_nil(rows(attributes, (0, 0, 0)), tables).attributes] == [False] * 3


def test_some_code_is_always_left():
    assert never_drawn(Attribute("a", 3, False, False, False)) == [2, 1]
    assert never_drawn(Attribute("a", 2, True, False, False)) == [0]
    assert never_drawn(Attribute("a", 2, False, False, False)) == []
    assert never_drawn(Attribute("a", 1, False, False)) == []


def test_a_fitted_mixture_draws_neither_null_nor_other_that_noise_explains():
    """False alarms: one nil count beyond 3.5 σ in 4,300; three of them are judged here, with fixed noise."""
    rng = np.random.default_rng(3)
    n = 4_000
    sex, ward, note = rng.integers(0, 2, n), rng.integers(0, 3, n), rng.integers(0, 4, n)
    attributes = (
        Attribute("sex", 4, True, False, True),  # F, M; never OTHER, never NULL
        Attribute("ward", 4, True, False, True),  # A, B, OTHER; never NULL
        Attribute("note", 4, True, False),  # a, b, c, NULL
    )
    codes = np.array([sex, ward, note], dtype=np.uint16)
    data = Encoded(CodedRows(codes, np.arange(n)), attributes, 1, float(n), (0, 1, 2))
    parts = {"one_way": 0.3, "selection": 0.1, "measurement": 0.6}
    plan = plan_spending(Budget(epsilon=1.0), parts, open_domain=False)
    generator = MarginalGenerator(FitSettings(components=64, max_steps=200))
    fitted = generator.fit(data, RecordingMechanisms(2), plan, rng=rng)
    drawn = fitted.sample_codes(20_000, rng)
    assert set(drawn[0]) == {0, 1}
    assert set(drawn[1]) == {0, 1, 2}
    assert set(drawn[2]) == {0, 1, 2, 3}
    never = codes_never_drawn(fitted, data.sizes)
    assert [np.flatnonzero(code).tolist() for code in never] == [[2, 3], [3], []]

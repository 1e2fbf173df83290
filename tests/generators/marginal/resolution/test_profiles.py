"""Profiles of codes: where they are bought, what they tell apart, and that the strongest ties of 500 codes are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from doubles import RecordingMechanisms, ReplayMechanisms

from privsynth.codecs.columns import Attribute
from privsynth.codecs.contingency import Marginal, coarse_groups
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.marginal import rounds
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.generators.marginal.measure import Measurement
from privsynth.generators.marginal.resolution import profiles
from privsynth.generators.marginal.resolution.profiles import (
    FIRST_OF_MEASUREMENT,
    FirstSelection,
    select_first,
)
from privsynth.generators.marginal.rounds import MeasureRequest, select_and_measure
from privsynth.privacy.budget import Budget, plan_spending

PARTS = {"one_way": 0.1, "selection": 0.1, "measurement": 0.8}
ROWS = 20_000


def coded(codes: int, seed: int = 0, n: int = ROWS, books: dict | None = None) -> Encoded:
    """Return rows of codes, wards and sexes; codes are in twelve groups that say the ward. NULL is each last code."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 12, codes)
    wards = rng.dirichlet(np.full(8, 0.2), 12)
    share = 1.0 / (3.0 + rng.permutation(codes))
    code = rng.choice(codes, n, p=share / share.sum())
    ward = np.minimum((rng.random(n)[:, None] > np.cumsum(wards[group[code]], axis=1)).sum(axis=1), 7)
    rows = np.stack([code, ward, rng.integers(0, 2, n), rng.integers(0, 4, n)]).astype(np.uint16)
    names = (("code", codes), ("ward", 8), ("sex", 2), ("region", 4))
    attributes = tuple(Attribute(name, size + 1, True, False) for name, size in names)
    return Encoded(CodedRows(rows, np.arange(n)), attributes, 1, float(n), (0, 1, 2, 3), books=books or {})


def choice_of(data: Encoded) -> FirstSelection:
    """Return coarse candidates whose scores say that all pairs are tied, one more than the other."""
    counts = [np.bincount(column, minlength=size) for column, size in zip(data.rows.codes, data.sizes, strict=True)]
    shares = [c / data.n_rows for c in counts]
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    coarse = [coarse_groups(share, ordered=False, at_most=6) for share in shares]
    return FirstSelection(
        candidates=[Marginal(pair, tuple(coarse[a] for a in pair)) for pair in pairs],
        scores=np.linspace(9_000.0, 4_000.0, len(pairs)),
        one_way=[
            Measurement(Marginal((a,), (np.arange(len(c)),)), c.astype(np.float64), 5.0) for a, c in enumerate(counts)
        ],
        shares=shares,
        sensitivity=1.0,
        likely=(),
    )


def test_codes_with_enough_rows_stand_alone_and_the_others_together():
    data = coded(500)
    selected, paid = select_first(data, choice_of(data), mu_squared=0.04)
    profiled = {m.attributes: (m, price) for m, price in selected if m.attributes[0] == 0}
    assert set(profiled) == {(0, 1), (0, 2), (0, 3)}
    assert math.fsum(price for _, price in selected) <= paid <= 0.04 * FIRST_OF_MEASUREMENT
    marginal, price = profiled[0, 1]
    held = np.bincount(marginal.groups[0], weights=np.bincount(data.rows.codes[0], minlength=501))
    alone = np.bincount(marginal.groups[0]) == 1
    assert alone.sum() - 1 >= profiles.MANY  # NULL has a group of its own, too
    assert held[alone][:-1].min() >= profiles.ENOUGH * price**-0.5 - 1e-6
    assert (~alone).sum() == 1


@pytest.mark.parametrize(
    ("codes", "books"), [(60, {}), (500, {0: (np.append(np.arange(500) % 12, 12),)}), (8, {})], ids=["few", "book", "8"]
)
def test_without_many_codes_or_with_a_book_nothing_changes(codes, books):
    """60 codes in so few rows: most of them are lost in the noise."""
    data = coded(codes, n=3_000 if codes == 60 else ROWS, books=books)
    choice = choice_of(data)
    selected, paid = select_first(data, choice, mu_squared=0.04)
    assert paid == 0.04 * FIRST_OF_MEASUREMENT
    assert [m for m, _ in selected] == [m for m, _ in choice.worth(data, range(len(choice.candidates)), paid)]


def test_a_table_that_tells_more_codes_apart_is_kept():
    data = coded(500)
    choice = choice_of(data)
    full = Marginal((0, 1), (np.arange(501), np.arange(9)))
    found = profiles.profiles(data, choice, [full, choice.candidates[1]], noise=20.0)
    assert [m.attributes for m in found] == [(0, 2)]


@pytest.fixture
def without_full_tables(monkeypatch):
    """As if there were many columns more, among which the budget is too small for a whole table of 500 codes."""
    real = rounds.candidate_pairs
    monkeypatch.setattr(rounds, "candidate_pairs", lambda *a, **b: [m for m in real(*a, **b) if m.size < 500])


def ties_lost(data: Encoded, seed: int) -> float:
    """Return the total variation distance of code × ward between the rows and what is fitted at ε = 1."""
    plan = plan_spending(Budget(epsilon=1.0, unit="row", max_rows_per_unit=1), PARTS, open_domain=False)
    generator = MarginalGenerator(FitSettings(max_steps=400))
    fitted = generator.fit(data, RecordingMechanisms(seed), plan, rng=np.random.default_rng(seed))
    drawn = fitted.sample_codes(len(data.rows.codes[0]), np.random.default_rng(seed))
    real, made = (np.bincount(c[0].astype(np.int64) * 9 + c[1], minlength=501 * 9) for c in (data.rows.codes, drawn))
    return float(np.abs(real - made).sum()) / 2 / data.n_rows


def test_the_strongest_tie_of_500_codes_is_kept_better(monkeypatch, without_full_tables):
    """Where noise hides most codes, a third of the distance that only a dozen codes and the rest leave goes away."""
    data = coded(500)
    lost = ties_lost(data, 1)
    monkeypatch.setattr(profiles, "MANY", 10_000)
    assert lost < 0.85 * ties_lost(data, 1)


def test_one_row_more_moves_no_table_by_more_than_was_declared(without_full_tables):
    plan = plan_spending(Budget(epsilon=3.0, unit="row", max_rows_per_unit=1), PARTS, open_domain=False)

    def run(data: Encoded, mechanisms) -> list:
        request = MeasureRequest(
            data=data, mechanisms=mechanisms, plan=plan, settings=FitSettings(components=8, max_steps=10),
            rng=np.random.default_rng(0),
        )  # fmt: skip
        return [(m.attributes, m.counts.tolist()) for m in select_and_measure(request).tables]

    data = coded(300)
    codes = np.append(data.rows.codes, [[7], [3], [1], [2]], axis=1).astype(np.uint16)
    more = Encoded(CodedRows(codes, np.arange(ROWS + 1)), data.attributes, 1, data.n_rows, data.columns)
    record = RecordingMechanisms(3)
    tables = run(data, record)
    assert any(len(counts) > profiles.MANY for attributes, counts in tables if attributes[0] == 0)
    replay = ReplayMechanisms(record)
    assert run(more, replay) == tables
    assert replay.violations() == []

"""Interactions of `arn`: products of scores, which of them there are, and that they carry what pairs cannot."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded
from privsynth.generators.arn.calibration import TiltSettings
from privsynth.generators.arn.generator import ArnGenerator
from privsynth.generators.arn.interaction_layers import Head
from privsynth.generators.arn.interactions import Interactions, attribute_scores, choose_terms
from privsynth.generators.arn.pretraining import WarmSettings
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.privacy.budget import Bill, Budget, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms

PARTS = {"one_way": 0.2, "selection": 0.1, "measurement": 0.7}
SIZES = (3, 2, 4, 1, 3)
ORDER = (4, 0, 3, 1, 2)


def random_codes(rows: int = 4_000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, rows) for size in SIZES])
    codes[4] = np.where(rng.random(rows) < 0.6, codes[0], codes[4])
    return codes.astype(np.uint16)


def head_of(most: int = 500) -> Head:
    scores, owner, association = attribute_scores(random_codes(), SIZES)
    terms = choose_terms(owner, association, ORDER, most=most, rng=np.random.default_rng(1))
    return Head(SIZES, ORDER, scores, owner, terms)


def test_scores_are_orthonormal_functions_of_one_attribute():
    codes = random_codes()
    scores, owner, association = attribute_scores(codes, SIZES)
    assert owner.tolist() == [0, 0, 1, 2, 2, 2, 4, 4], "one fewer than codes, none for an attribute with one code"
    starts = np.concatenate([[0], np.cumsum(SIZES)])
    values = np.array([scores[starts[o] + codes[o].astype(int), r] for r, o in enumerate(owner)])
    assert np.abs(values.mean(axis=1)).max() < 0.02
    assert np.allclose((values**2).mean(axis=1), 1.0, atol=0.02)
    for r, other in combinations(range(len(owner)), 2):
        if owner[r] == owner[other]:
            assert abs(float((values[r] * values[other]).mean())) < 0.1
    for r, o in enumerate(owner):
        assert not np.delete(scores[:, r], np.arange(starts[o], starts[o + 1])).any()
    assert association[0, 4] > 10 * association[0, 1]


def test_terms_are_of_three_or_four_attributes_each_once():
    owner = np.array([0, 0, 1, 2, 2, 2, 4, 4])
    association = np.ones((5, 5))
    terms = choose_terms(owner, association, ORDER, most=10_000, rng=np.random.default_rng(0))
    sets = [tuple(sorted(r for r in term if r < 8)) for term in terms.tolist()]
    assert len(set(sets)) == len(sets)
    # Every product of scores of three of the four attributes that have any, and of all four.
    numbers = {0: 2, 1: 1, 2: 3, 4: 2}
    assert len(sets) == 2 * 1 * 3 * 2 + sum(np.prod([numbers[a] for a in s]) for s in combinations(numbers, 3))
    assert all(len({int(owner[r]) for r in s}) == len(s) >= 3 for s in sets)


def test_few_terms_go_to_associated_attributes_first():
    owner = np.arange(12)
    association = np.full((12, 12), 1e-3)
    association[np.ix_([2, 5, 9], [2, 5, 9])] = 1.0
    terms = choose_terms(owner, association, tuple(range(12)), most=20, rng=np.random.default_rng(0))
    assert 20 <= len(terms) <= 21
    assert {2, 5, 9, 12} in [set(term) for term in terms.tolist()]
    assert len({r for term in terms.tolist() for r in term}) > 8, "the others are drawn at random"


def test_wide_tables_look_at_the_associated_and_at_some_others():
    """300 attributes have 300 million sets of four: neither memory nor time may follow them."""
    association = np.full((300, 300), 1e-4)
    association[np.ix_([17, 150, 299], [17, 150, 299])] = 1.0
    terms = choose_terms(np.arange(300), association, tuple(range(300)), most=400, rng=np.random.default_rng(0))
    assert [set(term) for term in terms.tolist()].count({17, 150, 299, 300}) == 1
    assert len({r for term in terms.tolist() for r in term}) > 200


def test_no_three_attributes_no_terms():
    assert len(choose_terms(np.array([0, 1]), np.ones((2, 2)), (0, 1), most=9, rng=np.random.default_rng(0))) == 0


def test_the_head_and_the_sampler_add_the_same_logits():
    """What is trained, over a whole row at once, is what is drawn from, one attribute after another."""
    head = head_of()
    with torch.no_grad():
        for weight in head.parameters():
            weight.copy_(torch.from_numpy(np.random.default_rng(2).standard_normal(tuple(weight.shape))))
    codes = torch.from_numpy(random_codes(40, seed=5).astype(np.int64).T.copy())
    at_once = head(torch.zeros((40, sum(SIZES)), dtype=torch.float64), codes).detach().numpy()
    interactions = head.interactions()
    known, starts = interactions.nothing_known(40), np.concatenate([[0], np.cumsum(SIZES)]).astype(int)
    for attribute in ORDER:
        block = slice(int(starts[attribute]), int(starts[attribute + 1]))
        added = interactions.logits(known, attribute, block)
        assert np.allclose(added, at_once[:, block], atol=1e-4)
        interactions.tell(known, slice(None), attribute, codes[:, attribute].numpy() + block.start)
    assert np.abs(at_once).max() > 0.5


def test_a_term_serves_every_order():
    """One term over (a, b, c): each attribute's logits given the other two, and nothing before both are known."""
    scores = np.zeros((6, 3), dtype=np.float32)
    for r in range(3):
        scores[2 * r : 2 * r + 2, r] = [-1.0, 1.0]
    one = Interactions(scores, np.arange(3), np.array([[0, 1, 2, 3]]), np.array([0.5], dtype=np.float32))
    for last in range(3):
        known = one.nothing_known(1)
        first, second = (at for at in range(3) if at != last)
        one.tell(known, slice(None), first, np.array([2 * first + 1]))
        assert not one.logits(known, last, slice(2 * last, 2 * last + 2)).any()
        one.tell(known, slice(None), second, np.array([2 * second]))
        assert one.logits(known, last, slice(2 * last, 2 * last + 2)).tolist() == [[0.5, -0.5]]


def parity_table(rows: int, seed: int = 0) -> Encoded:
    """Return six binary attributes and one of four codes; the last is a ⊕ b ⊕ c but for one row in ten.

    No pair and no three of the attributes carry a trace of it.
    """
    rng = np.random.default_rng(seed)
    sizes = (2, 2, 4, 2, 2, 2)
    codes = np.stack([rng.integers(0, size, rows) for size in sizes])
    codes[5] = (codes[0] + codes[2] + codes[3] + (rng.random(rows) < 0.1)) % 2
    attributes = tuple(Attribute(f"a{i}", size + 1, False, False) for i, size in enumerate(sizes))
    return Encoded(CodedRows(codes.astype(np.uint16), np.arange(rows)), attributes, 1, float(rows), tuple(range(6)))


def agreement(codes: np.ndarray) -> float:
    """Return how often the last attribute is the parity: 0.9 in the table, 0.5 by chance."""
    return float(((codes[0].astype(int) + codes[2] + codes[3]) % 2 == codes[5]).mean())


@pytest.mark.slow
def test_parity_is_found_where_tables_of_pairs_cannot():
    """At ε = 3 and 15,000 rows the coefficient stands hundreds of deviations above the noise."""
    data = parity_table(15_000)
    marginal = MarginalGenerator(FitSettings(components=64, max_steps=100))
    arn = ArnGenerator(
        steps=16,
        warm=WarmSettings(rows=4_096, steps=30, batch=256),
        tilt=TiltSettings(rows=8_192),
        marginal=marginal,
    )
    found = {}
    for generator in (marginal, arn):
        training = generator.training_spec()
        plan = plan_spending(Budget(epsilon=3.0), PARTS, open_domain=False, training=training)
        fit = generator.fit(data, GaussianMechanisms(Bill(plan)), plan, rng=np.random.default_rng(1))
        found[generator.name] = fit.sample_codes(5_000, np.random.default_rng(2))
    assert agreement(data.rows.codes) == pytest.approx(0.9, abs=0.01)
    assert agreement(found["marginal"]) == pytest.approx(0.5, abs=0.03)
    assert agreement(found["arn"]) > 0.78
    for pair in combinations(range(6), 2):  # and the pairs are none the worse for it
        share = [
            np.bincount(c[pair[0]] * 5 + c[pair[1]], minlength=25) / c.shape[1] for c in (data.rows.codes, found["arn"])
        ]
        assert 0.5 * np.abs(share[0] - share[1]).sum() < 0.03

"""The bill of all tables: what the mechanisms really did costs no more than the promise, by a formula of its own."""

from __future__ import annotations

import math

import pytest
from leaks.linked.persons import SCHEMA, STAYS, TESTS, alike, as_text, clinic, moved_by_one, with_rows
from leaks.proof import EPSILON as PROOF_EPSILON
from leaks.proof import FixedKey, Watching
from linked.clinic import plan_of, request_of
from scipy.stats import norm

from privsynth.errors import SchemaError
from privsynth.generators.marginal.fitted import FitSettings
from privsynth.generators.marginal.generator import MarginalGenerator
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.privacy import mechanisms
from privsynth.privacy.budget import Bill
from privsynth.schema.linked import LinkedSchema

EPSILON = 2.0


def test_all_tables_together_cost_no_more_than_the_promise(monkeypatch):
    drawn: list[float] = []
    draw = mechanisms.rounded_gaussian

    def noted(count, sigma, bits):
        drawn.append(sigma)
        return draw(count, sigma, bits)

    monkeypatch.setattr(mechanisms, "rounded_gaussian", noted)
    tables = as_text(with_rows(clinic(), alike(40, 2)))
    quick = MarginalGenerator(FitSettings(components=16, max_steps=6))
    request = request_of(SCHEMA, tables, EPSILON, generator=quick, holdout_fraction=0.2)
    watch = Watching(Bill(request.plan.whole))
    learn_linked(tables, request, watch, FixedKey())
    assert drawn == watch.draws  # noise of the deviation that each release says, and no other
    assert len(watch.paid) == len(watch.bill.spends)
    budget = request.plan.whole.budget
    spent = math.fsum(delta for *_, delta in watch.paid)
    assert 0 < spent <= request.plan.whole.discovery_delta < budget.delta
    mu = math.sqrt(math.fsum(multiplier**-2 for _, multiplier, _ in watch.paid))
    # Balle & Wang (2018), theorem 8, for the sum of all releases; those of no table are left out.
    delta = norm.cdf(-EPSILON / mu + mu / 2) - math.exp(EPSILON) * norm.cdf(-EPSILON / mu - mu / 2)
    assert delta + spent <= budget.delta
    assert {part.split("/")[0] for part, *_ in watch.paid} == set(SCHEMA.modelled)
    # Each part of each table keeps to what it has in the end, and most of the whole is used.
    for name, most in watch.bill.plan.parts.items():
        paid = math.fsum(multiplier**-2 for part, multiplier, _ in watch.paid if part == name)
        assert paid <= most * (1 + 1e-9)
    assert mu**2 > 0.8 * math.fsum(request.plan.whole.parts.values())


def test_a_person_at_all_limits_moves_all_releases_together_by_most_of_the_whole_and_no_more():
    frames = clinic()
    moved = moved_by_one(frames, with_rows(frames, alike(STAYS, TESTS // STAYS)), holdout=0.0)
    parts = plan_of(SCHEMA, as_text(frames), PROOF_EPSILON).whole.parts
    share = math.fsum(far**2 for far in moved.values()) / math.fsum(parts.values())
    assert 0.6 < share <= 1


def test_a_table_without_anything_to_learn_is_refused_before_anything_is_spent():
    tables = as_text(clinic())
    tables["consents"] = tables["consents"].select(["patient"])
    with pytest.raises(SchemaError, match="'consents' has nothing to learn"):
        plan_of(SCHEMA, tables, EPSILON)


def test_a_column_with_the_name_of_one_that_is_modelled_beside_it_is_refused():
    frames = clinic()
    frames["stays"]["number of tests"] = "1"
    with pytest.raises(SchemaError, match="rename it"):
        plan_of(LinkedSchema.model_validate(SCHEMA.model_dump()), as_text(frames), EPSILON)

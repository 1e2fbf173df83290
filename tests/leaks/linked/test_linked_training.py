"""The network of linked tables: a person with all rows moves a step of training by no more than is declared."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from leaks.linked.persons import (
    SCHEMA,
    STAYS,
    TESTS,
    alike,
    as_text,
    clinic,
    everything_public,
    in_every_table,
    learn,
    moved_by_one,
    odd,
    quick_network,
    with_rows,
    without,
)
from leaks.linked.test_linked_neighbours import COMES, WORLDS
from leaks.proof import Constant, FixedKey, Watching
from linked.clinic import request_of

from privsynth.generators.arn.next_event import generator
from privsynth.generators.dpsgd.optimizer import Units
from privsynth.pipeline.linked.learn import learn_linked
from privsynth.privacy.accounting import GaussianEvent, SubsampledGaussianEvent, epsilon_of
from privsynth.privacy.budget import Bill

TRAINED = {
    "at the most rows that are used": {"stays", "tests", "consents"},
    "with ten times as many": {"stays", "tests", "consents"},
    "with rows that are hard to read": {"stays", "tests", "consents"},
    "without rows elsewhere": set(),
}
LABEL = "DP-SGD of the next-event network"


@pytest.fixture(scope="module")
def network():
    return quick_network()


@pytest.mark.parametrize("person", TRAINED)
def test_a_person_who_comes(network, person):
    frames = clinic()
    moved = moved_by_one(frames, with_rows(frames, COMES[person](frames)), generator=network)
    trained = {label.split(":")[0] for label in moved if LABEL in label}
    assert trained == TRAINED[person]


def test_a_person_with_rows_in_every_table_who_leaves(network):
    frames = clinic()
    moved = moved_by_one(frames, without(frames, in_every_table(frames)), holdout=0.0, generator=network)
    assert {label.split(":")[0] for label in moved if LABEL in label} == {"stays", "tests", "consents"}


def test_the_last_person_who_leaves(network):
    frames = with_rows(clinic(0), alike(STAYS, 2))
    assert moved_by_one(frames, without(frames, "p-new"), generator=network)


@pytest.mark.parametrize("world", ["no persons", "a person with many rows"])
def test_with_constant_answers_no_world_shows(network, world):
    ordinary, other = (Constant(keys=("7", "19")) for _ in range(2))
    expected = everything_public(learn(ordinary, as_text(clinic()), generator=network))
    assert everything_public(learn(other, as_text(WORLDS[world](clinic())), generator=network)) == expected
    assert [call.public for call in other.calls] == [call.public for call in ordinary.calls]


def test_gradients_of_rows_that_are_not_clipped_together_are_caught(network, monkeypatch):
    """Each row a unit of its own: a person with many rows then moves a step by many thresholds."""
    real = Units.of.__func__

    def by_row(cls, data):
        rows = data.gathered()
        return real(cls, replace(data, rows=replace(rows, unit=np.arange(rows.codes.shape[1]))))

    monkeypatch.setattr(Units, "of", classmethod(by_row))
    with pytest.raises(AssertionError, match="moved by"):
        moved_by_one(clinic(), with_rows(clinic(), alike(STAYS, TESTS // STAYS)), generator=network)


def test_a_warm_start_on_real_rows_is_caught(network, monkeypatch):
    monkeypatch.setattr(generator, "drawn_histories", lambda data, *_: replace(data, histories=None))
    with pytest.raises(AssertionError):
        moved_by_one(clinic(), with_rows(clinic(), alike(STAYS, 3)), generator=network)


def test_the_bill_holds_one_training_run_for_all_tables_within_the_promise(network):
    epsilon = 2.0
    tables = as_text(with_rows(clinic(), odd(5)))
    request = request_of(SCHEMA, tables, epsilon, generator=network, of_persons=network.marginal)
    watch = Watching(Bill(request.plan.whole))
    learn_linked(tables, request, watch, FixedKey())
    run = request.plan.whole.training
    assert run is not None
    below = SCHEMA.modelled[1:]
    assert [steps for *_, steps in watch.trained] == [run.steps // len(below)] * len(below)
    assert {(z, q) for z, q, _ in watch.trained} == {(run.noise_multiplier, run.sampling_probability)}
    mu = math.sqrt(math.fsum(z**-2 for _, z, _ in watch.paid))
    events = [
        GaussianEvent(noise_multiplier=1 / mu),
        *(SubsampledGaussianEvent(noise_multiplier=z, sampling_probability=q, steps=t) for z, q, t in watch.trained),
    ]
    assert 0.9 * epsilon < epsilon_of(events, request.plan.whole.gaussian_delta) <= epsilon
    assert watch.bill.epsilon_spent() <= epsilon

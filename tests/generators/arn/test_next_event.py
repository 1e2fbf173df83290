"""The next-event network: its conditionals, its training against one person at a time, and how rows are drawn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from doubles import ExactMechanisms, RecordingMechanisms

from privsynth.codecs.columns import Attribute
from privsynth.codecs.encoded_table import CodedRows, Encoded, RowsPerUnit
from privsynth.errors import ConfigError
from privsynth.generators.arn.fitted import restore
from privsynth.generators.arn.next_event.fitted import FittedNextEvent
from privsynth.generators.arn.next_event.network import NextEventNetwork, row_losses
from privsynth.generators.arn.next_event.training import (
    NextEventTraining,
    NextEventWarmStart,
    clip_threshold,
    first_rate,
    row_weights,
    train,
    warm_start,
)
from privsynth.privacy.unit_weights import weight_of_row
from privsynth.sampling.conditional import complete

SIZES, DRAWN = (4, 3, 5, 3, 2), (2, 0, 3)  # 1 and 4 are given
GIVEN = (1, 4)


def network(seed: int = 0, scale: float = 1.0) -> NextEventNetwork:
    """Return a network whose every weight is drawn."""
    rng = np.random.default_rng(seed)
    shares = [np.full(SIZES[at], 1 / SIZES[at]) for at in DRAWN]
    found = NextEventNetwork(SIZES, DRAWN, 8, rng=rng, shares=shares)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.copy_(torch.from_numpy(rng.standard_normal(tuple(parameter.shape)) * scale))
    return found


def rows_of(n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, n) for size in SIZES]).astype(np.uint16)


def encoded(units: np.ndarray, seed: int = 1, most: int = 50, **more) -> Encoded:
    attributes = tuple(Attribute(f"a{at}", size, can_be_null=True, ordered=False) for at, size in enumerate(SIZES))
    return Encoded(
        rows=CodedRows(rows_of(len(units), seed), np.asarray(units, dtype=np.int64)),
        attributes=attributes,
        max_rows_per_unit=most,
        n_rows=float(more.pop("n_rows", len(units))),
        columns=tuple(range(len(SIZES))),
        given=frozenset(GIVEN),
        **more,
    )


def fitted(net: NextEventNetwork, never=((), (), (), (), ())) -> FittedNextEvent:
    shares = np.concatenate([np.full(SIZES[at], 1 / SIZES[at]) for at in GIVEN]).astype(np.float32)
    return FittedNextEvent(net.arrays(), SIZES, DRAWN, tuple(never), net.hidden, shares)


def test_an_attribute_depends_on_what_is_given_and_on_those_before_it_alone():
    net, codes = network(), torch.from_numpy(rows_of(50).astype(np.int64).T.copy())
    base = net(codes)
    ends = np.cumsum([0, *(SIZES[at] for at in DRAWN)])
    for at in range(len(SIZES)):
        other = codes.clone()
        other[:, at] = (other[:, at] + 1) % SIZES[at]
        differs = (net(other) != base).any(dim=0).numpy()
        moved = {DRAWN[j] for j in range(len(DRAWN)) if differs[ends[j] : ends[j + 1]].any()}
        assert moved == (set(DRAWN) if at in GIVEN else set(DRAWN[DRAWN.index(at) + 1 :]))


def test_drawn_rows_have_the_networks_probabilities():
    """All 60 cells of what is drawn, for one context and 200,000 rows: χ² at 1e-5."""
    from scipy import stats

    net = network(scale=0.7)
    n = 200_000
    known = np.full((len(SIZES), n), -1, dtype=np.int32)
    known[1], known[4] = 2, 1
    codes = complete(fitted(net), known, {}, np.random.default_rng(4))
    cells = np.stack(np.meshgrid(*(np.arange(SIZES[at]) for at in DRAWN), indexing="ij")).reshape(len(DRAWN), -1)
    rows = np.zeros((cells.shape[1], len(SIZES)), dtype=np.int64)
    rows[:, 1], rows[:, 4] = 2, 1
    rows[:, list(DRAWN)] = cells.T
    with torch.no_grad():
        p = torch.exp(-row_losses(net, torch.from_numpy(rows), DRAWN, [SIZES[at] for at in DRAWN])).numpy()
    assert p.sum() == pytest.approx(1)
    got = np.bincount(np.ravel_multi_index([codes[at] for at in DRAWN], [SIZES[at] for at in DRAWN]), minlength=60)
    assert stats.chisquare(got, p * n).pvalue > 1e-5


def test_what_is_known_later_is_conditioned_on():
    """The last attribute repeats the first where that is one of three codes, of five: P(first | last) is 3/5, by Bayes.

    Eight candidates a row, 3,000 rows: seven standard errors of the share, and what resampling so few is off by.
    """
    net = network(scale=0.0)
    with torch.no_grad():
        for code in range(3):  # a hidden unit for each code of the first, which the last reads off
            net.told[0].weight[code, code] = 6.0
            net.last[2].weight[code, code] = 2.0
    model = fitted(net)
    known = np.full((len(SIZES), 3_000), -1, dtype=np.int32)
    known[3] = np.arange(3_000) % 3
    codes = complete(model, known, {}, np.random.default_rng(0))
    assert (codes[3] == known[3]).all()
    assert (codes[2] == codes[3]).mean() == pytest.approx(0.6, abs=0.09)
    apart = complete(model, np.full_like(known, -1), {}, np.random.default_rng(0))
    assert (apart[2] == known[3]).mean() == pytest.approx(0.2, abs=0.05)


def test_evidence_forbids_codes_and_known_codes_come_back():
    model, rng = fitted(network()), np.random.default_rng(5)
    known = np.full((len(SIZES), 500), -1, dtype=np.int32)
    known[1], known[4], known[0] = 1, 0, 3
    codes = complete(model, known, {2: np.array([0.0, 1, 0, 0, 0]), 3: np.array([1.0, 0.5, 0])}, rng)
    assert (codes[[1, 4, 0]] == known[[1, 4, 0]]).all()
    assert (codes[2] == 1).all()
    assert set(codes[3].tolist()) == {0, 1}
    never = ((), (), (1,), (), ())
    with pytest.raises(ConfigError, match="meets the condition"):
        complete(fitted(network(), never), known, {2: np.array([0.0, 1, 0, 0, 0])}, rng)


def test_codes_that_are_never_drawn_are_not_and_the_model_says_so():
    never = ((3,), (), (4, 3), (), ())
    model = fitted(network(), never)
    codes = model.sample_codes(5_000, np.random.default_rng(0))
    assert not (codes[0] == 3).any()
    assert set(codes[2].tolist()) == {0, 1, 2}
    assert [np.flatnonzero(one).tolist() for one in model.never_drawn()] == [[3], [], [3, 4], [], []]


def test_a_saved_model_draws_the_same_rows():
    model = fitted(network(), ((3,), (), (), (), ()))
    again = restore(model.tensors(), model.settings())
    one, other = (m.sample_codes(1_000, np.random.default_rng(2)) for m in (model, again))
    assert (one == other).all()


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": [4, 3, 5, 3, 3]},
        {"drawn": [2, 0]},
        {"drawn": [2, 0, 0]},
        {"drawn": [2, 0, 9]},
        {"drawn": []},
        {"hidden": 9},
        {"never": [[]]},
        {"never": [[0, 1, 2, 3], [], [], [], []]},
        {"never": [[4], [], [], [], []]},
    ],
)
def test_a_model_that_does_not_fit_itself_is_refused(change):
    model = fitted(network())
    with pytest.raises(ValueError, match=r"fit|codes|code|out of range|attribute"):
        restore(model.tensors(), {**model.settings(), **change})


def test_shares_that_are_none_are_refused():
    model = fitted(network())
    for broken in (np.zeros(5), -np.ones(5), np.ones(4)):
        with pytest.raises(ValueError, match=r"shares|tensor"):
            restore({**model.tensors(), "given.shares": broken.astype(np.float32)}, model.settings())


def sums_of(data: Encoded, clip: float) -> np.ndarray:
    """Return what one step with every person releases, in units of the gradient."""
    record = ExactMechanisms()
    noise = record.training(clip=clip, label="test")
    noise.steps, noise.sampling_probability = 1, 1.0
    train(network(), data, noise, clip=clip, settings=NextEventTraining())
    (call,) = record.calls
    return call.given / call.l2_sensitivity * clip


def alone(data: Encoded, person: int) -> np.ndarray:
    """Return a person's gradient by plain autograd on that person's rows."""
    net = network()
    rows = torch.from_numpy(data.rows.codes[:, data.rows.unit == person].astype(np.int64).T.copy())
    losses = row_losses(net, rows, DRAWN, [SIZES[at] for at in DRAWN])
    (losses.sum() * float(weight_of_row(np.array(len(rows))))).backward()
    return torch.cat([p.grad.reshape(-1) for p in net.parameters()]).numpy()


def test_a_step_is_the_sum_of_each_persons_clipped_gradient():
    rng = np.random.default_rng(3)
    data = encoded(np.sort(rng.integers(0, 20, 120)))
    parts = [alone(data, person) for person in np.unique(data.rows.unit)]
    clip = float(np.median([np.linalg.norm(part) for part in parts]))
    expected = sum(part * min(1.0, clip / np.linalg.norm(part)) for part in parts)
    assert np.allclose(sums_of(data, clip), expected, rtol=0.01, atol=0.01 * clip)  # the grid's slack is in the scale


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_a_person_moves_a_step_by_the_threshold_at_most_however_many_rows(rows):
    rng = np.random.default_rng(4)
    data = encoded(np.append(np.sort(rng.integers(0, 9, 60)), np.full(rows, 99)), seed=6)
    data.rows.codes[:, 60:] = data.rows.codes[:, 60:61]  # all alike, so that their gradients add up
    kept = data.rows.unit != 99
    clip = 0.2
    fewer = replace(data, rows=CodedRows(data.rows.codes[:, kept], data.rows.unit[kept]))
    moved = np.linalg.norm(sums_of(data, clip) - sums_of(fewer, clip))
    assert 0.9 * clip < moved <= clip


def test_nobody_in_the_sample_and_no_rows_at_all_still_release_noise():
    for units in (np.zeros(0, dtype=np.int64), np.arange(4)):
        record = RecordingMechanisms()
        noise = record.training(clip=1.0, label="test")
        noise.sampling_probability = 0.0
        net = network()
        before = [parameter.detach().clone() for parameter in net.parameters()]
        train(net, encoded(units, n_rows=4.0), noise, clip=1.0, settings=NextEventTraining())
        assert len(record.calls) == noise.steps
        assert not any(call.given.any() for call in record.calls)
        assert all((a != b).any() for a, b in zip(before, net.parameters(), strict=True))


def test_a_warm_start_learns_what_drawn_histories_say_and_needs_none():
    codes = rows_of(4_000, seed=9)
    codes[0] = codes[1]  # of what is given
    shares = [np.full(SIZES[at], 1 / SIZES[at]) for at in DRAWN]
    net = NextEventNetwork(SIZES, DRAWN, 16, rng=np.random.default_rng(0), shares=shares)
    warm_start(net, codes, NextEventWarmStart(steps=400, batch=256), np.random.default_rng(1))
    known = np.full((len(SIZES), 1_000), -1, dtype=np.int32)
    known[1] = np.arange(1_000) % 3
    known[4] = 0
    assert (complete(fitted(net), known, {}, np.random.default_rng(2))[0] == known[1]).mean() > 0.95
    assert clip_threshold(net, encoded(np.zeros(0, dtype=np.int64)), NextEventTraining()) == 1.0


def test_rows_of_a_person_weigh_less_the_more_they_are():
    present = torch.tensor([[True, True, True, False], [True, False, False, False]])
    weights = row_weights(present)
    assert weights[1].tolist() == [1, 0, 0, 0]
    assert weights[0].tolist() == pytest.approx([float(weight_of_row(np.array(3)))] * 3 + [0])


def test_steps_are_smaller_where_noise_is_larger_than_what_persons_say():
    settings = NextEventTraining()
    noise = ExactMechanisms().training(clip=1.0, label="test")
    noise.steps, noise.sampling_probability, noise.noise_multiplier = 48, 0.125, 3.0
    rates = [first_rate(noise, persons, settings) for persons in (1e2, 1e3, 1e9)]
    assert rates[0] < rates[1] < rates[2] == settings.learning_rate
    # What noise alone adds to a weight over the run, by the sum over steps.
    taken = [rates[1] * 0.5 * (1 + math.cos(math.pi * t / 48)) * 3.0 / (0.125 * 1e3) for t in range(48)]
    assert math.sqrt(sum(t**2 for t in taken)) == pytest.approx(settings.wander)


def test_the_mean_is_over_persons_by_paid_figures():
    """Twice the rows a person, half the persons: the same number of rows moves the weights twice as far."""
    moved = []
    for each in (2, 4):
        per_unit = RowsPerUnit(tuple((n, n) for n in range(1, 5)), tuple(float(n == each) for n in range(1, 5)), 4)
        data = encoded(np.repeat(np.arange(20), 2), n_rows=4_000.0, rows_per_unit=per_unit)
        noise = ExactMechanisms().training(clip=1.0, label="test")
        noise.steps, noise.noise_multiplier = 1, 1e-3
        net = network()
        before = torch.cat([p.detach().reshape(-1).clone() for p in net.parameters()])
        train(net, data, noise, clip=1.0, settings=NextEventTraining())
        moved.append(torch.cat([p.detach().reshape(-1) for p in net.parameters()]) - before)
    assert torch.allclose(2 * moved[0], moved[1], rtol=1e-9, atol=1e-12)

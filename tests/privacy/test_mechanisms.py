"""The mechanisms pay first, add the noise they promise, and release no rare key."""

from __future__ import annotations

import math

import numpy as np
import pytest
from doubles import ScriptedBits, SeededBits
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, kstest, norm

from privsynth.errors import BudgetExceeded, ConfigError
from privsynth.privacy.budget import Bill, Budget, TrainingSpec, plan_spending
from privsynth.privacy.mechanisms import GaussianMechanisms, grid_sensitivity, on_grid, stable_threshold
from privsynth.privacy.rounded_gaussian import rounded_gaussian

FALSE_ALARM = 1e-6


def bill(**changes) -> Bill:
    budget = Budget(epsilon=changes.pop("epsilon", 50.0), delta=1e-3, unit="u", max_rows_per_unit=4)
    return Bill(plan_spending(budget, {"a": 1.0, "b": 1.0}, open_domain=True, **changes))


def gaussian(mechanisms, values, *, l2=1.0, mu_squared=0.01, part="a"):
    return mechanisms.gaussian(values, l2_sensitivity=l2, part=part, mu_squared=mu_squared, label="table")


def test_noise_has_the_scale_that_was_paid_for():
    account = bill()
    release = gaussian(GaussianMechanisms(account, SeededBits(1)), np.full(50_000, 10), l2=3.0)
    assert release.sigma == pytest.approx(30.0)
    noise = release.values - 10
    for scale, fits in ((1.0, True), (0.8, False), (1.25, False)):
        # Rounded to integers at sigma 30, the continuous test is off by far less than it can see.
        p = kstest(noise + np.random.default_rng(77).random(50_000) - 0.5, norm(0, scale * 30.0).cdf).pvalue
        assert (p > FALSE_ALARM) == fits
    (line,) = account.spends
    assert (line.label, line.part, line.l2_sensitivity) == ("table", "a", 3.0)
    assert line.mu_squared == line.noise_multiplier**-2 <= 0.01


@given(st.floats(1e-6, 3.0), st.floats(0.1, 1e5))
def test_the_bill_never_promises_more_noise_than_is_drawn(mu_squared, l2):
    account = bill()
    release = gaussian(GaussianMechanisms(account, SeededBits(1)), np.zeros(1, int), l2=l2, mu_squared=mu_squared)
    (line,) = account.spends
    assert line.mu_squared <= mu_squared
    assert release.sigma >= line.noise_multiplier * l2
    assert release.sigma == pytest.approx(l2 * mu_squared**-0.5, rel=1e-5)


def test_shapes_and_empty_tables():
    mechanisms = GaussianMechanisms(bill(), SeededBits(1))
    assert gaussian(mechanisms, np.zeros((2, 3, 4), np.int32)).values.shape == (2, 3, 4)
    assert gaussian(mechanisms, np.zeros(0, np.int64)).values.shape == (0,)
    assert gaussian(mechanisms, np.array([2**52])).values.dtype == np.int64


def test_nothing_is_drawn_before_it_is_paid():
    no_bits = GaussianMechanisms(bill(epsilon=1.0), ScriptedBits([]))
    with pytest.raises(BudgetExceeded):
        gaussian(no_bits, np.zeros(3, int), mu_squared=100.0)
    with pytest.raises(BudgetExceeded):
        gaussian(no_bits, np.zeros(3, int), part="elsewhere")
    with pytest.raises(BudgetExceeded):
        keys(no_bits, [{"a": 5}], mu_squared=100.0)
    with pytest.raises(BudgetExceeded):
        keys(no_bits, [{"a": 5}], delta=0.009)


def test_the_ledger_hears_of_the_first_draw_before_a_word_is_taken():
    account, bits, taken = bill(), SeededBits(1), []

    class Counting:
        def uint64(self, count):
            taken.append(count)
            return bits.uint64(count)

    account.before_first_draw = lambda: taken.append("ledger")
    mechanisms = GaussianMechanisms(account, Counting())
    gaussian(mechanisms, np.zeros(3, int))
    gaussian(mechanisms, np.zeros(3, int))
    assert taken[0] == "ledger"
    assert taken.count("ledger") == 1


@pytest.mark.parametrize(("l2", "mu_squared"), [(0.0, 0.1), (math.nan, 0.1), (1.0, 0.0), (1.0, math.nan), (-1, 0.1)])
def test_absurd_prices_are_refused_before_anything_is_entered(l2, mu_squared):
    account = bill()
    with pytest.raises(ConfigError):
        gaussian(GaussianMechanisms(account, ScriptedBits([])), np.zeros(1, int), l2=l2, mu_squared=mu_squared)
    assert account.spends == []


def test_noise_that_cannot_be_drawn_costs_nothing():
    account = bill()
    with pytest.raises(ConfigError, match="standard deviation"):
        gaussian(GaussianMechanisms(account, ScriptedBits([])), np.zeros(1, int), mu_squared=1e-26)
    with pytest.raises(ConfigError, match="standard deviation"):
        keys(GaussianMechanisms(account, ScriptedBits([])), [{"a": 1}], mu_squared=1e-26)
    assert account.spends == []


def test_noise_beyond_what_can_be_drawn_goes_onto_a_coarse_grid_and_is_no_less():
    account = bill()
    values = np.full(50_000, 2**50)
    release = gaussian(GaussianMechanisms(account, SeededBits(4)), values, l2=2.0**42, mu_squared=1e-6)
    assert 1000 * 2.0**42 < release.sigma < 1000 * 2.0**42 * (1 + 1e-4)
    assert account.spends[0].l2_sensitivity == 2.0**42
    noise = (release.values - values) / (1000 * 2.0**42)
    for scale, fits in ((1.0, True), (0.8, False), (1.25, False)):
        assert (kstest(noise, norm(0, scale).cdf).pvalue > FALSE_ALARM) == fits


@given(st.lists(st.tuples(st.integers(-(2**50), 2**50), st.integers(-(2**41), 2**41)), min_size=1, max_size=6))
def test_neighbours_on_the_coarse_grid_differ_by_what_the_noise_is_for(pairs):
    """The noise is made of the same bits for both: what differs is what went in."""
    values, moves = (np.array(column) for column in zip(*pairs, strict=True))
    l2 = float(np.linalg.norm(moves)) + 1.0
    one, other = (
        gaussian(GaussianMechanisms(bill(), SeededBits(8)), table, l2=l2, mu_squared=1e-12)
        for table in (values, values + moves)
    )
    assert one.sigma == other.sigma >= 1e6 * l2
    assert np.linalg.norm(one.values - other.values) <= one.sigma / 1e6


def test_keys_under_noise_beyond_what_can_be_drawn_come_out_as_seldom():
    weight = 2**40
    release = GaussianMechanisms(bill(), SeededBits(6)).stable_keys(
        [{"often": 2**52, "mine": weight}, {}], max_rows_per_unit=4, part="a", mu_squared=1e-4, delta=1e-6,
        label="keys", unit_weight=weight,
    )  # fmt: skip
    sigma = weight * math.sqrt(2) * 100
    assert sigma < release.sigma < sigma * (1 + 1e-4)
    assert release.threshold >= weight + release.sigma * norm.isf(1e-6 / 8)
    assert release.threshold == pytest.approx(weight + release.sigma * norm.isf(1e-6 / 8), rel=1e-4)
    assert list(release.counts[0]) == ["often"]
    assert abs(release.counts[0]["often"] - 2**52) < 6 * release.sigma


def test_fractions_are_refused():
    with pytest.raises(TypeError, match="integers"):
        gaussian(GaussianMechanisms(bill(), ScriptedBits([])), np.zeros(3))


def keys(mechanisms, counts, *, k=4, mu_squared=0.5, delta=1e-5):
    return mechanisms.stable_keys(
        counts, max_rows_per_unit=k, part="a", mu_squared=mu_squared, delta=delta, label="keys"
    )


def test_frequent_keys_come_out_sorted_and_rare_ones_do_not():
    counts = [{"z": 4000, "a": 5000, "rare": 4}, {}, {"only": 3000}]
    release = keys(GaussianMechanisms(bill(), SeededBits(2)), counts)
    assert [list(c) for c in release.counts] == [["a", "z"], [], ["only"]]
    assert abs(release.counts[0]["a"] - 5000) < 6 * release.sigma
    assert release.sigma == pytest.approx(4 * math.sqrt(3) / math.sqrt(0.5), rel=1e-5)


def test_known_keys_come_out_with_noise_whether_they_are_there_or_not():
    """The noise of absent keys is that of present ones: a Kolmogorov–Smirnov test with a false alarm in a million."""
    known = tuple(sorted(f"word{i:04d}" for i in range(2_000)))
    column = {"word0001": 90_000, "often": 70_000, "word0002": 2, "rare": 2}
    release = GaussianMechanisms(bill(), SeededBits(5)).stable_keys(
        [column, {}], max_rows_per_unit=4, part="a", mu_squared=0.5, delta=1e-6, label="keys", known=known
    )
    assert [tuple(of) for of in release.known] == [known, known]
    assert list(release.counts[0]) == ["often", "word0001"]
    assert release.known[0]["word0001"] == release.counts[0]["word0001"]
    noise = [n - column.get(key, 0) for key, n in release.known[0].items()] + list(release.known[1].values())
    assert kstest(np.array(noise) / release.sigma, "norm").pvalue > 1e-6


def test_where_rows_weigh_noise_and_threshold_are_those_of_a_units_weight():
    counts = [{"often": 9_000_000, "mine": 1_000}, {}]
    release = GaussianMechanisms(bill(), SeededBits(6)).stable_keys(
        counts, max_rows_per_unit=4, part="a", mu_squared=0.5, delta=1e-6, label="keys", unit_weight=1_000
    )
    assert release.sigma == pytest.approx(1_000 * math.sqrt(2 / 0.5), rel=1e-5)
    assert release.threshold == stable_threshold(
        max_rows_per_unit=4, columns=2, sigma=release.sigma, delta=1e-6, unit_weight=1_000
    )
    # Up to four keys a column may be one unit's alone, each with all of its weight.
    assert release.threshold >= 1_000 + release.sigma * norm.isf(1e-6 / 8)
    assert list(release.counts[0]) == ["often"]


def test_the_order_of_keys_in_memory_does_not_show():
    one = keys(GaussianMechanisms(bill(), SeededBits(3)), [{"a": 900, "b": 905, "c": 910}])
    other = keys(GaussianMechanisms(bill(), SeededBits(3)), [{"c": 910, "a": 900, "b": 905}])
    assert one == other


@pytest.mark.parametrize("split", [[4], [2, 2], [1, 1, 1, 1]])
def test_the_keys_of_one_unit_alone_come_out_no_more_often_than_delta(split):
    """One unit's 4 rows lie in keys of its own, in both of two columns, in several ways."""
    delta, runs, released = 0.05, 4_000, 0
    column = {f"mine{i}": count for i, count in enumerate(split)}
    sigma = 4 * math.sqrt(2) / math.sqrt(0.5)
    threshold = stable_threshold(max_rows_per_unit=4, columns=2, sigma=sigma, delta=delta)
    bits = SeededBits(sum(split) * 10 + len(split))
    noise = rounded_gaussian(runs * 2 * len(split), sigma, bits).reshape(runs, -1)
    released = int(((noise + np.array([*column.values()] * 2)) >= threshold).any(axis=1).sum())
    assert released <= binom.ppf(1 - FALSE_ALARM, runs, delta)
    if split == [4]:
        # Two keys at a level of delta / 8 each: the bound is not loose because of a slip.
        assert released >= binom.ppf(FALSE_ALARM, runs, 2 * delta / 8 * 0.8)


@given(st.integers(1, 1000), st.integers(1, 50), st.floats(0.5, 1e4), st.floats(1e-12, 0.05))
def test_the_threshold_holds_for_every_key_of_a_unit(k, columns, sigma, delta):
    threshold = stable_threshold(max_rows_per_unit=k, columns=columns, sigma=sigma, delta=delta)
    # round(k + Z) reaches T only if Z >= T - k - 1/2.
    assert norm.sf((threshold - k - 0.5) / sigma) * columns * k <= delta * (1 + 1e-9)


def training(account: Bill | None = None):
    account = account or bill(epsilon=2.0, training=TrainingSpec(share=0.5, sampling_probability=0.25, steps=3))
    return GaussianMechanisms(account, SeededBits(5)).training(clip=1.0, label="network"), account


def test_training_takes_one_sample_and_adds_noise_once_a_step():
    run, account = training()
    assert (run.steps, run.sampling_probability) == (3, 0.25)
    with pytest.raises(BudgetExceeded, match="one sample"):
        run.add(np.zeros(2, int), l2_sensitivity=1.0)
    for _ in range(3):
        assert run.mask(10).shape == (10,)
        with pytest.raises(BudgetExceeded, match="one sample"):
            run.mask(10)
        run.add(np.zeros(2, int), l2_sensitivity=1.0)
    with pytest.raises(BudgetExceeded):
        run.mask(10)
    with pytest.raises(BudgetExceeded):
        run.add(np.zeros(2, int), l2_sensitivity=1.0)
    assert len(account.spends) == 1


def test_training_noise_and_samples_have_the_stated_size():
    run, account = training()
    rate = run.mask(40_000).mean()
    assert abs(rate - 0.25) < 6 * math.sqrt(0.25 * 0.75 / 40_000)
    noise = run.add(np.zeros(40_000, int), l2_sensitivity=1000.0)
    expected = account.plan.training.noise_multiplier * 1000.0
    assert noise.std() == pytest.approx(expected, rel=6 / math.sqrt(2 * 40_000))


def test_an_empty_sample_still_gets_noise():
    run, _ = training()
    run.mask(0)
    assert run.add(np.zeros(200, int), l2_sensitivity=1000.0).any()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.data())
def test_the_grid_adds_at_most_its_slack(values, data):
    one = np.array(values)
    moved = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=len(values), max_size=len(values))))
    step = 2.0**-8
    distance = np.linalg.norm((on_grid(one + moved, step) - on_grid(one, step)).astype(float))
    assert distance <= grid_sensitivity(max(float(np.linalg.norm(moved)), 1e-9), len(values), step)

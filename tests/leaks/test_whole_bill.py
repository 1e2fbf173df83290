"""The whole bill: what the mechanisms really did costs no more than the promise, by two accountants."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from leaks.proof import NOW, FixedKey, Watching, config, small_generators
from leaks.world import BARE, DECLARED, ordinary_rows, write_csv

from privsynth.generators.registry import GENERATORS
from privsynth.ledger.events import DELTA_UNITS, EPSILON_UNITS
from privsynth.ledger.ledger import Ledger
from privsynth.pipeline.environment import Environment
from privsynth.pipeline.synthesize import synthesize
from privsynth.privacy import mechanisms
from privsynth.privacy import rounded_gaussian as noise
from privsynth.privacy.accounting import GaussianEvent, SubsampledGaussianEvent, epsilon_of
from privsynth.privacy.budget import Bill

EPSILON, DELTA = 3.0, 1e-6


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    small_generators(monkeypatch)


def opacus_epsilon(history: list[tuple[float, float, int]], delta: float) -> float:
    """Return ε by the accountant of Opacus, which shares no code with ours."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero at a sampling rate of one, harmlessly
        return float(accountant.get_epsilon(delta, eps_error=0.005))


def assert_paid(watch: Watching, drawn: list[float], epsilon: float, delta: float) -> None:
    """Fail unless everything that was drawn is on the bill and costs at most the promise."""
    assert len(watch.paid) + len(watch.trained) == len(watch.bill.spends), "a release is not on the bill"
    # Noise of the deviation that each release says, and no other.
    assert len(drawn) == len(watch.draws)
    assert all(said in (None, real) for said, real in zip(watch.draws, drawn, strict=True))
    spent_delta = sum(delta for _, _, delta in watch.paid)
    gaussian = [GaussianEvent(noise_multiplier=multiplier) for _, multiplier, _ in watch.paid]
    training = [
        SubsampledGaussianEvent(noise_multiplier=m, sampling_probability=q, steps=steps)
        for m, q, steps in watch.trained
    ]
    ours = epsilon_of([*gaussian, *training], delta - spent_delta)
    assert ours <= epsilon * (1 + 1e-9)
    total = sum(event.mu_squared for event in gaussian) ** -0.5
    theirs = opacus_epsilon([(total, 1.0, 1), *watch.trained], delta - spent_delta)
    assert theirs <= epsilon * 1.01
    # And the budget is used, not wasted.
    assert ours > 0.5 * epsilon


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that makes a real release and returns what was drawn, told and entered in the ledger."""
    drawn: list[float] = []
    draw = mechanisms.rounded_gaussian

    def noted(count, sigma, bits):
        drawn.append(sigma)
        return draw(count, sigma, bits)

    monkeypatch.setattr(mechanisms, "rounded_gaussian", noted)
    # Noise of a training step may be drawn ahead: what counts is what is handed out, and that each array is so once.
    ahead: dict[int, tuple[float, np.ndarray]] = {}
    hand_out = noise.NoiseAhead.draw

    def made(count, sigma, bits):
        array = draw(count, sigma, bits)
        ahead[id(array)] = (sigma, array)
        return array

    def handed_out(self, count, sigma, *, again):
        array = hand_out(self, count, sigma, again=again)
        drawn.append(ahead.pop(id(array))[0])
        return array

    monkeypatch.setattr(noise, "rounded_gaussian", made)
    monkeypatch.setattr(noise.NoiseAhead, "draw", handed_out)

    def release(watcher=Watching, **changes):
        ledger = Ledger(tmp_path / "home")
        watches: list[Watching] = []

        def reserved() -> None:
            # Before any look the whole promise counts as spent.
            account = ledger.account("admissions")
            assert account.spent_epsilon_units == EPSILON * EPSILON_UNITS
            assert account.spent_delta_units == round(DELTA * DELTA_UNITS)

        def make(bill: Bill) -> Watching:
            watches.append(watcher(bill, reserved))
            return watches[0]

        source = write_csv(tmp_path / "table.csv", ordinary_rows())
        env = Environment(
            home=tmp_path / "home", now=NOW, report_id="run-00000000000000bb", mechanisms=make, keyed=FixedKey
        )
        synthesize(config(source, tmp_path / "out", epsilon=EPSILON, delta=DELTA, **changes), env)
        return watches[0], drawn, ledger

    return release


@pytest.mark.parametrize("schema", [DECLARED, BARE], ids=["declared", "bare"])
def test_the_whole_bill_is_within_the_promise(run, schema):
    watch, drawn, ledger = run(schema=schema)
    assert_paid(watch, drawn, EPSILON, DELTA)
    assert {part for part, _, _ in watch.paid} >= {"rows", "one_way", "selection", "measurement", "report"}
    kinds = [event.kind for event in ledger.history("admissions")]
    assert [kind for kind in kinds if kind != "bound"] == ["reserved", "drawn", "completed"]
    account = ledger.account("admissions")
    assert 0 < account.spent_epsilon_units <= EPSILON * EPSILON_UNITS
    assert account.n_completed == 1


@pytest.mark.slow
@pytest.mark.parametrize("generator", [n for n, info in GENERATORS.items() if info.private and n != "marginal"])
def test_the_whole_bill_of_training_is_within_the_promise(run, generator):
    watch, drawn, _ = run(schema=DECLARED, generator=generator)
    assert watch.trained
    assert_paid(watch, drawn, EPSILON, DELTA)


class Forgetful(Watching):
    """A fault: the figures of the report are released without a line on the bill."""

    def gaussian(self, values, *, part, **told):
        if part == "report":
            self._bill, kept = Bill(self._bill.plan), self._bill
            try:
                return super().gaussian(values, part=part, **told)
            finally:
                self._bill = kept
        return super().gaussian(values, part=part, **told)


class Cheap(Watching):
    """A fault: half the noise at the full price."""

    def gaussian(self, values, *, l2_sensitivity, **told):
        noisy = super().gaussian(values, l2_sensitivity=l2_sensitivity / 2, **told)
        part, multiplier, delta = self.paid.pop()
        self.paid.append((part, multiplier / 2, delta))
        return noisy


@pytest.mark.parametrize(("fault", "complaint"), [(Forgetful, "not on the bill"), (Cheap, "assert")])
def test_the_check_sees_a_release_that_is_not_paid_for(run, fault, complaint):
    watch, drawn, _ = run(fault, schema=DECLARED)
    with pytest.raises(AssertionError, match=complaint):
        assert_paid(watch, drawn, EPSILON, DELTA)

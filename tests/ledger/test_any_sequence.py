"""Any sequence of steps on a ledger, against a naive model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from ledger.accounts import PRINT_A, PRINT_B
from ledger.shared import administer, shared_ledger

from privsynth.errors import BudgetError, BudgetExceeded
from privsynth.ledger.events import fold
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.definition import DEFINITION


class LedgerMachine(RuleBasedStateMachine):
    """Any sequence of steps against a naive model: a dict of runs and a sum."""

    CAP = 5

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name) / "home"
        self.runs: dict[str, dict] = {}
        self.ledger = self.opened()
        self.ledger.set_cap("a", self.CAP, 1e-5)
        self.ledger.set_cap("b", self.CAP, 1e-5)

    def opened(self):
        return Ledger(self.home)

    def total(self, dataset):
        charged = [r for r in self.runs.values() if r["dataset"] == dataset and r["status"] != "refunded"]
        return sum(r["epsilon"] for r in charged)

    def handle(self, pick):
        names = list(self.runs)
        return self.runs[names[pick % len(names)]] if names else None

    def outcome(self, allowed, act):
        if allowed:
            act()
        else:
            with pytest.raises(BudgetError):
                act()
        return allowed

    @rule(dataset=st.sampled_from("ab"), epsilon=st.integers(1, 3))
    def reserve(self, dataset, epsilon):
        run_id = f"run-{len(self.runs)}"
        cost = {"epsilon": epsilon, "delta": 1e-7, "unit": "row", "run_id": run_id}
        if self.total(dataset) + epsilon > self.CAP:
            with pytest.raises(BudgetExceeded):
                self.ledger.reserve(dataset, **cost)
            return
        reservation = self.ledger.reserve(dataset, **cost)
        self.runs[run_id] = {
            "r": reservation, "dataset": dataset, "epsilon": epsilon, "status": "reserved", "print": None,
        }  # fmt: skip

    @rule(pick=st.integers(0, 20), fingerprint=st.sampled_from([PRINT_A, PRINT_B]))
    def bind(self, pick, fingerprint):
        if (run := self.handle(pick)) is None:
            return
        ready = run["status"] == "reserved" and run["print"] in (None, fingerprint)
        foreign = any(
            o["print"] == fingerprint and o["dataset"] != run["dataset"] and o["status"] != "refunded"
            for o in self.runs.values()
        )
        if self.outcome(ready and not foreign, lambda: run["r"].bind(fingerprint)):
            run["print"] = fingerprint
        elif ready:
            run["status"] = "refunded"

    @rule(pick=st.integers(0, 20))
    def draw(self, pick):
        if (run := self.handle(pick)) is None:
            return
        allowed = run["status"] in ("reserved", "drawn") and run["print"] is not None
        if self.outcome(allowed, run["r"].mark_drawn):
            run["status"] = "drawn"

    @rule(pick=st.integers(0, 20))
    def refund(self, pick):
        if (run := self.handle(pick)) and self.outcome(run["status"] == "reserved", run["r"].refund):
            run["status"] = "refunded"

    @rule(pick=st.integers(0, 20), share=st.sampled_from([0.5, 1, 1.5]))
    def complete(self, pick, share):
        if (run := self.handle(pick)) is None:
            return
        allowed = run["status"] == "drawn" and share <= 1
        if self.outcome(allowed, lambda: run["r"].complete(share * run["epsilon"], 1e-7)):
            run["status"] = "completed"

    @rule(pick=st.integers(0, 20))
    def close(self, pick):
        if run := self.handle(pick):
            run["r"].close()
            run["status"] = {"reserved": "refunded", "drawn": "failed"}.get(run["status"], run["status"])

    @rule()
    def restart(self):
        self.ledger = self.opened()

    @invariant()
    def balances_agree_and_stay_under_the_cap(self):
        state = fold(self.ledger.store.read())
        for name in state.datasets():
            assert state.spent(name)[0] == self.total(name) * 10**12
            assert state.spent(name)[0] <= state.cap(name)[0]
        assert {name: run.status for name, run in state.runs.items()} == {n: r["status"] for n, r in self.runs.items()}

    def teardown(self):
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase


def test_any_sequence_on_a_shared_ledger(server):
    """Each step takes some ten journeys to the server, so there are fewer; the rules are the same."""

    class SharedMachine(LedgerMachine):
        def opened(self):
            ledger = shared_ledger(server, self.home)
            if not self.home.exists():
                administer(server, "DROP SCHEMA IF EXISTS privsynth_ledger CASCADE", DEFINITION)
                ledger.store.join(None)
            return ledger

    run_state_machine_as_test(
        SharedMachine, settings=settings(max_examples=4, stateful_step_count=12, deadline=None, database=None)
    )

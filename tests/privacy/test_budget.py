"""Budgets, plans and bills: nothing is drawn before it is paid, and no sequence of spends passes the plan."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privsynth.errors import BudgetExceeded, ConfigError
from privsynth.privacy.accounting import SubsampledGaussianEvent, epsilon_of
from privsynth.privacy.budget import Bill, Budget, Spend, SpendingPlan, TrainingSpec, plan_spending

WEIGHTS = {"votes": 1.0, "domain": 3.0, "report": 0.5}


def spend(part: str, mu_squared: float, delta: float = 0.0) -> Spend:
    return Spend(
        label=f"some {part}", part=part, mechanism="Gaussian", noise_multiplier=abs(mu_squared or 1.0) ** -0.5,
        l2_sensitivity=1.0, mu_squared=mu_squared, delta=delta,
    )  # fmt: skip


def plan(*, open_domain: bool = True, training: TrainingSpec | None = None, epsilon: float = 1.0) -> SpendingPlan:
    return plan_spending(Budget(epsilon=epsilon), WEIGHTS, open_domain=open_domain, training=training)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", math.nan), ("epsilon", math.inf), ("epsilon", 0.0), ("epsilon", -1.0), ("epsilon", 1e9),
        ("epsilon", 1e-9), ("delta", math.nan), ("delta", 0.0), ("delta", -1e-6), ("delta", 0.5), ("delta", 1e-40),
        ("max_rows_per_unit", 0), ("max_rows_per_unit", -3), ("max_rows_per_unit", 10**7),
        ("max_rows_per_unit", math.nan),
    ],
)  # fmt: skip
def test_absurd_budgets_are_refused_with_a_sentence(field, value):
    with pytest.raises(ConfigError, match=field) as caught:
        Budget(**{"epsilon": 1.0, "unit": "patient", field: value})
    assert len(str(caught.value).split()) > 5


def test_a_row_is_a_unit_of_one_row():
    with pytest.raises(ConfigError, match="max_rows_per_unit is 1"):
        Budget(epsilon=1.0, unit="row", max_rows_per_unit=2)


def test_the_relation_is_one_that_the_sensitivities_hold_for():
    assert Budget(epsilon=1.0).neighbours == "add or remove one row"
    declared = Budget(epsilon=1.0, unit="patient", max_rows_per_unit=4, rows=100).neighbours
    # Rows of nulls are left out by `divide`, so this moves one cell of every table, not two.
    assert declared.startswith("replace all rows of one patient by nulls")
    assert "declared" in declared


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.01, 20),
    st.floats(-9, -3),
    st.lists(st.floats(0, 10), min_size=1, max_size=6).filter(lambda w: sum(w) > 1e-3),
    st.booleans(),
)
def test_a_plan_spent_to_the_end_costs_at_most_its_budget(epsilon, exponent, weights, open_domain):
    budget = Budget(epsilon=epsilon, delta=10.0**exponent)
    cut = plan_spending(budget, {f"p{i}": w for i, w in enumerate(weights)}, open_domain=open_domain)
    assert cut.gaussian_delta + cut.discovery_delta <= budget.delta * (1 + 1e-15)
    assert (cut.discovery_delta > 0) == open_domain
    cost = epsilon_of(cut.events(), cut.gaussian_delta)
    assert epsilon * (1 - 1e-6) <= cost <= epsilon


def test_a_plan_with_training_costs_at_most_its_budget():
    cut = plan(training=TrainingSpec(share=0.6, sampling_probability=0.05, steps=50))
    assert isinstance(cut.training, SubsampledGaussianEvent)
    assert 0.97 < epsilon_of(cut.events(), cut.gaussian_delta) <= 1.0
    assert sum(cut.parts.values()) == pytest.approx(0.4 * sum(plan().parts.values()), rel=1e-6)


@pytest.mark.parametrize("weights", [{}, {"a": 0.0}, {"a": 1.0, "b": -0.5}, {"a": math.nan}, {"a": math.inf}])
def test_absurd_weights_are_refused(weights):
    with pytest.raises(ConfigError):
        plan_spending(Budget(epsilon=1.0), weights, open_domain=True)


@pytest.mark.parametrize("share", [-0.1, 0.99, math.nan])
def test_absurd_training_shares_are_refused(share):
    with pytest.raises(ConfigError, match="training_share"):
        plan(training=TrainingSpec(share=share, sampling_probability=0.05, steps=50))


spends = st.lists(
    st.tuples(st.sampled_from([*WEIGHTS, "elsewhere"]), st.floats(1e-9, 0.02), st.floats(0, 3e-8)), max_size=40
)


@settings(max_examples=60, deadline=None)
@given(spends)
def test_no_sequence_of_spends_passes_the_plan(sequence):
    bill = Bill(plan())
    for part, mu_squared, delta in sequence:
        before = list(bill.spends)
        try:
            bill.charge(spend(part, mu_squared, delta))
        except BudgetExceeded:
            assert bill.spends == before
        else:
            assert bill.spends[:-1] == before
    for part, limit in bill.plan.parts.items():
        assert math.fsum(s.mu_squared for s in bill.spends if s.part == part) <= limit * (1 + 1e-9)
    assert bill.delta_spent() <= bill.plan.discovery_delta * (1 + 1e-9)
    assert bill.epsilon_spent() <= 1.0
    assert all(s.part in WEIGHTS for s in bill.spends)


def test_a_part_can_be_spent_to_its_end_in_equal_shares():
    bill = Bill(plan())
    for _ in range(7):
        bill.charge(spend("domain", bill.plan.parts["domain"] / 7, bill.plan.discovery_delta / 7))
    with pytest.raises(BudgetExceeded, match="may spend"):
        bill.charge(spend("domain", 1e-8))


@pytest.mark.parametrize("amount", [math.nan, -0.01, math.inf])
def test_nothing_is_paid_back_and_nan_does_not_pass(amount):
    bill = Bill(plan())
    with pytest.raises(BudgetExceeded):
        bill.charge(spend("votes", amount))
    with pytest.raises(BudgetExceeded):
        bill.charge(spend("votes", 1e-6, amount))
    assert bill.spends == []


def test_thresholds_need_a_plan_with_an_open_domain():
    bill = Bill(plan(open_domain=False))
    with pytest.raises(BudgetExceeded, match="delta"):
        bill.charge(spend("domain", 1e-6, 1e-12))


def test_the_point_of_no_return_is_called_once_before_the_first_entry():
    bill = Bill(plan())
    seen: list[int] = []
    bill.before_first_draw = lambda: seen.append(len(bill.spends))
    with pytest.raises(BudgetExceeded):
        bill.charge(spend("votes", 100.0))
    assert seen == []
    bill.charge(spend("votes", 1e-6))
    bill.charge(spend("votes", 1e-6))
    assert seen == [0]


def test_nothing_is_entered_while_the_ledger_does_not_answer():
    def locked() -> None:
        raise BudgetExceeded("the ledger is locked")

    bill = Bill(plan(), before_first_draw=locked)
    for _ in range(2):
        with pytest.raises(BudgetExceeded, match="locked"):
            bill.charge(spend("votes", 1e-6))
    assert bill.spends == []


def test_training_is_charged_once_and_only_if_planned():
    spec = TrainingSpec(share=0.5, sampling_probability=0.1, steps=20)
    bill = Bill(plan(training=spec))
    seen: list[str] = []
    bill.before_first_draw = lambda: seen.append("drawn")
    assert bill.charge_training("network", 1.0) == bill.plan.training
    with pytest.raises(BudgetExceeded, match="no training run left"):
        bill.charge_training("network", 1.0)
    assert seen == ["drawn"]
    assert bill.events() == [bill.plan.training]
    assert 0 < bill.epsilon_spent() < 1.0
    with pytest.raises(BudgetExceeded, match="no training run"):
        Bill(plan()).charge_training("network", 1.0)


def test_an_unspent_bill_costs_nothing():
    assert Bill(plan()).epsilon_spent() == 0.0


def test_a_plan_can_be_cut_anew_but_never_made_larger():
    made = plan()
    bill = Bill(made)
    bill.charge(spend("votes", made.parts["votes"] / 2))
    whole = made.parts["votes"] + made.parts["domain"]
    anew = {"votes": 0.3 * whole, "domain": 0.7 * whole, "report": made.parts["report"]}
    bill.share_out(anew)
    bill.charge(spend("domain", anew["domain"]))
    with pytest.raises(BudgetExceeded):
        bill.charge(spend("votes", anew["votes"] - made.parts["votes"] / 4))
    bill.charge(spend("votes", anew["votes"] - made.parts["votes"] / 2))
    bill.charge(spend("report", anew["report"]))
    assert bill.epsilon_spent() <= 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: {**parts, "domain": parts["domain"] * 1.001},  # more than the whole
        lambda parts: {**parts, "more": 0.0},
        lambda parts: {name: mu2 for name, mu2 in parts.items() if name != "report"},
        lambda parts: {**parts, "votes": 0.0, "report": 0.0},  # less than was spent
        lambda parts: {**parts, "domain": math.nan},
        lambda parts: {**parts, "domain": -1.0, "report": parts["report"] + 1.0},
    ],
)
def test_a_plan_is_not_cut_into_what_it_is_not(change):
    made = plan()
    bill = Bill(made)
    bill.charge(spend("votes", made.parts["votes"]))
    with pytest.raises(BudgetExceeded):
        bill.share_out(change(dict(made.parts)))
    assert bill.plan is made

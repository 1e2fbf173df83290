"""What a ledger counts and what it refuses, wherever it is kept: one contract for every store."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger.accounts import NOW, PRINT_A, PRINT_B, finish, kinds, reserve, spent

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError
from privsynth.ledger.events import cap_units, delta_text, epsilon_text, spend_units
from privsynth.ledger.ledger import Ledger


@pytest.fixture(params=["folder", "postgresql"])
def ledger(request, tmp_path):
    if request.param == "folder":
        return Ledger(tmp_path / "home", clock=lambda: NOW)
    return request.getfixturevalue("shared")


def everything(ledger):
    """Return all that a ledger keeps, events and files."""
    return ledger.store.read(), {path: path.read_bytes() for path in ledger.home.rglob("*") if path.is_file()}


def test_a_release_is_charged_and_recorded(ledger):
    finish(ledger, epsilon=1.5, delta=1e-6)
    account = ledger.account("adm").to_json()
    assert account["spent_epsilon"] == 1.5
    assert account["left_epsilon"] == 8.5
    assert account["spent_delta"] == 1e-6
    assert account["left_delta"] == 9e-6
    assert (account["releases"], account["completed"], account["units"]) == (1, 1, ["row"])
    assert kinds(ledger) == ["reserved", "bound", "drawn", "completed"]
    assert ledger.history("adm")[0].time == "2026-05-01T12:00:00.000+00:00"


def test_ten_times_a_tenth_is_one_and_not_more(ledger):
    ledger.set_cap("adm", 1.0, 1e-5)
    for i in range(10):
        reserve(ledger, f"run-{i}", epsilon=0.1, delta=1e-6)
    assert ledger.account("adm").left_epsilon_units == 0
    assert ledger.account("adm").left_delta_units == 0
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "run-10", epsilon=1e-12, delta=0)


def test_over_the_cap_is_refused_before_anything_changes(ledger):
    reserve(ledger, epsilon=9.5)
    before = everything(ledger)
    with pytest.raises(BudgetExceeded, match=r"epsilon 0\.5.*left.*epsilon 10.*budget show"):
        reserve(ledger, "run-2", epsilon=0.6)
    assert everything(ledger) == before


def test_delta_has_a_cap_of_its_own(ledger):
    reserve(ledger, delta=9e-6)
    with pytest.raises(BudgetExceeded, match="delta 1e-6"):
        reserve(ledger, "run-2", delta=1.1e-6)
    reserve(ledger, "run-3", delta=1e-6)


def test_datasets_have_separate_caps(ledger):
    reserve(ledger, epsilon=10)
    reserve(ledger, "run-2", dataset="lab", epsilon=10)
    assert [account.dataset for account in ledger.accounts()] == ["adm", "lab"]


@pytest.mark.parametrize("epsilon", [float("nan"), float("inf"), -1.0, 0.0, 1e7])
def test_absurd_epsilons_are_refused(ledger, epsilon):
    with pytest.raises(ConfigError, match="epsilon"):
        reserve(ledger, epsilon=epsilon)
    assert ledger.store.read() == []


@pytest.mark.parametrize("delta", [float("nan"), -1e-9, 1.0, 2.0])
def test_absurd_deltas_are_refused(ledger, delta):
    with pytest.raises(ConfigError, match="delta"):
        reserve(ledger, delta=delta)
    with pytest.raises(ConfigError, match="delta"):
        ledger.set_cap("adm", 1, delta)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 201])
def test_names_that_cannot_be_printed_are_refused(ledger, name):
    with pytest.raises(ConfigError, match="dataset"):
        reserve(ledger, dataset=name)


@given(st.floats(min_value=1e-13, max_value=1e6), st.floats(min_value=0, max_value=0.5))
def test_costs_round_up_and_caps_down(epsilon, delta):
    from fractions import Fraction

    cost, cap = spend_units(epsilon=epsilon, delta=delta), cap_units(epsilon=epsilon, delta=delta)
    for up, down, value, scale in zip(cost, cap, (epsilon, delta), (10**12, 10**18), strict=True):
        exact = Fraction(repr(value)) * scale
        assert down <= exact <= up
        assert up - down <= 1
    assert Fraction(epsilon_text(cost[0])) * 10**12 == cost[0]
    assert Fraction(delta_text(cost[1])) * 10**18 == cost[1]


def test_one_run_id_reserves_once(ledger):
    reserve(ledger)
    with pytest.raises(BudgetError, match="already"):
        reserve(ledger)
    assert spent(ledger) == 1


def test_a_cap_below_what_is_spent_is_refused(ledger):
    reserve(ledger, epsilon=2)
    with pytest.raises(BudgetError, match=r"epsilon 2.*spent already"):
        ledger.set_cap("adm", 1.999999, 1e-5)
    with pytest.raises(BudgetError):
        ledger.set_cap("adm", 2, 1e-7)
    account = ledger.set_cap("adm", 2, 1e-6)
    assert account.left_epsilon_units == account.left_delta_units == 0


def test_half_a_cap_keeps_the_other_half_and_zero_closes(ledger):
    assert ledger.set_cap("adm", epsilon=3).to_json()["cap_delta"] == 1e-5
    assert ledger.set_cap("adm", delta=1e-7).to_json()["cap_epsilon"] == 3
    ledger.set_cap("adm", 0, 0)
    with pytest.raises(BudgetExceeded):
        reserve(ledger, epsilon=1e-9, delta=0)


def test_refund_gives_back_only_what_was_not_drawn(ledger):
    first = reserve(ledger)
    first.refund()
    assert spent(ledger) == 0
    second = reserve(ledger, "run-2")
    second.bind(PRINT_A)
    second.mark_drawn()
    with pytest.raises(BudgetError, match="stays spent"):
        second.refund()
    second.complete()
    with pytest.raises(BudgetError, match="stays spent"):
        second.refund()
    with pytest.raises(BudgetError):
        first.refund()
    assert spent(ledger) == 1


def test_the_same_content_under_another_name_is_refused_and_refunded(ledger):
    finish(ledger)
    other = reserve(ledger, "run-2", dataset="other")
    with pytest.raises(BudgetError, match="'adm'"):
        other.bind(PRINT_A)
    assert other.status == "refunded"
    assert spent(ledger, "other") == 0
    with pytest.raises(BudgetError):
        other.mark_drawn()


def test_the_same_content_under_the_same_name_or_another_content_is_fine(ledger):
    finish(ledger)
    finish(ledger, "run-2")
    finish(ledger, "run-3", PRINT_B, dataset="other")
    assert spent(ledger) == 2


def test_a_refunded_run_does_not_claim_its_content(ledger):
    wrong_name = reserve(ledger, dataset="typo")
    wrong_name.bind(PRINT_A)
    wrong_name.refund()
    finish(ledger, "run-2")


def test_noise_needs_a_bound_content_and_completion_needs_noise(ledger):
    reservation = reserve(ledger)
    with pytest.raises(BudgetError, match="not bound"):
        reservation.mark_drawn()
    with pytest.raises(BudgetError, match="it is reserved"):
        reservation.complete()
    with pytest.raises(ConfigError):
        reservation.bind(b"short")
    reservation.bind(PRINT_A)
    reservation.bind(PRINT_A)
    with pytest.raises(BudgetError, match="another content"):
        reservation.bind(PRINT_B)
    reservation.mark_drawn()
    reservation.mark_drawn()
    with pytest.raises(BudgetError):
        reservation.bind(PRINT_A)
    assert kinds(ledger) == ["reserved", "bound", "drawn"]


def test_completion_charges_the_whole_reservation_and_refuses_more(ledger):
    reservation = reserve(ledger, epsilon=2)
    reservation.bind(PRINT_A)
    reservation.mark_drawn()
    with pytest.raises(BudgetExceeded, match="must not leave"):
        reservation.complete(epsilon_spent=2.000001, delta_spent=1e-6)
    with pytest.raises(ConfigError):
        reservation.complete(epsilon_spent=float("nan"))
    reservation.complete(epsilon_spent=1.25, delta_spent=1e-7)
    assert spent(ledger) == 2
    assert ledger.history("adm")[-1].payload == {
        "epsilon_units_used": 1_250_000_000_000,
        "delta_units_used": 100_000_000_000,
    }


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_refunds_before_noise_and_spends_after(ledger, error):
    early = reserve(ledger)
    early.bind(PRINT_A)
    with pytest.raises(error), early:
        raise error
    assert (early.status, spent(ledger)) == ("refunded", 0)
    late = reserve(ledger, "run-2")
    late.bind(PRINT_A)
    late.mark_drawn()
    with pytest.raises(error), late:
        raise error
    assert (late.status, spent(ledger)) == ("failed", 1)


def test_a_block_that_ends_without_completion_is_closed(ledger):
    with reserve(ledger) as idle:
        pass
    with reserve(ledger, "run-2") as half:
        half.bind(PRINT_A)
        half.mark_drawn()
    with reserve(ledger, "run-3") as whole:
        whole.bind(PRINT_A)
        whole.mark_drawn()
        whole.complete()
    assert [r.status for r in (idle, half, whole)] == ["refunded", "failed", "completed"]


def test_the_first_error_is_told_when_the_ledger_cannot_be_written_either(ledger):
    reservation = reserve(ledger)
    for key in ledger.home.rglob("ledger.key"):
        key.unlink()
    with pytest.raises(ZeroDivisionError), reservation:
        raise ZeroDivisionError


def test_releases_compose_by_mu_where_the_ledger_knows_it_of_all(ledger):
    for run, mu in (("run-1", (0.3, 1e-7)), ("run-2", (0.4, 1e-7))):
        with reserve(ledger, run) as reservation:
            reservation.bind(PRINT_A)
            reservation.mark_drawn()
            reservation.complete(0.9, 0.0, mu=mu)
    assert ledger.account("adm").released_mu == pytest.approx((0.5, 2e-7))
    finish(ledger, "run-3")  # a release that trains, or of an earlier version
    assert ledger.account("adm").released_mu is None


def test_a_run_that_stops_early_is_charged_with_what_it_says_and_the_whole_delta(ledger):
    with reserve(ledger) as reservation:
        reservation.bind(PRINT_A)
        reservation.mark_drawn()
        reservation.stop(0.0731)
        assert reservation.status == "stopped"
    account = ledger.account("adm").to_json()
    assert (account["spent_epsilon"], account["spent_delta"]) == (0.0731, 1e-6)
    assert (account["releases"], account["released_nothing"]) == (0, 1)
    told = ledger.account("adm")  # page one of the next release counts what this one has cost
    assert (told.n_stopped, told.released_epsilon_units, told.released_mu) == (1, 73_100_000_000, None)
    assert kinds(ledger) == ["reserved", "bound", "drawn", "stopped"]
    finish(ledger, "run-2", epsilon=9.9)
    with pytest.raises(BudgetExceeded):
        reserve(ledger, "run-3", epsilon=0.1)


def test_a_stop_never_costs_more_than_was_reserved_and_is_the_end(ledger):
    reservation = reserve(ledger)
    with pytest.raises(BudgetError, match="cannot stop"):
        reservation.stop(0.1)
    reservation.bind(PRINT_A)
    reservation.mark_drawn()
    reservation.stop(5.0)
    assert spent(ledger) == 1.0
    for step in (reservation.complete, reservation.refund, reservation.mark_drawn, lambda: reservation.stop(0.1)):
        with pytest.raises(BudgetError):
            step()
    reservation.close()
    assert spent(ledger) == 1.0


def test_a_clock_that_was_set_back_changes_nothing(ledger):
    finish(ledger)
    ledger._clock = lambda: NOW.replace(year=1990)
    finish(ledger, "run-2")
    assert [event.time[:4] for event in ledger.history("adm")] == ["2026"] * 4 + ["1990"] * 4
    assert spent(ledger) == 2


def test_times_of_every_zone_are_written_in_utc(ledger):
    ledger._clock = lambda: NOW.astimezone(ZoneInfo("Asia/Kathmandu"))
    reserve(ledger)
    assert ledger.history("adm")[0].time == "2026-05-01T12:00:00.000+00:00"


def test_names_of_all_languages_come_back_as_they_were(ledger):
    for number, name in enumerate(["入院データ", "Ümit ñandú", "пациенты", "it's; DROP TABLE events --", "a\\b:c$1"]):
        reserve(ledger, f"rün-{number}", dataset=name)
        assert ledger.account(name).dataset == name
        assert ledger.run(f"rün-{number}").dataset == name


def test_a_key_is_needed_and_told_apart_from_its_fingerprints(ledger):
    finish(ledger)
    secret, fingerprints = ledger.store.secret(), ledger.fingerprint_key()
    assert len(secret) == len(fingerprints) == 32
    assert secret != fingerprints
    assert ledger.owner(PRINT_A) == "adm"
    for key in ledger.home.rglob("ledger.key"):
        key.write_bytes(b"another key of the same length!!")
    with pytest.raises(LedgerError, match="damaged"):
        ledger.accounts()


def test_what_was_accepted_is_whole_again(ledger):
    finish(ledger)
    with pytest.raises(BudgetError, match="nothing to accept"):
        ledger.accept_restored("no reason")
    for head in ledger.home.rglob("ledger.head"):
        head.write_text("{}")
    with pytest.raises(LedgerError, match=r"ledger\.head cannot be read"):
        reserve(ledger, "run-2")
    ledger.accept_restored("the head was lost")
    assert (spent(ledger), kinds(ledger)[-1]) == (1, "accepted")
    finish(ledger, "run-2")
    assert spent(ledger) == 2

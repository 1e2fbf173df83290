"""A shared ledger when processes are killed, connections are cut and the server says no."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing

import pytest
from ledger.accounts import PRINT_A, finish, kinds, reserve, spent
from ledger.cutting_proxy import proxy
from ledger.shared import ANALYST, administer, another_machine, shared_ledger, url_of
from postgresql_server import PASSWORD

from privsynth.errors import BudgetExceeded, LedgerUnavailable
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores import postgresql as store_module
from privsynth.ledger.stores.session import Session

FORK = multiprocessing.get_context("fork")
MESSAGES = 14  # that a client sends to log in and to append one event, and some more


def ask(ledger, number, start, answers):
    start.wait()
    try:
        reserve(ledger, f"run-{number}", epsilon=3)
        answers.put("yes")
    except BudgetExceeded:
        answers.put("no")
    except BaseException as error:  # or the parent would wait for ever
        answers.put(repr(error))


def test_sixteen_processes_of_two_machines_cannot_overspend(shared, empty, tmp_path):
    machines = [shared, another_machine(empty, tmp_path / "other", shared)]
    for machine in machines:
        machine.store._timeout_s = 120
    start, answers = FORK.Barrier(16), FORK.Queue()
    workers = [FORK.Process(target=ask, args=(machines[i % 2], i, start, answers)) for i in range(16)]
    for worker in workers:
        worker.start()
    said = sorted(answers.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join(timeout=60)
    assert said == ["no"] * 13 + ["yes"] * 3
    for machine in machines:
        assert spent(machine) == 9
        assert kinds(machine) == ["reserved"] * 3


def killed_at(ledger, run_id, statement, done):
    """Reserve in a process of its own, which kills itself before or after a statement."""
    run = Session.run

    def dies(self, sql, **values):
        hit = sql.startswith(statement)
        if hit and not done:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = run(self, sql, **values)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    Session.run = dies
    reserve(ledger, run_id)


def test_a_kill_at_any_statement_leaves_a_whole_ledger(shared):
    expected = 0
    for statement in ("BEGIN", "LOCK", "SELECT (", "SELECT seq", "INSERT", "COMMIT"):
        for done in (False, True):
            run_id = f"{statement}-{done}"
            victim = FORK.Process(target=killed_at, args=(shared, run_id, statement, done))
            victim.start()
            victim.join(timeout=60)
            assert victim.exitcode == -signal.SIGKILL, run_id
            expected += (statement, done) == ("COMMIT", True)
            assert len(shared.store.read()) == expected, run_id
    assert spent(shared) == 1
    assert shared.run("COMMIT-True").status == "reserved"


@pytest.mark.parametrize("delivered", [False, True])
def test_a_connection_cut_at_any_message_charges_once(shared, empty, delivered):
    cuts = 0
    shared.set_cap("adm", 100, 1e-4)
    for number in range(MESSAGES):
        with proxy(empty, cut_at=number, delivered=delivered) as between:
            ledger = shared_ledger(between.port, shared.home)
            reserve(ledger, f"run-{number}")
            cuts += between.has_cut
        assert spent(shared) == number + 1
    assert cuts >= MESSAGES - 2  # the last messages say good-bye, and may not be sent
    assert kinds(shared) == ["cap"] + ["reserved"] * MESSAGES


def test_noise_needs_an_answer_and_what_was_not_answered_stays_spent(shared, empty, monkeypatch):
    """The answer to COMMIT is lost and the server stays away: nobody may draw, and nobody may spend it again."""
    reservation = reserve(shared)
    reservation.bind(PRINT_A)
    seen = []
    run = Session.run

    def lose_the_answer(self, sql, **values):
        rows = run(self, sql, **values)
        if sql == "COMMIT":
            seen.append(sql)
            self._connection.close()
            raise store_module.LostConnection("cut")
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", lose_the_answer)
        patch.setattr(shared.store, "_timeout_s", 0.3)
        with pytest.raises(LedgerUnavailable, match="counts as spent should it have arrived"):
            reservation.mark_drawn()
    assert len(seen) > 1  # tried again, and never a second event
    assert kinds(shared) == ["reserved", "bound", "drawn"]
    reservation.close()
    assert (reservation.status, spent(shared)) == ("failed", 1)


def test_a_server_that_comes_back_in_time_is_waited_for(shared, empty):
    with proxy(empty, refused=3) as between:
        finish(shared_ledger(between.port, shared.home))
    assert spent(shared) == 1


def test_a_server_that_stays_away_is_one_sentence(shared, empty):
    with proxy(empty, refused=10**6) as between:
        ledger = shared_ledger(between.port, shared.home, timeout_s=0.2)
        for act in (ledger.accounts, lambda: reserve(ledger), lambda: ledger.accept_restored("x")):
            with pytest.raises(LedgerUnavailable, match="cannot be reached"):
                act()
    assert shared.store.read() == []


def test_conflicts_are_tried_again_and_then_told(shared, empty):
    administer(
        empty,
        "CREATE SEQUENCE privsynth_ledger.tries",
        "GRANT USAGE ON privsynth_ledger.tries TO ben",
        """CREATE FUNCTION privsynth_ledger.conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('privsynth_ledger.tries') % 3 <> 0 THEN
                RAISE EXCEPTION 'no' USING ERRCODE = 'serialization_failure'; END IF; RETURN NEW; END $$""",
        "CREATE TRIGGER conflicts BEFORE INSERT ON privsynth_ledger.events "
        "FOR EACH ROW EXECUTE FUNCTION privsynth_ledger.conflict()",
    )
    reserve(shared)
    assert spent(shared) == 1
    shared.store._timeout_s = 0.01
    with pytest.raises(LedgerUnavailable, match="too busy"):
        reserve(shared, "run-2")
    assert spent(shared_ledger(empty, shared.home)) == 1


def test_a_ledger_in_use_is_waited_for_and_then_told(shared, empty):
    from pg8000.native import Connection

    with closing(Connection("anna", host="127.0.0.1", port=empty, database="postgres", password=PASSWORD)) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE privsynth_ledger.turn IN EXCLUSIVE MODE")
        shared.store._timeout_s = 0.2
        with pytest.raises(LedgerUnavailable, match="in use by another process"):
            reserve(shared)
        shared.store._timeout_s = 10
        assert shared.accounts() == []  # readers do not wait
        other.run("ROLLBACK")
    reserve(shared)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ({"password": "verkehrt"}, "refuses the user or the password"),
        ({"user": "nobody-here"}, "refuses the user or the password"),
        ({"user": "eve", "password": "geheim7"}, "lacks a right"),
        ({"more": "?sslmode=verify-full"}, "by TLS"),
    ],
)
def test_what_the_server_refuses_is_one_sentence_without_a_secret(shared, empty, url, says):
    administer(empty, "DROP ROLE IF EXISTS eve", "CREATE ROLE eve LOGIN PASSWORD 'geheim7'")
    ledger = Ledger(shared.home, url=url_of(empty, **url), timeout_s=0.5)
    for act in (ledger.accounts, lambda: reserve(ledger)):
        with pytest.raises(LedgerUnavailable, match=says) as caught:
            act()
        shown = "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__, vars(ledger.store))))
        assert url.get("password", ANALYST) not in shown

"""The budget ledger: what it counts, what it refuses, and what it finds out about its own files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError
from privsynth.ledger.events import cap_units, delta_text, epsilon_text, spend_units
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.store import LedgerStore

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
PRINT_A = b"a" * 32
PRINT_B = b"b" * 32


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "home", timeout_s=0.05, clock=lambda: NOW)


def reserve(ledger, run_id="run-1", *, dataset="adm", epsilon=1.0, delta=1e-6):
    return ledger.reserve(dataset, epsilon=epsilon, delta=delta, unit="row", run_id=run_id)


def finish(ledger, run_id="run-1", fingerprint=PRINT_A, **cost):
    reservation = reserve(ledger, run_id, **cost)
    reservation.bind(fingerprint)
    reservation.mark_drawn()
    reservation.complete()
    return reservation


def spent(ledger, dataset="adm"):
    return ledger.account(dataset).to_json()["spent_epsilon"]


def kinds(ledger, dataset="adm"):
    return [event.kind for event in ledger.history(dataset)]


def edit(home, *statements):
    """Do to the table what its triggers forbid."""
    db = sqlite3.connect(home / "ledger.db")
    for trigger in ("events_keep", "events_stay"):
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


# --- counting -----------------------------------------------------------------------------------------------------


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
    before = {path.name: path.read_bytes() for path in ledger.home.iterdir()}
    with pytest.raises(BudgetExceeded, match=r"epsilon 0\.5.*left.*epsilon 10.*budget show"):
        reserve(ledger, "run-2", epsilon=0.6)
    assert {path.name: path.read_bytes() for path in ledger.home.iterdir()} == before


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
    assert not ledger.home.exists()


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


# --- caps ---------------------------------------------------------------------------------------------------------


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


# --- one reservation ----------------------------------------------------------------------------------------------


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
    (ledger.home / "ledger.head").unlink()
    with pytest.raises(ZeroDivisionError), reservation:
        raise ZeroDivisionError


# --- processes ----------------------------------------------------------------------------------------------------

_ASK = """
import sys
from pathlib import Path
from privsynth.errors import BudgetExceeded
from privsynth.ledger.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), timeout_s=120)
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.reserve("adm", epsilon=3, delta=1e-6, unit="row", run_id=sys.argv[2])
    print("yes")
except BudgetExceeded:
    print("no")
"""

_DRAW = """
import sys
from pathlib import Path
from privsynth.ledger.ledger import Ledger
reservation = Ledger(Path(sys.argv[1])).reserve("adm", epsilon=3, delta=1e-6, unit="row", run_id="killed")
if sys.argv[2] == "drawn":
    reservation.bind(b"a" * 32)
    reservation.mark_drawn()
print("ready", flush=True)
sys.stdin.readline()
reservation.close()
"""

_DIE = """
import os, sys
from pathlib import Path
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.store import LedgerStore
setattr(LedgerStore, sys.argv[2], lambda *args, **kwargs: os._exit(9))
Ledger(Path(sys.argv[1])).reserve("adm", epsilon=1, delta=1e-6, unit="row", run_id=sys.argv[3])
"""


def start(script, *args):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_eight_processes_at_once_cannot_overspend(tmp_path):
    """Also the very first writes race: the folder, the key and the head do not exist yet."""
    workers = [start(_ASK, tmp_path / "home", f"run-{i}") for i in range(8)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=300)[0].strip() for worker in workers]
    assert sorted(answers) == ["no"] * 5 + ["yes"] * 3
    ledger = Ledger(tmp_path / "home")
    assert spent(ledger) == 9
    assert len(ledger.history("adm")) == 3


@pytest.mark.parametrize("when", ["reserved", "drawn"])
def test_a_killed_process_has_spent_what_it_reserved(tmp_path, when):
    worker = start(_DRAW, tmp_path / "home", when)
    assert worker.stdout.readline() == "ready\n"
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=60)
    ledger = Ledger(tmp_path / "home")
    assert spent(ledger) == 3
    assert ledger.run("killed").status == when


@pytest.mark.parametrize(("dies_in", "survives"), [("_insert", False), ("_settle", True), ("_write", False)])
def test_a_crash_between_the_writes_is_no_damage(ledger, dies_in, survives):
    """Before the commit nothing happened; after it, and before the head is written, the event stands."""
    if dies_in != "_write":  # `_write` is the very first step of a new ledger: its key
        finish(ledger, "earlier")
    head = ledger.home / "ledger.head"
    before = head.read_bytes() if head.exists() else None
    assert start(_DIE, ledger.home, dies_in, "dies").wait(timeout=60) == 9
    assert (head.read_bytes() if head.exists() else None) == before
    base = spent(ledger) - survives
    assert base == (0 if dies_in == "_write" else 1)
    reserve(ledger, "next")
    assert spent(ledger) == base + survives + 1
    assert json.loads(head.read_bytes())["seq"] == len(ledger.history("adm"))


def test_a_second_crash_is_no_damage_either(ledger):
    """The head never falls behind by two: each writer brings it up to date before it appends."""
    finish(ledger, "earlier")
    for run_id in ("dies", "dies too"):
        assert start(_DIE, ledger.home, "_settle", run_id).wait(timeout=60) == 9
    assert spent(ledger) == 3


# --- the files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def used(ledger):
    """A ledger in which epsilon 2 is spent, by eight events."""
    finish(ledger)
    finish(ledger, "run-2")
    return ledger


def test_looking_creates_nothing(ledger):
    assert ledger.accounts() == []
    assert ledger.history("adm") == []
    assert not ledger.home.exists()


def test_files_are_for_their_owner_only(used):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in used.home.iterdir()}
    assert modes == {"ledger.db": 0o600, "ledger.key": 0o600, "ledger.head": 0o600}
    assert stat.S_IMODE(used.home.stat().st_mode) == 0o700


def test_the_table_refuses_edits_by_itself(used):
    db = sqlite3.connect(used.home / "ledger.db")
    for statement in ("UPDATE events SET epsilon_units = 0", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET epsilon_units = 1 WHERE seq = 1",
        "UPDATE events SET kind = 'refunded' WHERE kind = 'completed'",
        "UPDATE events SET dataset = 'other' WHERE run_id = 'run-1'",
        "UPDATE events SET time = '2020-01-01' WHERE seq = 3",
        "UPDATE events SET payload = '{}' WHERE seq = 8",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events WHERE seq = 4",
        "DELETE FROM events WHERE seq = 8",
        "DELETE FROM events",
        "DROP TABLE events",
        "INSERT INTO events SELECT 9, time, run_id, dataset, 'refunded', 0, 0, '{}', hash, hash FROM events LIMIT 1",
        "UPDATE events SET kind = 'accepted', payload = '{\"carried\": {}}' WHERE seq = 8",
        "UPDATE events SET payload = 'x' WHERE seq = 1",
        "UPDATE events SET epsilon_units = 'much' WHERE seq = 1",
        "UPDATE events SET time = x'00' WHERE seq = 1",
    ],
)
def test_an_edited_table_is_found_out(used, statement):
    edit(used.home, statement)
    for act in (used.accounts, lambda: reserve(used, "run-3"), used.fingerprint_key):
        with pytest.raises(LedgerError):
            act()


@pytest.mark.parametrize("name", ["ledger.head", "ledger.key", "ledger.db"])
def test_a_missing_file_is_found_out(used, name):
    (used.home / name).unlink()
    for act in (used.accounts, lambda: reserve(used, "run-3")):
        with pytest.raises(LedgerError, match="accept-restored"):
            act()


def test_an_older_copy_of_the_table_is_found_out(used):
    shutil.copy(used.home / "ledger.db", used.home / "old.db")
    reserve(used, "run-3")
    shutil.copy(used.home / "old.db", used.home / "ledger.db")
    for act in (used.accounts, lambda: reserve(used, "run-4")):
        with pytest.raises(LedgerError, match=r"older copy.*1 event"):
            act()


def test_an_older_head_is_found_out_unless_a_crash_explains_it(used):
    head = used.home / "ledger.head"
    old = head.read_bytes()
    reserve(used, "run-3")
    head.write_bytes(old)
    assert spent(used) == 3  # what a crash between the commit and the head leaves
    reserve(used, "run-4")
    assert json.loads(head.read_bytes())["seq"] == 10
    head.write_bytes(old)
    with pytest.raises(LedgerError, match="do not belong together"):
        used.accounts()


@pytest.mark.parametrize("change", [{"seq": 99}, {"seq": 7}, {"spent": {}}, {"spent": {"adm": [-5, 0]}}, {"mac": ""}])
def test_an_edited_head_is_found_out(used, change):
    head = used.home / "ledger.head"
    head.write_text(json.dumps({**json.loads(head.read_bytes()), **change}))
    with pytest.raises(LedgerError, match=r"ledger\.head"):
        used.accounts()


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"[1]", b"\xff\x00", b'{"seq": 1, "hash": "", "spent": {"a": [1]}, "mac": ""}']
)
def test_a_head_of_junk_is_found_out(used, junk):
    (used.home / "ledger.head").write_bytes(junk)
    with pytest.raises(LedgerError, match=r"ledger\.head cannot be read"):
        used.accounts()


def test_another_key_is_found_out(used):
    (used.home / "ledger.key").write_bytes(os.urandom(32))
    with pytest.raises(LedgerError, match="damaged"):
        used.accounts()


@pytest.mark.parametrize("junk", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_corrupt_table_is_one_clear_sentence(used, junk):
    (used.home / "ledger.db").write_bytes(junk)
    for act in (used.accounts, lambda: reserve(used, "run-3")):
        with pytest.raises(LedgerError, match=r"damaged: ledger\.db is not a readable database"):
            act()


def test_a_definition_of_the_table_that_is_no_utf_8_is_damage(ledger):
    reserve(ledger)
    path = ledger.home / "ledger.db"
    whole = path.read_bytes()
    start = whole.index(b"CREATE TABLE events")
    damaged = 0
    for place in range(start, start + 200, 7):
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        for step in (ledger.accounts, lambda: ledger.accept_restored("disk replaced")):
            try:  # a byte in the name of a column that is not read harms nothing
                step()
            except LedgerError:
                damaged += 1
            except BudgetError as error:
                assert "nothing to accept" in str(error)  # noqa: PT017
    assert damaged > 20


def test_a_newer_format_is_not_guessed(used):
    edit(used.home, "PRAGMA user_version = 3")
    with pytest.raises(LedgerError, match="newer privsynth"):
        reserve(used, "run-3")


def test_a_ledger_in_use_is_waited_for_and_then_told(used):
    other = sqlite3.connect(used.home / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for act in (used.accounts, lambda: reserve(used, "run-3")):
        with pytest.raises(LedgerError, match="in use by another process"):
            act()
    other.execute("ROLLBACK")
    other.close()
    reserve(used, "run-3")


def test_a_home_that_cannot_be_made_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="cannot be read or written"):
        reserve(Ledger(tmp_path / "file" / "home"))


def test_a_read_only_folder_is_one_clear_sentence(used, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("privsynth.ledger.store.os.replace", refuse)
    with pytest.raises(LedgerError, match="Read-only file system"):
        reserve(used, "run-3")


def test_a_read_only_table_is_one_clear_sentence(used, monkeypatch):
    connect = sqlite3.connect

    def read_only(address, **options):
        return connect(address.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr("privsynth.ledger.store.sqlite3.connect", read_only)
    assert spent(used) == 2
    with pytest.raises(LedgerError, match="cannot be opened for writing"):
        reserve(used, "run-3")


def test_the_event_that_could_not_be_acknowledged_stays_spent(used, monkeypatch):
    reservation = reserve(used, "run-3")
    reservation.bind(PRINT_A)

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "_write_head", fail)
        with pytest.raises(LedgerError, match="No space left"):
            reservation.mark_drawn()
    assert reservation.status == "drawn"
    with pytest.raises(BudgetError, match="stays spent"):
        reservation.refund()


def test_the_fingerprint_key_is_stable_secret_and_own(used, tmp_path):
    key = used.fingerprint_key()
    assert len(key) == 32
    assert Ledger(used.home).fingerprint_key() == key
    assert Ledger(tmp_path / "elsewhere").fingerprint_key() != key
    assert key not in b"".join(path.read_bytes() for path in used.home.iterdir())


# --- the way out --------------------------------------------------------------------------------------------------


def test_a_whole_ledger_is_not_accepted(used):
    with pytest.raises(BudgetError, match="whole"):
        used.accept_restored("just so")
    with pytest.raises(ConfigError):
        used.accept_restored("  ")


def test_accepting_an_older_copy_charges_what_it_forgot(used):
    shutil.copy(used.home / "ledger.db", used.home / "old.db")
    finish(used, "run-3", epsilon=4)
    shutil.copy(used.home / "old.db", used.home / "ledger.db")
    event = used.accept_restored("the disk was replaced")
    assert event.payload["reason"] == "the disk was replaced"
    assert "older copy" in event.payload["problem"]
    assert spent(used) == 6
    assert kinds(used)[-1] == "accepted"
    with pytest.raises(BudgetExceeded):
        reserve(used, "run-4", epsilon=4.1)
    finish(used, "run-5", epsilon=4)
    assert spent(used) == 10


@pytest.mark.parametrize("name", ["ledger.head", "ledger.key", "ledger.db"])
def test_accepting_a_missing_file_keeps_what_was_spent(used, name):
    (used.home / name).unlink()
    used.accept_restored("deleted by mistake")
    assert spent(used) == 2
    finish(used, "run-3")
    assert spent(used) == 3


def test_accepting_an_edited_table_keeps_what_the_head_knew(used):
    edit(used.home, "UPDATE events SET epsilon_units = 0 WHERE seq = 1")
    used.accept_restored("found by the auditor")
    assert spent(used) == 2
    edit_again = "UPDATE events SET epsilon_units = 1 WHERE seq = 1"
    db = sqlite3.connect(used.home / "ledger.db")  # the first write has put the triggers back
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(edit_again)
    db.close()
    edit(used.home, edit_again)
    with pytest.raises(LedgerError, match="edited"):
        used.accounts()


def test_a_crash_while_accepting_can_be_accepted_again(used, monkeypatch):
    shutil.copy(used.home / "ledger.db", used.home / "old.db")
    finish(used, "run-3", epsilon=4)
    shutil.copy(used.home / "old.db", used.home / "ledger.db")

    class Crash(BaseException):
        pass

    def crash(*args):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "_settle", crash)
        with pytest.raises(Crash):
            used.accept_restored("first try")
    with pytest.raises(LedgerError):
        used.accounts()
    used.accept_restored("second try")
    assert spent(used) == 6


def test_the_newer_copy_no_longer_fits_after_an_older_one_was_accepted(used):
    shutil.copy(used.home / "ledger.db", used.home / "old.db")
    reserve(used, "run-3")
    shutil.copy(used.home / "ledger.db", used.home / "new.db")
    shutil.copy(used.home / "old.db", used.home / "ledger.db")
    used.accept_restored("restored")
    shutil.copy(used.home / "new.db", used.home / "ledger.db")
    with pytest.raises(LedgerError, match="do not belong together"):
        used.accounts()


# --- any sequence -------------------------------------------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """Any sequence of steps against a naive model: a dict of runs and a sum."""

    CAP = 5

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name) / "home"
        self.runs: dict[str, dict] = {}
        self.ledger = Ledger(self.home)
        self.ledger.set_cap("a", self.CAP, 1e-5)
        self.ledger.set_cap("b", self.CAP, 1e-5)

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
        self.ledger = Ledger(self.home)

    @invariant()
    def balances_agree_and_stay_under_the_cap(self):
        for account in self.ledger.accounts():
            assert account.spent_epsilon_units == self.total(account.dataset) * 10**12
            assert account.spent_epsilon_units <= account.cap_epsilon_units
        for run_id, run in self.runs.items():
            assert self.ledger.run(run_id).status == run["status"]

    def teardown(self):
        self.folder.cleanup()


LedgerMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase


# --- a run that stops early ------------------------------------------------------------------------------------------


def test_a_run_that_stops_early_is_charged_with_what_it_says_and_the_whole_delta(ledger):
    with reserve(ledger) as reservation:
        reservation.bind(PRINT_A)
        reservation.mark_drawn()
        reservation.stop(0.0731)
        assert reservation.status == "stopped"
    account = ledger.account("adm").to_json()
    assert (account["spent_epsilon"], account["spent_delta"]) == (0.0731, 1e-6)
    assert account["completed"] == 0
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

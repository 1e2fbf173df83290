"""What the ledger finds out about its own files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat

import pytest
from ledger.accounts import PRINT_A, edit, reserve, spent

from privsynth.errors import BudgetError, LedgerError
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.folder import FolderStore


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

    monkeypatch.setattr("privsynth.ledger.stores.head.os.replace", refuse)
    with pytest.raises(LedgerError, match="Read-only file system"):
        reserve(used, "run-3")


def test_a_read_only_table_is_one_clear_sentence(used, monkeypatch):
    connect = sqlite3.connect

    def read_only(address, **options):
        return connect(address.replace("mode=rw", "mode=ro"), **options)

    monkeypatch.setattr("privsynth.ledger.stores.folder.sqlite3.connect", read_only)
    assert spent(used) == 2
    with pytest.raises(LedgerError, match="cannot be opened for writing"):
        reserve(used, "run-3")


def test_the_event_that_could_not_be_acknowledged_stays_spent(used, monkeypatch):
    reservation = reserve(used, "run-3")
    reservation.bind(PRINT_A)

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "_write_head", fail)
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

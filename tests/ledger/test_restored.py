"""The way out after files were restored, lost or edited."""

from __future__ import annotations

import shutil
import sqlite3

import pytest
from ledger.accounts import edit, finish, kinds, reserve, spent

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError
from privsynth.ledger.stores.folder import FolderStore


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
        patch.setattr(FolderStore, "_settle", crash)
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

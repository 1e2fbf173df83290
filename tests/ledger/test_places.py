"""Backup, restore and move, between every two stores, with what was spent and the detection of older copies."""

from __future__ import annotations

import json

import pytest
from ledger.accounts import NOW, finish, kinds, reserve, spent
from ledger.shared import administer, shared_ledger

from privsynth.errors import BudgetError, ConfigError, InputError, LedgerError
from privsynth.ledger import backup as module
from privsynth.ledger.backup import backup_of, events_in, move, restore
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.definition import DEFINITION

STORES = ("folder", "postgresql")


@pytest.fixture
def place(request, tmp_path):
    """Return what makes an empty ledger of a kind; the shared one exists once."""

    def made(kind, name):
        if kind == "folder":
            return Ledger(tmp_path / name, clock=lambda: NOW)
        return shared_ledger(request.getfixturevalue("empty"), tmp_path / name)

    return made


def begun(ledger):
    """Spend epsilon 2 by eight events."""
    if hasattr(ledger.store, "join"):
        ledger.store.join(None)
    finish(ledger)
    finish(ledger, "run-2")
    return ledger


def emptied(ledger, port=None):
    """Lose the events of a ledger, and not its head and key."""
    if hasattr(ledger.store, "join"):
        administer(port, "DROP SCHEMA IF EXISTS privsynth_ledger CASCADE", DEFINITION)
    else:
        (ledger.home / "ledger.db").unlink()


@pytest.fixture(params=STORES)
def used(request, place):
    return begun(place(request.param, "first"))


@pytest.mark.parametrize("target", STORES)
def test_a_backup_brings_everything_back_elsewhere(used, place, request, target):
    copy, key = backup_of(used), used.store.secret()
    before, account = used.store.read(), used.account("adm")
    if target == "postgresql" and hasattr(used.store, "join"):
        emptied(used, request.getfixturevalue("empty"))
    there = place(target, "second")
    with pytest.raises(ConfigError, match="key"):
        restore(there, copy, key=None)
    assert restore(there, copy, key=key) == 8
    assert (there.store.read(), there.account("adm")) == (before, account)
    assert restore(there, copy, key=None) == 0
    finish(there, "run-3")
    assert spent(there) == 3


def test_a_backup_holds_no_key(used):
    copy = backup_of(used)
    for secret in (used.store.secret(), used.fingerprint_key()):
        assert secret not in copy
        assert secret.hex().encode() not in copy


def test_an_older_backup_is_noticed_and_what_it_forgot_is_charged(used, request):
    copy = backup_of(used)
    finish(used, "run-3", epsilon=4)
    emptied(used, request.getfixturevalue("empty") if hasattr(used.store, "join") else None)
    with pytest.raises(LedgerError, match=r"older copy of itself: 4 event"):
        restore(used, copy, key=None)
    with pytest.raises(LedgerError, match="older copy"):
        reserve(used, "run-4")
    used.accept_restored("the disk was replaced")
    assert spent(used) == 6
    assert kinds(used)[-1] == "accepted"


def test_a_newer_backup_mends_an_older_copy(used, request):
    old = backup_of(used)
    finish(used, "run-3", epsilon=4)
    new = backup_of(used)
    emptied(used, request.getfixturevalue("empty") if hasattr(used.store, "join") else None)
    with pytest.raises(LedgerError):
        restore(used, old, key=None)
    assert restore(used, new, key=None) == 4
    assert spent(used) == 6


def test_a_backup_of_another_history_changes_nothing(used, place):
    copy = backup_of(used)
    finish(used, "run-3")
    mine = used.store.read()
    stranger = begun(Ledger(used.home.parent / "stranger", clock=lambda: NOW))
    with pytest.raises(LedgerError, match="another key"):
        restore(used, backup_of(stranger), key=None)
    with pytest.raises(ConfigError, match="Another key"):
        restore(used, copy, key=b"k" * 32)
    fork = Ledger(used.home.parent / "fork", clock=lambda: NOW)
    restore(fork, copy, key=used.store.secret())
    finish(fork, "run-4")
    with pytest.raises(LedgerError, match="different histories"):
        restore(used, backup_of(fork), key=None)
    assert used.store.read() == mine


@pytest.mark.parametrize("target", STORES)
def test_what_was_spent_comes_back_where_the_key_is_lost_once_a_person_accepts_it(place, target):
    copy = backup_of(begun(place("folder", "lost")))
    there = place(target, "second")
    with pytest.raises(LedgerError, match="accept-restored"):
        restore(there, copy, key=None, lost=True)
    with pytest.raises(LedgerError):
        reserve(there, "run-3")
    there.accept_restored("the safe burnt down")
    assert spent(there) == 2
    finish(there, "run-3")
    assert spent(there) == 3


def test_an_edited_backup_is_refused(used, place):
    copy, key = json.loads(backup_of(used)), used.store.secret()
    copy["events"][0][5] = 0
    there = Ledger(used.home.parent / "there")
    with pytest.raises(LedgerError, match="damaged"):
        restore(there, json.dumps(copy).encode(), key=key)
    assert there.store.read() == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[1]", b"\xff", b'{"what": "privsynth ledger backup", "format": 1}', b"[" * 100_000,
     b'{"what": "privsynth ledger backup", "format": 1, "events": [1]}',
     b'{"what": "privsynth ledger backup", "format": 1, "events": [[1, 2]]}',
     b'{"what": "privsynth ledger backup", "format": 1, "events": [[true, "", "", "", "cap", 0, 0, "{}", "", ""]]}'],
)  # fmt: skip
def test_what_is_no_backup_is_one_sentence(data):
    with pytest.raises(InputError, match="no backup"):
        events_in(data)


@pytest.mark.parametrize(
    ("source", "target"), [("folder", "postgresql"), ("postgresql", "folder"), ("folder", "folder")]
)
def test_a_moved_ledger_goes_on_there_and_ends_here(place, source, target):
    old, new = begun(place(source, "old")), place(target, "new")
    running = reserve(old, "run-3")
    assert move(old, new) == 11
    assert spent(new) == 3
    assert new.fingerprint_key() == old.fingerprint_key()
    for act in (lambda: reserve(old, "run-4"), lambda: old.set_cap("adm", 20), running.refund, running.close):
        with pytest.raises(LedgerError, match="was moved to"):
            act()
    assert spent(old) == 3  # it can still be looked at
    finish(new, "run-4")
    assert move(old, new) == 15  # once more is as once
    assert kinds(new)[9:11] == ["moved", "continued"]
    assert spent(new) == 4


def test_a_ledger_moves_there_and_back(place):
    here, there = begun(place("folder", "here")), place("postgresql", "here")
    move(here, there)
    finish(there, "run-3")
    move(there, here)
    finish(here, "run-4")
    assert spent(here) == 4
    with pytest.raises(LedgerError, match="was moved to folder"):
        reserve(there, "run-5")


@pytest.mark.parametrize("step", range(3))
def test_a_move_that_was_cut_off_leaves_one_ledger_at_most_and_can_be_completed(place, monkeypatch, step):
    old, new = begun(place("folder", "old")), place("postgresql", "new")
    calls = iter(range(10))

    def cut(method):
        def then(*args, **more):
            if next(calls) == step:
                raise KeyboardInterrupt
            return method(*args, **more)

        return then

    with monkeypatch.context() as patch:
        for store, name in ((old.store, "append"), (new.store, "receive"), (new.store, "append")):
            patch.setattr(store, name, cut(getattr(store, name)))
        with pytest.raises(KeyboardInterrupt):
            move(old, new)
    working = []
    for ledger in (old, new):
        try:
            ledger.set_cap("adm", 9)
            working.append(ledger)
        except LedgerError:
            pass
    assert len(working) == (step < 2)
    move(old, new)
    assert spent(new) == 2
    with pytest.raises(LedgerError, match="was moved to"):
        reserve(old, "run-3")


def test_a_ledger_is_not_moved_to_two_places(place, tmp_path):
    old = begun(place("folder", "old"))
    move(old, place("folder", "one"))
    with pytest.raises(LedgerError, match="already"):
        move(old, place("folder", "two"))
    with pytest.raises(LedgerError, match="is there already"):
        move(old, place("folder", "old"))
    assert not (tmp_path / "two" / "ledger.key").exists()


def test_a_place_with_another_history_takes_no_ledger_in(place):
    old, new = begun(place("folder", "old")), begun(place("postgresql", "new"))
    with pytest.raises((LedgerError, ConfigError)):
        move(old, new)
    finish(old, "run-3")  # nothing was changed


def test_a_place_that_would_refuse_the_events_is_found_out_before_the_old_one_is_closed(place, empty):
    old, new = begun(place("folder", "old")), place("postgresql", "new")
    administer(empty, "REVOKE INSERT ON privsynth_ledger.events FROM privsynth_analyst")
    with pytest.raises(LedgerError, match="lacks a right"):
        move(old, new)
    finish(old, "run-3")
    administer(empty, "GRANT INSERT ON privsynth_ledger.events TO privsynth_analyst")
    move(old, new)
    assert spent(new) == 3


def test_a_place_that_is_lost_for_good_is_given_up_by_a_person(place):
    old = begun(place("folder", "old"))
    move(old, place("folder", "new"))
    event = old.accept_restored("the new server burnt down before its first run")
    assert "was moved to" in event.payload["problem"]
    finish(old, "run-3")
    assert spent(old) == 3
    with pytest.raises(BudgetError, match="nothing to accept"):
        old.accept_restored("again")


def test_a_backup_of_half_a_million_events_is_read_and_more_is_not(monkeypatch, used):
    monkeypatch.setattr(module, "LARGEST_BACKUP", 10)
    with pytest.raises(InputError):
        events_in(backup_of(used))

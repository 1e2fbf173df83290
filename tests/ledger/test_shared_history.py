"""A shared ledger whose database was edited, or restored from an older copy: what each machine notices and charges."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from ledger.accounts import PRINT_A, finish, reserve, spent
from ledger.shared import ANALYST, administer, another_machine, plant, shared_ledger
from postgresql_server import PASSWORD

from privsynth.errors import BudgetError, BudgetExceeded, ConfigError, LedgerError, LedgerUnavailable
from privsynth.ledger.ledger import Ledger
from privsynth.ledger.stores.keys import chain_key

EVENTS = "privsynth_ledger.events"


@pytest.fixture
def used(shared):
    """Epsilon 2 is spent, by eight events."""
    finish(shared)
    finish(shared, "run-2")
    return shared


@pytest.fixture
def other(used, empty, tmp_path):
    """Another machine, which has seen the eight events."""
    return another_machine(empty, tmp_path / "other", used)


def roll_back(port, to):
    """Leave the database as it is after an older copy of it was restored."""
    plant(port, f"DELETE FROM {EVENTS} WHERE seq > {to}")


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {EVENTS} SET epsilon_units = 1 WHERE seq = 1",
        f"UPDATE {EVENTS} SET kind = 'refunded' WHERE kind = 'completed'",
        f"UPDATE {EVENTS} SET dataset = 'other' WHERE run_id = 'run-1'",
        f"UPDATE {EVENTS} SET payload = '{{}}' WHERE seq = 8",
        f"DELETE FROM {EVENTS} WHERE seq = 1",
        f"DELETE FROM {EVENTS} WHERE seq = 4",
        f"DELETE FROM {EVENTS} WHERE seq = 8",
        f"DELETE FROM {EVENTS}",
        f"INSERT INTO {EVENTS} SELECT 9, time, run_id, dataset, 'refunded', 0, 0, '{{}}', hash, hash FROM {EVENTS} "
        "WHERE seq = 8",
        f"UPDATE {EVENTS} SET kind = 'accepted', payload = '{{\"carried\": {{}}}}' WHERE seq = 8",
        f"UPDATE {EVENTS} SET kind = 'bonus' WHERE seq = 8",
        f"ALTER TABLE {EVENTS} DROP CONSTRAINT events_payload_check; UPDATE {EVENTS} SET payload = 'x' WHERE seq = 8",
    ],
)
def test_what_a_superuser_edits_is_found_out(used, empty, statement):
    plant(empty, statement)
    for act in (used.accounts, lambda: reserve(used, "run-3")):
        with pytest.raises(LedgerError):
            act()


def test_a_planted_text_of_any_length_is_not_fetched(used, empty):
    plant(
        empty,
        f"ALTER TABLE {EVENTS} DROP CONSTRAINT events_dataset_check",
        f"UPDATE {EVENTS} SET dataset = repeat('x', 30000000) WHERE seq = 3",
    )
    with pytest.raises(LedgerError, match="event 3 cannot be read"):
        used.accounts()


@pytest.mark.parametrize("role", ["", "SET session_replication_role = replica"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET epsilon_units = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_table_only_grows_whoever_asks(used, empty, role, statement):
    from pg8000.native import Connection, DatabaseError

    for user, password, codes in (("anna", PASSWORD, {"23001"}), ("ben", ANALYST, {"42501"})):
        with closing(Connection(user, host="127.0.0.1", port=empty, database="postgres", password=password)) as link:
            if role and user == "anna":
                link.run(role)
            with pytest.raises(DatabaseError) as caught:
                link.run(statement.format(EVENTS))
            assert caught.value.args[0]["C"] in codes
    assert spent(used) == 2


@pytest.mark.parametrize(
    "values",
    [
        "8, 't', 'r', 'd', 'cap', 0, 0, '{}', '', repeat('a', 64)",  # in the middle
        "9, 't', 'r', 'd', 'cap', -1, 0, '{}', '', repeat('a', 64)",
        "9, 't', 'r', 'd', 'cap', 0, 0, '[]', '', repeat('a', 64)",
        "9, 't', 'r', 'd', 'cap', 0, 0, '{', '', repeat('a', 64)",
        "9, 't', 'r', 'd', 'cap', 0, 0, '{}', '', 'short'",
        "9, 't', 'r', repeat('d', 1000), 'cap', 0, 0, '{}', '', repeat('a', 64)",
        "9, 't', 'run-1', 'd', 'reserved', 0, 0, '{}', '', repeat('a', 64)",
        "9, 't', 'r', 'd', 'cap', 0, 0, NULL, '', repeat('a', 64)",
    ],
)
def test_the_database_refuses_what_is_no_next_event(used, empty, values):
    from pg8000.native import Connection, DatabaseError

    with closing(Connection("ben", host="127.0.0.1", port=empty, database="postgres", password=ANALYST)) as link:
        with pytest.raises(DatabaseError) as caught:
            link.run(f"INSERT INTO {EVENTS} VALUES ({values})")
        assert caught.value.args[0]["C"][:2] in ("22", "23")


def test_nothing_in_the_database_lets_one_forge_or_guess(used, empty):
    rows = administer(empty, f"SELECT CAST(events AS text) FROM {EVENTS}")
    dump = "".join(row[0] for row in rows)
    secret = used.store.secret()
    for key in (secret, chain_key(secret), used.fingerprint_key()):
        assert key.hex() not in dump


def test_every_machine_that_has_seen_more_notices_an_older_copy(used, other, empty, tmp_path):
    roll_back(empty, 6)
    for machine in (used, other):
        for act in (machine.accounts, lambda: reserve(machine, "run-3"), lambda: machine.history("adm")):  # noqa: B023
            with pytest.raises(LedgerError, match=r"older copy of itself: 2 event.*accept-restored"):
                act()
    newcomer = another_machine(empty, tmp_path / "new", used)  # has seen nothing, and cannot know
    assert spent(newcomer) == 2


def test_what_others_spent_on_an_older_copy_does_not_hide_what_was_lost(used, other, empty, tmp_path):
    """run-2 is lost with the restored copy; a newcomer spends as much before anybody notices."""
    roll_back(empty, 4)
    newcomer = another_machine(empty, tmp_path / "new", used)
    finish(newcomer, "run-3")
    finish(newcomer, "run-4")
    with pytest.raises(LedgerError, match="went on from an older copy"):
        used.accounts()
    event = used.accept_restored("restored on Monday")
    assert event.payload["recovered"] == {"run-2": ["adm", 10**12, 10**12]}
    assert spent(used) == 4
    with pytest.raises(LedgerError, match="went on from an older copy"):
        other.accounts()
    assert other.accept_restored("the same Monday").payload["recovered"] == {}  # it is charged already
    for machine in (used, other, newcomer):
        assert spent(machine) == 4
    with pytest.raises(BudgetExceeded):
        reserve(newcomer, "run-5", epsilon=6.1)


def test_two_machines_each_charge_what_only_they_know(used, other, empty):
    finish(used, "run-3", epsilon=3)  # the other machine has not seen it
    roll_back(empty, 4)
    assert set(other.accept_restored("a").payload["recovered"]) == {"run-2"}
    assert spent(other) == 2
    assert set(used.accept_restored("b").payload["recovered"]) == {"run-3"}
    assert spent(used) == spent(other) == 5
    roll_back(empty, 5)  # also what was charged again is known by run, and is not lost twice
    with pytest.raises(LedgerError):
        used.accounts()
    used.accept_restored("c")
    assert spent(used) == 5


def test_an_edited_database_is_charged_with_what_the_machine_knows(used, empty):
    plant(empty, f"UPDATE {EVENTS} SET epsilon_units = 0 WHERE seq = 1")
    used.accept_restored("found by the auditor")
    assert spent(used) == 2
    finish(used, "run-3")
    plant(empty, f"UPDATE {EVENTS} SET epsilon_units = 7 WHERE seq = 1")
    with pytest.raises(LedgerError, match="edited"):
        used.accounts()


def test_a_second_head_notices_where_the_home_does_not_last(used, empty, tmp_path):
    head = tmp_path / "elsewhere" / "ledger.head"
    head.parent.mkdir()
    first = shared_ledger(empty, used.home, second_head=head)
    reserve(first, "run-3")
    roll_back(empty, 8)
    fresh = shared_ledger(empty, tmp_path / "container", second_head=head)
    with pytest.raises(LedgerError, match="older copy"):
        fresh.store.join(used.store.secret())
    fresh.accept_restored("restored")
    assert spent(fresh) == 3


def test_a_head_that_was_lost_is_told_and_a_machine_can_join_again(used, other):
    (other.home / "shared" / "ledger.head").unlink()
    for act in (other.accounts, lambda: reserve(other, "run-3")):
        with pytest.raises(LedgerError, match="head of the ledger is missing"):
            act()
    assert other.store.join(used.store.secret()) == 8
    assert spent(other) == 2


def test_machines_that_share_a_second_head_write_it_at_once(used, empty, tmp_path):
    head = tmp_path / "ledger.head"
    machines = [used.home, *(another_machine(empty, tmp_path / name, used).home for name in "ab")]
    ledgers = [shared_ledger(empty, home, second_head=head) for home in machines]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda n: reserve(ledgers[n % 3], f"run-{n + 3}", epsilon=0.1, delta=0), range(12)))
    assert len(made) == 12
    assert sorted(path.name for path in tmp_path.glob("ledger.head*")) == ["ledger.head"]
    assert len(ledgers[0].store.read()) == 20


@pytest.mark.parametrize("length", [0, 31])
def test_a_key_of_the_wrong_length_is_none(shared, length):
    with pytest.raises(ConfigError):
        shared.store.join(b"k" * length)
    (shared.home / "shared" / "ledger.key").write_bytes(b"k" * length)
    with pytest.raises(LedgerError, match="does not have the key"):
        reserve(shared)


def test_a_machine_without_the_key_accepts_nothing_and_stops_nobody(used, empty, tmp_path):
    fresh = shared_ledger(empty, tmp_path / "fresh")
    with pytest.raises(LedgerError, match="does not have the key"):
        fresh.accept_restored("it said that something was wrong")
    assert not list(fresh.home.rglob("ledger.key"))
    assert spent(used) == 2


def test_a_head_of_an_earlier_moment_is_fine_and_catches_up(used, other):
    finish(used, "run-3")
    head = other.home / "shared" / "ledger.head"
    before = head.read_bytes()
    assert spent(other) == 3
    assert head.read_bytes() != before
    head.write_bytes(before)
    assert spent(other) == 3


def test_an_event_of_another_process_while_one_reads_is_no_older_copy(used, empty, monkeypatch):
    beside = shared_ledger(empty, used.home)
    attempts = used.store._attempts

    def overtaken(mode, step):
        events = attempts(mode, step)
        reserve(beside, "run-3")  # and the head of this machine is that of the ninth event
        return events

    with monkeypatch.context() as patch:
        patch.setattr(used.store, "_attempts", overtaken)
        assert len(used.store.read()) == 8
    assert spent(used) == 3


def test_a_head_never_goes_back(used):
    events, secret = used.store.read(), used.store.secret()
    head = used.home / "shared" / "ledger.head"
    before = head.read_bytes()
    used.store._settle(events[:3], secret)  # what a slower process of this machine would write
    assert head.read_bytes() == before


def test_the_key_of_another_ledger_is_refused(used, empty, tmp_path):
    stranger = shared_ledger(empty, tmp_path / "stranger")
    for act in (stranger.accounts, lambda: reserve(stranger), stranger.fingerprint_key):
        with pytest.raises(LedgerError, match="budget join"):
            act()
    with pytest.raises(ConfigError, match="has events already"):
        stranger.store.join(None)
    with pytest.raises(LedgerError, match="another key"):
        stranger.store.join(b"k" * 32)
    with pytest.raises(ConfigError, match="32 bytes"):
        stranger.store.join(b"k")
    assert not (tmp_path / "stranger").exists()
    assert stranger.store.join(used.store.secret()) == 8
    with pytest.raises(ConfigError, match="Another key"):
        stranger.store.join(b"k" * 32)


def test_content_is_recognised_on_every_machine(used, other):
    assert other.fingerprint_key() == used.fingerprint_key()
    assert other.owner(PRINT_A) == "adm"
    late = reserve(other, "run-3", dataset="another name")
    with pytest.raises(BudgetError, match="'adm'"):
        late.bind(PRINT_A)


def test_spellings_of_one_name_share_one_budget_on_all_machines(used, other):
    assert reserve(other, "run-3", dataset=" ADM ", epsilon=8).dataset == "adm"
    with pytest.raises(BudgetExceeded):
        reserve(used, "run-4", epsilon=0.1)
    with pytest.raises(ConfigError, match="another alphabet"):
        reserve(used, "run-5", dataset="аԁм")


@pytest.mark.parametrize(
    "setting",
    [
        "search_path = public, pg_catalog",
        "default_transaction_isolation = 'read uncommitted'",
        "default_transaction_read_only = on",
        "default_transaction_deferrable = on",
        "client_encoding = 'LATIN1'",
        "timezone = 'Asia/Kathmandu'",
        "datestyle = 'German'",
        "synchronous_commit = off",
        "standard_conforming_strings = off",
        "statement_timeout = '1ms'",
        "bytea_output = 'escape'",
    ],
)
def test_no_setting_of_the_role_matters(shared, empty, setting):
    administer(empty, f"ALTER ROLE ben SET {setting}")
    try:
        finish(shared, "rün", dataset="Ümit 入院 \\ '")
        assert spent(shared, "Ümit 入院 \\ '") == 1
    finally:
        administer(empty, "ALTER ROLE ben RESET ALL")


def test_names_that_shadow_those_of_the_system_are_not_called(used, empty):
    administer(
        empty,
        "CREATE SCHEMA IF NOT EXISTS trap",
        "CREATE OR REPLACE FUNCTION trap.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT 1/0'",
        "CREATE OR REPLACE FUNCTION trap.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "ALTER ROLE ben SET search_path = trap, pg_catalog",
        "GRANT USAGE ON SCHEMA trap TO ben",
    )
    try:
        finish(used, "run-3")
    finally:
        administer(empty, "ALTER ROLE ben RESET ALL", "DROP SCHEMA trap CASCADE")


def test_a_missing_schema_right_or_a_newer_format_is_one_sentence(used, empty):
    administer(empty, "REVOKE INSERT ON privsynth_ledger.events FROM privsynth_analyst")
    assert spent(used) == 2
    with pytest.raises(LedgerUnavailable, match="GRANT privsynth_analyst"):
        reserve(used, "run-3")
    administer(empty, "CREATE OR REPLACE VIEW privsynth_ledger.format AS SELECT 2 AS format")
    with pytest.raises(LedgerError, match="another version"):
        used.accounts()
    administer(empty, "DROP SCHEMA privsynth_ledger CASCADE")
    with pytest.raises(LedgerUnavailable, match="budget sql"):
        used.accounts()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ben:s3cret@[::1/db", "mysql://ben:s3cret@h/db", "postgresql://ben:s3cret@h:port/db",
        "postgresql://ben:s3cret@h/a/b", "postgresql://ben:s3cret@h/db?options=-c", "postgresql://ben:s3cret@h/db#x",
        "postgresql://ben:s3cret@h/db?sslmode=prefer", "postgresql://ben:s3cret@h/d%0ab",
    ],
)  # fmt: skip
def test_a_url_that_is_none_is_one_sentence_without_its_secret(tmp_path, url):
    with pytest.raises(ConfigError, match="ledger") as caught:
        Ledger(tmp_path, url=url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_elsewhere_must_show_who_it_is_unless_the_url_says_otherwise():
    import ssl

    from privsynth.ledger.stores.address import address_of

    def tls(url):
        return address_of(url).arguments()["ssl_context"]

    assert tls("postgresql://a@localhost/d") is False
    assert tls("postgresql://a@db.example.org/d?sslmode=disable") is False
    assert tls("postgresql:///d?host=/run/postgresql") is False
    default = tls("postgresql://a@db.example.org/d")
    assert (default.check_hostname, default.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert tls("postgresql://a@db.example.org/d?sslmode=require").verify_mode == ssl.CERT_NONE
    assert tls("postgresql://a@db.example.org/d?sslmode=verify-ca").check_hostname is False
    with pytest.raises(ConfigError, match="sslrootcert"):
        tls("postgresql://a@db.example.org/d?sslrootcert=/nowhere")


def test_a_password_comes_from_the_environment_and_is_in_no_repr(monkeypatch):
    from privsynth.ledger.stores.address import address_of

    monkeypatch.setenv("PGPASSWORD", "s3cret")
    address = address_of("postgresql://anna@db.example.org/d")
    assert address.password == "s3cret"
    assert "s3cret" not in repr(address) + address.place
    assert "anna" not in repr(address) + address.place

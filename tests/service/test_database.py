"""Tables on both databases: what migrations make, and what the database itself refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_hex

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from privsynth.errors import ConfigError, ServiceUnavailable
from privsynth.service.record import record
from privsynth.service.states import RunState
from privsynth.service.store.columns import Base
from privsynth.service.store.people import Person
from privsynth.service.store.runs import DecisionRow, RunRow, SourceRow

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_migrations_make_what_the_code_declares_and_may_run_again(database):
    database.migrate()
    database.require_current()
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        connection.commit()
    with pytest.raises(ConfigError, match="version 0000, this privsynth expects"):
        database.require_current()


def test_a_server_that_stops_or_starts_is_one_that_does_not_answer(databases, tmp_path):
    database = databases.copy("postgresql", tmp_path, "tables")
    states = [f"DO $$ BEGIN RAISE 'x' USING ERRCODE = '{state}'; END $$" for state in ("57P02", "57P03", "53300")]
    for statement in (*states, "SELECT pg_terminate_backend(pg_backend_pid())"):  # the last is 57P01
        with pytest.raises(ServiceUnavailable, match="does not answer"), database.reading() as session:
            session.execute(text(statement))
        with database.reading() as session:
            assert session.execute(text("SELECT 1")).scalar() == 1
    database.close()


def test_a_database_without_tables_is_told_what_to_run(empty_database):
    with pytest.raises(ConfigError, match="has no tables yet: run `privsynth service migrate`"):
        empty_database.require_current()


def a_run(database, needed: int = 2) -> tuple[str, list[int]]:
    """Add a run that waits for decisions, and return its name with people's numbers; the first of them submitted it."""
    with database.writing() as session:
        people = [Person(name=name, display=name, made_at=NOW) for name in ("sub", "one", "two")]
        session.add_all(people)
        session.flush()
        source = SourceRow(name="s", dataset="d", kind="file", place=b"x", made_by=people[0].id, made_at=NOW)
        session.add(source)
        session.flush()
        run = RunRow(
            id="run-1", source_id=source.id, dataset="d", purpose="p", settings="{}", submitter_id=people[0].id,
            made_at=NOW, needed=needed, state=RunState.TO_DECIDE,
        )  # fmt: skip
        session.add(run)
        return run.id, [person.id for person in people]


def decide(database, run: str, submitter: int, person: int, meaning: str, *, signed: bool = True) -> None:
    file = token_hex(32) if signed else None
    with database.writing() as session:
        session.add(
            DecisionRow(
                run_id=run, submitter_id=submitter, person_id=person, meaning=meaning, comment="", file=file, at=NOW
            )
        )  # fmt: skip


def to_state(database, run: str, state: RunState) -> None:
    with database.writing() as session:
        session.get_one(RunRow, run).state = state


def test_nobody_decides_on_what_they_submitted_and_nobody_can_pretend_otherwise(database):
    run, (sub, one, _) = a_run(database)
    with pytest.raises(DBAPIError, match=r"(?i)four_eyes|foreign key"):
        decide(database, run, sub, sub, "approved")
    with pytest.raises(DBAPIError, match=r"(?i)four_eyes|foreign key"):
        decide(database, run, one, sub, "approved")  # as if somebody else had submitted it


@pytest.mark.parametrize("meaning", ["reviewed", "approved", "rejected"])
def test_no_row_says_what_nobody_signed(database, meaning):
    run, (sub, one, _) = a_run(database)
    with pytest.raises(DBAPIError, match="signed"):
        decide(database, run, sub, one, meaning, signed=False)
    decide(database, run, sub, one, "changes", signed=False)


@pytest.mark.parametrize("state", [RunState.APPROVED, RunState.PUBLISHED])
def test_nothing_leaves_before_enough_people_approved(database, state):
    run, (sub, one, two) = a_run(database)
    decide(database, run, sub, one, "approved")
    decide(database, run, sub, one, "approved")  # twice the same person
    decide(database, run, sub, two, "approved")
    decide(database, run, sub, two, "rejected")  # thought better of it
    with pytest.raises(DBAPIError, match="too few people approved"):
        to_state(database, run, state)
    decide(database, run, sub, two, "approved")
    decide(database, run, sub, two, "reviewed")  # says nothing against it
    to_state(database, run, state)


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = 'x'", "DELETE FROM {}"])
def test_acts_and_decisions_are_only_added(database, statement):
    run, (sub, one, _) = a_run(database)
    decide(database, run, sub, one, "rejected")
    with database.writing() as session:
        record(session, "look", "run run-1", person_id=one, at=NOW)
    for table, column in (("acts", "detail"), ("decisions", "comment")):
        with pytest.raises(DBAPIError, match="only added"), database.writing() as session:
            session.execute(text(statement.format(table, column)))


def test_times_come_back_with_their_zone(database):
    a_run(database)
    with database.reading() as session:
        assert session.get_one(RunRow, "run-1").made_at == NOW


@pytest.mark.parametrize("address", ["mysql://x/y", "no address"])
def test_other_databases_are_refused(tmp_path, address):
    from privsynth.service.store.database import ServiceDatabase

    with pytest.raises(ConfigError, match="database"):
        ServiceDatabase.at(address, tmp_path)

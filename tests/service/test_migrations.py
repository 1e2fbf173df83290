"""Each earlier version of the tables comes to the newest, with its rows, on both databases."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from privsynth.service.store.columns import Base
from privsynth.service.store.database import MIGRATIONS, _alembic

VERSIONS = sorted(one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
# Rows of the first tables, which every later version has to keep; PostgreSQL and SQLite read both.
ROWS = (
    "INSERT INTO people (id, name, display, active, made_at) VALUES (1, 'sub', 'Sub', true, '2026-12-01 09:00:00')",
    "INSERT INTO person_roles (person_id, role) VALUES (1, 'submitter')",
    "INSERT INTO sources (id, name, dataset, kind, place, options, schema, made_by, made_at)"
    " VALUES (1, 's', 'd', 'file', 'x', '{}', '', 1, '2026-12-01 09:00:00')",
    "INSERT INTO runs (id, source_id, dataset, purpose, settings, submitter_id, made_at, needed, state, sentence,"
    " stage, share, cancelled)"
    " VALUES ('run-1', 1, 'd', 'p', '{}', 1, '2026-12-01 09:00:00', 1, 'to_decide', '', '', 0, false)",
)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tables_of_a_version_are_brought_up_to_date_with_their_rows(empty_database, version):
    with empty_database.engine.connect() as connection:
        command.upgrade(_alembic(connection), version)
        for row in ROWS:
            connection.execute(text(row))
        connection.commit()
    empty_database.migrate()
    empty_database.require_current()
    with empty_database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.execute(text("SELECT submitter_id, state FROM runs")).all() == [(1, "to_decide")]
        assert connection.execute(text("SELECT role FROM person_roles")).all() == [("submitter",)]

"""Run by Alembic: the migrations of the connection that it was given."""

from __future__ import annotations

from alembic import context

from privsynth.service.store import people, retention, runs, schedules, webhooks  # noqa: F401  (declares the tables)
from privsynth.service.store.columns import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()

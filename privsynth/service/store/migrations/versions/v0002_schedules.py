"""Schedules, their due times, and yearly budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from privsynth.service.store.columns import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Bring the tables of the version before to this one."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("once", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("at", sa.Time(), nullable=False),
        sa.Column("zone", sa.String(length=80), nullable=False),
        sa.Column("made_at", Moment(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("next_at", Moment(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('active', 'paused', 'ended')", name=op.f("ck_schedules_known")),
        sa.CheckConstraint("(state = 'active') = (next_at IS NOT NULL)", name=op.f("ck_schedules_due")),
        sa.CheckConstraint("every IN ('week', 'month', 'quarter', 'year')", name=op.f("ck_schedules_rhythm")),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_schedules_source_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["people.id"], name=op.f("fk_schedules_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("once", name=op.f("uq_schedules_once")),
    )
    op.create_index(op.f("ix_schedules_state"), "schedules", ["state"], unique=False)
    op.create_table(
        "firings",
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(timezone=True), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.CheckConstraint("run_id IS NOT NULL OR sentence <> ''", name=op.f("ck_firings_told")),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedules.id"], name=op.f("fk_firings_schedule_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_firings_run_id")),
        sa.PrimaryKeyConstraint("schedule_id", "due_at", name=op.f("pk_firings")),
        sa.UniqueConstraint("run_id", name=op.f("uq_firings_run_id")),
    )
    op.create_table(
        "yearly_budgets",
        sa.Column("dataset", sa.String(length=200), nullable=False),
        sa.Column("epsilon_units", sa.BigInteger(), nullable=False),
        sa.Column("delta_units", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Integer(), nullable=False),
        sa.Column("set_at", Moment(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["set_by"], ["people.id"], name=op.f("fk_yearly_budgets_set_by")),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_yearly_budgets")),
    )

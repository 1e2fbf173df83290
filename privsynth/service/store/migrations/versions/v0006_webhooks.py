"""Webhooks, and what is to be told to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from privsynth.service.store.columns import Moment

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Bring the tables of the version before to this one."""
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("place", sa.LargeBinary(), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        sa.Column("old_until", Moment(timezone=True), nullable=True),
        sa.Column("events", sa.String(length=800), nullable=False),
        sa.Column("made_by", sa.Integer(), nullable=False),
        sa.Column("made_at", Moment(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("failing_since", Moment(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('active', 'disabled', 'removed')", name=op.f("ck_webhooks_known")),
        sa.ForeignKeyConstraint(["made_by"], ["people.id"], name=op.f("fk_webhooks_made_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", Moment(timezone=True), nullable=True),
        sa.Column("delivered_at", Moment(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("next_at IS NULL OR delivered_at IS NULL", name=op.f("ck_deliveries_once")),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name=op.f("fk_deliveries_webhook_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("message", name=op.f("uq_deliveries_message")),
    )
    op.create_index(op.f("ix_deliveries_webhook_id"), "deliveries", ["webhook_id"], unique=False)
    op.create_index(op.f("ix_deliveries_next_at"), "deliveries", ["next_at"], unique=False)

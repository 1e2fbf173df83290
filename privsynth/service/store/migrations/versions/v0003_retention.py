"""Holds and deletions: nothing that is held is deleted, and a deletion is completed once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from privsynth.service.store.columns import Moment

revision = "0003"
down_revision = "0002"

_HELD = "EXISTS (SELECT 1 FROM holds WHERE holds.item = NEW.item AND holds.lifted_at IS NULL)"
_GONE = "EXISTS (SELECT 1 FROM deletions WHERE deletions.item = NEW.item)"


def upgrade() -> None:
    """Add both tables, and what they refuse."""
    op.create_table(
        "holds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_by", sa.Integer(), nullable=False),
        sa.Column("placed_at", Moment(timezone=True), nullable=False),
        sa.Column("lifted_at", Moment(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["placed_by"], ["people.id"], name=op.f("fk_holds_placed_by_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_item"), "holds", ["item"])
    op.create_table(
        "deletions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(length=120), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("dataset", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("due_at", Moment(timezone=True), nullable=True),
        sa.Column("begun_at", Moment(timezone=True), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("done_at", Moment(timezone=True), nullable=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.CheckConstraint("(done_at IS NULL) = (certificate IS NULL)", name=op.f("ck_deletions_certified")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_deletions_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletions")),
        sa.UniqueConstraint("item", name=op.f("uq_deletions_item")),
    )
    op.create_index(op.f("ix_deletions_run_id"), "deletions", ["run_id"])
    _refuse("deletions_not_held", "INSERT", "deletions", _HELD, "this is held back from deletion")
    _refuse("holds_not_gone", "INSERT", "holds", _GONE, "this is deleted already")
    _refuse("deletions_once", "UPDATE", "deletions", "OLD.done_at IS NOT NULL", "this deletion is completed")
    _refuse("deletions_kept", "DELETE", "deletions", "OLD.id IS NOT NULL", "deletions stay on record")


def _refuse(name: str, verb: str, table: str, when: str, sentence: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        row = "OLD" if verb == "DELETE" else "NEW"
        op.execute(
            f"CREATE FUNCTION privsynth_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {when} THEN RAISE EXCEPTION '{sentence}'; END IF; RETURN {row}; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION privsynth_{name}()")
        return
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
    )

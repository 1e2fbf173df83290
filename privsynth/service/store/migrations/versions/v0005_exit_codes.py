"""Runs keep the exit code with which the command line would have ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column; of runs that have ended it stays unknown."""
    op.add_column("runs", sa.Column("exit_code", sa.Integer(), nullable=True))

"""Pinned environments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    pinned: sa.Column[bool] = sa.Column(
        "pinned", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("atoll_environments", pinned)


def downgrade() -> None:
    """Go a step back."""
    op.drop_column("atoll_environments", "pinned")

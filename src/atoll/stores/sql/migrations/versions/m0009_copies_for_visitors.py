"""Servers that visitors may have copies of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_copies",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("volumes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_atoll_copies")),
        sa.UniqueConstraint("key", name=op.f("uq_atoll_copies_key")),
    )


def downgrade() -> None:
    """Go a step back."""
    op.drop_table("atoll_copies")

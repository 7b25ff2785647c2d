"""Repositories whose links run without a question."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_trusts",
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("what", sa.String(length=2300), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "what", name=op.f("pk_atoll_trusts")),
    )


def downgrade() -> None:
    """Go a step back."""
    op.drop_table("atoll_trusts")

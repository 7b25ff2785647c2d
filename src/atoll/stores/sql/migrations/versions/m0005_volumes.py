"""Volumes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_volumes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=270), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("deleted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_atoll_volumes")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_atoll_volumes_owner_name")),
    )
    op.create_table(
        "atoll_shares",
        sa.Column("volume", sa.String(length=64), nullable=False),
        sa.Column("whom", sa.String(length=270), nullable=False),
        sa.Column("writable", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["volume"],
            ["atoll_volumes.id"],
            name=op.f("fk_atoll_shares_volume_atoll_volumes"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("volume", "whom", name=op.f("pk_atoll_shares")),
    )
    with op.batch_alter_table("atoll_shares", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_atoll_shares_whom"), ["whom"], unique=False)


def downgrade() -> None:
    """Go a step back."""
    with op.batch_alter_table("atoll_shares", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_shares_whom"))

    op.drop_table("atoll_shares")
    op.drop_table("atoll_volumes")

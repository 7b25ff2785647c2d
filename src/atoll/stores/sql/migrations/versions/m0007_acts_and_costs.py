"""Acts and costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_acts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=500), nullable=False),
        sa.Column("deed", sa.String(length=500), nullable=False),
        sa.Column("kind", sa.String(length=500), nullable=False),
        sa.Column("what", sa.String(length=500), nullable=False),
        sa.Column("server", sa.String(length=500), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_atoll_acts")),
    )
    with op.batch_alter_table("atoll_acts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_atoll_acts_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_atoll_acts_who_number"), ["who", "number"], unique=False
        )
    op.create_table(
        "atoll_costs",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("thing", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=270), nullable=False),
        sa.Column("name", sa.String(length=330), nullable=False),
        sa.Column("cpu", sa.Float(), nullable=False),
        sa.Column("memory", sa.Float(), nullable=False),
        sa.Column("disk", sa.BigInteger(), nullable=True),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day", "thing", "owner", "name", name=op.f("pk_atoll_costs")),
    )
    op.create_table(
        "atoll_readings",
        sa.Column("handle", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cpu", sa.Float(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_atoll_readings")),
    )


def downgrade() -> None:
    """Go a step back."""
    op.drop_table("atoll_readings")
    op.drop_table("atoll_costs")
    with op.batch_alter_table("atoll_acts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_acts_who_number"))
        batch_op.drop_index(batch_op.f("ix_atoll_acts_at"))

    op.drop_table("atoll_acts")

"""Rulings and messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_rulings",
        sa.Column("whom", sa.String(length=270), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("whom", "name", name=op.f("pk_atoll_rulings")),
    )
    op.create_table(
        "atoll_messages",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("whom", sa.String(length=270), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("server", sa.String(length=330), nullable=False),
        sa.Column("by", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_atoll_messages")),
    )
    op.create_table(
        "atoll_dismissals",
        sa.Column("message", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["message"],
            ["atoll_messages.number"],
            name=op.f("fk_atoll_dismissals_message_atoll_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message", "person", name=op.f("pk_atoll_dismissals")),
    )
    with op.batch_alter_table("atoll_dismissals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_atoll_dismissals_person"), ["person"], unique=False)


def downgrade() -> None:
    """Go a step back."""
    with op.batch_alter_table("atoll_dismissals", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_dismissals_person"))

    op.drop_table("atoll_dismissals")
    op.drop_table("atoll_messages")
    op.drop_table("atoll_rulings")

"""First tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go a step on."""
    op.create_table(
        "atoll_environments",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", "engine", name=op.f("pk_atoll_environments")),
    )
    op.create_table(
        "atoll_failures",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "engine", name=op.f("pk_atoll_failures")),
    )
    op.create_table(
        "atoll_launches",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_atoll_launches")),
        sa.UniqueConstraint("id", name=op.f("uq_atoll_launches_id")),
    )
    with op.batch_alter_table("atoll_launches", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_atoll_launches_person_made"), ["person", "made"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_atoll_launches_state"), ["state"], unique=False)

    op.create_table(
        "atoll_plans",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_atoll_plans")),
        sa.UniqueConstraint("id", name=op.f("uq_atoll_plans_id")),
    )
    with op.batch_alter_table("atoll_plans", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_atoll_plans_owner_name"), ["owner", "name"], unique=False
        )

    op.create_table(
        "atoll_records",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_atoll_records")),
        sa.UniqueConstraint("id", name=op.f("uq_atoll_records_id")),
    )
    with op.batch_alter_table("atoll_records", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_atoll_records_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_atoll_records_person_at"), ["person", "at"], unique=False
        )


def downgrade() -> None:
    """Go a step back."""
    with op.batch_alter_table("atoll_records", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_records_person_at"))
        batch_op.drop_index(batch_op.f("ix_atoll_records_at"))

    op.drop_table("atoll_records")
    with op.batch_alter_table("atoll_plans", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_plans_owner_name"))

    op.drop_table("atoll_plans")
    with op.batch_alter_table("atoll_launches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_atoll_launches_state"))
        batch_op.drop_index(batch_op.f("ix_atoll_launches_person_made"))

    op.drop_table("atoll_launches")
    op.drop_table("atoll_failures")
    op.drop_table("atoll_environments")

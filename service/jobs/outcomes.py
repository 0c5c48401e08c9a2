"""What a job has to tell beside its state: facts, and notes of what happened on the way."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from service.jobs.tables import jobs


def add_outcome(connection: Connection, job_id: str, outcome: dict[str, Any]) -> None:
    known = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id)) or {}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(outcome={**known, **outcome}))


def add_notes(connection: Connection, job_id: str, notes: Sequence[str]) -> None:
    """What happened on the way, each kind of thing once: "out of memory at batch 8: halved to 4"."""
    outcome = connection.scalar(select(jobs.c.outcome).where(jobs.c.id == job_id)) or {}
    known = outcome.get("notes", [])
    add_outcome(connection, job_id, {"notes": list(dict.fromkeys([*known, *notes]))})

"""What happened to a job, as it was written down. Whoever asks has looked the job up, and may see it."""

from collections.abc import Collection

from sqlalchemy import select

from service.jobs.database import Database
from service.jobs.job import Event
from service.jobs.tables import events


class EventLog:
    database: Database

    def events(self, job_id: str, after: int = 0, limit: int = 500, kind: str | None = None) -> list[Event]:
        query = (
            select(events)
            .where(events.c.job_id == job_id, events.c.id > after)
            .order_by(events.c.id)
            .limit(limit)
        )
        if kind is not None:
            query = query.where(events.c.kind == kind)
        with self.database.reading() as connection:
            return [Event(**row) for row in connection.execute(query).mappings()]

    def latest_events(self, job_id: str, kinds: Collection[str], limit: int) -> list[Event]:
        """The last ones of these kinds, in their order."""
        query = select(events).where(events.c.job_id == job_id, events.c.kind.in_(list(kinds)))
        with self.database.reading() as connection:
            latest = connection.execute(query.order_by(events.c.id.desc()).limit(limit)).mappings()
            return [Event(**row) for row in latest][::-1]

    def last_event(self, job_id: str, kind: str | None = None) -> Event | None:
        """Of this kind, or of any."""
        query = select(events).where(events.c.job_id == job_id)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        with self.database.reading() as connection:
            row = connection.execute(query.order_by(events.c.id.desc()).limit(1)).mappings().first()
        return None if row is None else Event(**row)

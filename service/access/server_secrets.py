"""What all servers of one installation share and nobody chooses: made when it is first asked for."""

import secrets

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from service.jobs.database import Database, database_now
from service.jobs.tables import server_secrets as table

CURSORS, SESSIONS = "cursors", "sessions"


def server_secret(database: Database, name: str) -> str:
    """Of servers that ask for the first time at once, one makes it and all get that one."""
    while (known := _known(database, name)) is None:
        row = {"name": name, "value": secrets.token_urlsafe(32), "created_at": database_now()}
        try:
            with database.writing() as connection:
                connection.execute(insert(table).values(**row))
        except IntegrityError:
            continue  # another server was quicker
    return known


def _known(database: Database, name: str) -> str | None:
    with database.reading() as connection:
        return connection.scalar(select(table.c.value).where(table.c.name == name))

"""The connection to SQL: SQLite in WAL mode or PostgreSQL, the same statements on both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Float, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from service.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10
MIGRATION_LOCK = 7_041
READS = "reads"


class database_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since the epoch by the database's clock, so that workers need not agree on the time."""

    inherit_cache = True  # as a function can: a statement is put into words once, not at each use
    type = Float()


@compiles(database_now, "sqlite")
def _sqlite_now(_element: database_now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _postgresql_now(_element: database_now, _compiler: Any, **_options: Any) -> str:
    return "extract(epoch from clock_timestamp())::float"


class Database:
    """Transactions that write, and reads outside of any."""

    def __init__(self, url: str, connections: int = 20, timeout_seconds: float = 30.0) -> None:
        """`connections`: how many this process has at most; who needs one more waits for it.
        `timeout_seconds`: how long a statement may take on PostgreSQL.
        """
        self.url = url
        options: dict[str, Any] = {"pool_size": connections, "max_overflow": 0}
        if url.startswith("sqlite"):
            options["connect_args"] = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        else:
            options |= {"pool_pre_ping": True, "pool_timeout": timeout_seconds}
            options["connect_args"] = _postgresql_options(timeout_seconds)
        self.engine = create_engine(url, **options)
        self._reading: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
            self._reading = {READS: True}  # its connections are so anyway, and to say it costs 20 us

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        return cls(settings.database, settings.database_connections, settings.database_timeout_seconds)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(**self._reading) as connection:
            yield connection

    @property
    def dialect(self) -> Dialect:
        return self.engine.dialect

    def migrate(self) -> None:
        """Bring the tables up to date; safe to call by every process at its start."""
        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.writing() as connection:
            if self.engine.dialect.name == "postgresql":  # SQLite's writers wait for each other anyway
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # tables may be large by now
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        self.engine.dispose()


def _postgresql_options(timeout_seconds: float) -> dict[str, Any]:
    """A server that has gone silent is noticed: by the connection within a minute, by a statement sooner."""
    milliseconds = round(timeout_seconds * 1000)
    # Whoever stops in the middle of a transaction must not hold its locks for ever.
    limits = {"statement_timeout": milliseconds, "idle_in_transaction_session_timeout": 2 * milliseconds}
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "nightshift",
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }


def _prepare_sqlite(engine: Any) -> None:
    """WAL lets readers go on beside the one writer; a write takes its lock at the start, so that it never
    has to give up half-way with "database is locked"."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(READS):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

"""A PostgreSQL cluster in a temporary folder. It refuses to run as root: there it runs as user postgres."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from itertools import count
from pathlib import Path

import psycopg

from tests.servers.programs import MissingProgram, Program, Server, find_program, free_port

USER = "nightshift"
PACKAGE = "postgresql"
# Debian keeps the binaries of each version apart, and off the path.
VERSIONS = Path("/usr/lib/postgresql")
# A database that nobody needs after a crash of the machine may be quick.
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresServer(Server):
    def __init__(self) -> None:
        self._initdb, self._postgres = (_binary(name) for name in ("initdb", "postgres"))
        self._user = _other_user()
        super().__init__()
        self.port = free_port()
        self._numbers = count(1)
        self._program: Program | None = None

    @property
    def pid(self) -> int:
        assert self._program is not None, "it is stopped"
        return self._program.pid

    def start(self) -> None:
        data = self.folder / "data"
        if not data.exists():
            self._make(data)
        command = [self._postgres, "-D", str(data), "-p", str(self.port)]
        settings = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300", *QUICK)
        for setting in settings:
            command += ["-c", setting]
        # SIGQUIT and not SIGKILL when we are gone: it tells its own children, and frees its shared memory.
        self._program = Program(command, self.folder / "postgres.log", self._user, signal.SIGQUIT)
        self._program.wait_until(self.answers)

    def stop(self) -> None:
        """At once: clients that are connected lose their connection."""
        if self._program is not None:
            self._program.stop(signal.SIGQUIT)
            self._program = None

    def answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def new_database(self, template: str = "template1") -> str:
        """The SQLAlchemy URL of an empty database, or of a copy of the `template`, an earlier URL."""
        name = f"test_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template.rpartition("/")[2]}"'.encode())
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)'.encode())

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _make(self, data: Path) -> None:
        if self._user is not None:
            shutil.chown(self.folder, self._user, self._user)
        command = [self._initdb, "-D", str(data), "-U", USER, "--auth", "trust", "--encoding", "UTF8"]
        subprocess.run(
            [*command, "--locale", "C", "--no-sync", "--no-instructions"],
            user=self._user, group=self._user, extra_groups=None if self._user is None else [],
            cwd=self.folder, check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def _binary(name: str) -> str:
    """Of the newest version that is installed."""
    versions = sorted(
        VERSIONS.glob("*/bin"), key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))]
    )
    return find_program(name, PACKAGE, versions[-1] if versions else None)


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise MissingProgram("the user postgres", PACKAGE) from None

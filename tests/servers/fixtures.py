"""Real servers for a whole session of tests, each started when the first test asks for it.

A machine without one skips its tests with the reason. Where NIGHTSHIFT_TEST_SERVERS is `required`, as in CI,
that is a failure.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer
from tests.servers.programs import MissingProgram, Server
from tests.servers.redis import RedisServer

ServerKind = TypeVar("ServerKind", bound=Server)


@contextmanager
def started(make: Callable[[], ServerKind]) -> Iterator[ServerKind]:
    try:
        server = make()
    except MissingProgram as missing:
        if os.environ.get("NIGHTSHIFT_TEST_SERVERS") == "required":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with started(RedisServer) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with started(PostgresServer) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[CephServer]:
    """Five processes and some 500 MB, started in a second or two."""
    with started(CephServer) as server:
        yield server

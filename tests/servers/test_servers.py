"""The servers that the other tests lean on do what those tests expect of them."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest
import redis

from tests.servers import fixtures
from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer
from tests.servers.programs import MissingProgram, find_program
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.servers


def test_a_redis_that_was_killed_comes_back_empty_at_the_same_address(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("key", "value")
    redis_server.kill()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    redis_server.start()
    assert client.get("key") is None


def test_a_database_can_be_copied(postgres_server: PostgresServer) -> None:
    first = postgres_server.new_database()
    with psycopg.connect(first.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE things (name text)")
    copy = postgres_server.new_database(template=first)
    with psycopg.connect(copy.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    postgres_server.drop_database(copy)
    postgres_server.drop_database(first)


def test_what_is_stored_outlives_a_restart_of_the_gateway(s3_server: CephServer) -> None:
    bucket, client = s3_server.new_bucket(), s3_server.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"kept")
    s3_server.stop()
    assert not s3_server.answers()
    s3_server.start()
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"kept"


@pytest.mark.usefixtures("redis_server")
def test_a_server_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    program = """
        import os, signal
        from tests.servers.redis import RedisServer
        with RedisServer() as server:
            print(server.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command,
        check=False,
        cwd=root,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert ends(int(done.stdout))


def test_a_program_that_is_missing_names_its_package() -> None:
    with pytest.raises(MissingProgram, match="package some-package"):
        find_program("nightshift-no-such-program", "some-package")


def test_a_missing_server_skips_a_test_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> RedisServer:
        raise MissingProgram("redis-server", "redis-server")

    monkeypatch.delenv("NIGHTSHIFT_TEST_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="package redis-server"), fixtures.started(missing):
        pass
    monkeypatch.setenv("NIGHTSHIFT_TEST_SERVERS", "required")
    with pytest.raises(pytest.fail.Exception, match="package redis-server"), fixtures.started(missing):
        pass


def ends(pid: int) -> bool:
    """Whether a process that is not our child ends within a while."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 20.0)[0])
    finally:
        os.close(process)

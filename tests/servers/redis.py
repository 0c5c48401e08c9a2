"""A Redis without persistence: killed, it forgets everything, which is what the tests want of it."""

import signal

import redis

from tests.servers.programs import Program, Server, find_program, free_port


class RedisServer(Server):
    """`extra` are further settings, such as `maxmemory_policy="allkeys-lru"`."""

    def __init__(self, **extra: str) -> None:
        self._binary = find_program("redis-server", "redis-server")
        super().__init__()
        self.port = free_port()
        self._extra = {"maxmemory_policy": "noeviction", **extra}
        self._program: Program | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._program is not None, "it is stopped"
        return self._program.pid

    def start(self) -> None:
        """On the same port as before, and empty."""
        command = [self._binary, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        for name, value in self._extra.items():
            command += [f"--{name.replace('_', '-')}", value]
        self._program = Program(command, self.folder / "redis.log")
        self._program.wait_until(self.answers)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would: no word to its clients."""
        self._end(signal.SIGKILL)

    def answers(self) -> bool:
        client = self.client()
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5.0)

    def _end(self, number: int) -> None:
        if self._program is not None:
            self._program.stop(number)
            self._program = None

"""How the API bears many clients that look at their job once a second, while it runs or is restarted.

Every poller has a connection of its own and sends the ETag of the answer before; together their requests are
spread over the second. An answer is wrong if it is neither the job nor 304 for it. It was dropped if it
broke off, or did not come on a connection that was opened for it: SIGTERM must not do that. A connection that
was refused, or closed while it was idle, is the client's to open again.

    python -m benchmarks.pollers --pollers 500 --seconds 30
    python -m benchmarks.pollers --pollers 500 --seconds 30 --restart term
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.api_server import ApiServer, running_api, stock

PERIOD_SECONDS = 1.0
RESTART_EVERY_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
STOPS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "term": subprocess.Popen.terminate,
    "kill": subprocess.Popen.kill,
}


class Broken(Exception):
    """The connection ended; `is_within`: in the middle of an answer."""

    def __init__(self, is_within: bool) -> None:
        super().__init__()
        self.is_within = is_within


@dataclass(slots=True)
class Tally:
    seconds: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        counted = sum(self.answers[name] for name in ("200", "304"))
        steps = statistics.quantiles(self.seconds, n=100) if len(self.seconds) > 1 else [0.0] * 99
        return {
            "answers": counted,
            "p50_ms": round(steps[49] * 1000, 2),
            "p99_ms": round(steps[98] * 1000, 2),
            "slowest_ms": round(max(self.seconds, default=0.0) * 1000, 2),
            "share_304": round(self.answers["304"] / max(counted, 1), 4),
            **{name: self.answers[name] for name in ("refused", "reset", "dropped")},
            "wrong": len(self.wrong),
        }


class Poller:
    """One client, in plain asyncio: a library would take more of the processor than the server does."""

    def __init__(self, server: ApiServer, job_id: str, tally: Tally) -> None:
        self._server = server
        self._job_id = job_id
        self._tally = tally
        self._etag = ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def poll_until(self, deadline: float, start: float) -> None:
        due = start
        while due < deadline:
            await asyncio.sleep(due - time.monotonic())
            await self._poll()
            due = max(due + PERIOD_SECONDS, time.monotonic())
        self._close()

    async def _poll(self) -> None:
        is_fresh = self._streams is None
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._server.port)
            except OSError:
                self._tally.answers["refused"] += 1
                return
        started = time.monotonic()
        try:
            status, headers, body = await asyncio.wait_for(self._ask(*self._streams), PATIENCE_SECONDS)
        except (Broken, OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._close()
            is_within = isinstance(error, Broken) and error.is_within
            # Between two requests a server may close a connection; the client cannot know it yet.
            self._tally.answers["dropped" if is_fresh or is_within else "reset"] += 1
            return
        self._tally.seconds.append(time.monotonic() - started)
        self._tally.answers[str(status)] += 1
        self._check(status, headers, body)
        if headers.get("connection") == "close":
            self._close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, dict[str, str], bytes]:
        lines = [
            f"GET /v1/jobs/{self._job_id} HTTP/1.1",
            f"Host: 127.0.0.1:{self._server.port}",
            f"Authorization: Bearer {self._server.key}",
            *([f"If-None-Match: {self._etag}"] if self._etag else []),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise Broken(is_within=bool(error.partial)) from None
        status_line, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest) if name}
        status = int(status_line.split()[1])
        try:
            body = await reader.readexactly(0 if status == 304 else int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError:
            raise Broken(is_within=True) from None
        return status, headers, body

    def _check(self, status: int, headers: dict[str, str], body: bytes) -> None:
        is_known = status == 304 and bool(self._etag) and headers.get("etag") == self._etag
        if status == 200 and json.loads(body)["id"] == self._job_id:
            self._etag = headers["etag"]
        elif not is_known:
            self._tally.wrong.append(f"{status}: {body[:200]!r}")

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def poll(server: ApiServer, job_id: str, pollers: int, seconds: float) -> Tally:
    tally = Tally()
    start = time.monotonic() + 0.5
    await asyncio.gather(*(
        Poller(server, job_id, tally).poll_until(start + seconds, start + number / pollers * PERIOD_SECONDS)
        for number in range(pollers)
    ))  # fmt: skip
    return tally


async def restart(server: ApiServer, how: str, seconds: float) -> int:
    """How often it was started again."""
    deadline, times = time.monotonic() + seconds, 0
    while time.monotonic() + RESTART_EVERY_SECONDS < deadline:
        await asyncio.sleep(RESTART_EVERY_SECONDS)
        await asyncio.to_thread(server.end, STOPS[how])
        await asyncio.to_thread(server.start)
        times += 1
    return times


async def measure(server: ApiServer, job_id: str, asked: argparse.Namespace) -> tuple[Tally, int]:
    polling = poll(server, job_id, asked.pollers, asked.seconds)
    if asked.restart is None:
        return await polling, 0
    tally, times = await asyncio.gather(polling, restart(server, asked.restart, asked.seconds))
    return tally, times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pollers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--restart", choices=sorted(STOPS), help="every 5 s, by SIGTERM or SIGKILL")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_api(Path(folder)) as server:
        job_id = stock(server).id
        tally, restarts = asyncio.run(measure(server, job_id, asked))
    summary = {"pollers": asked.pollers, "restart": asked.restart, "restarts": restarts, **tally.summary()}
    print(json.dumps(summary, indent=1))
    for each in tally.wrong[:10]:
        print(each)
    return 1 if tally.wrong or (asked.restart != "kill" and tally.answers["dropped"]) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Receivers of webhooks on this machine, and a listener that nobody may ever reach."""

import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from service.jobs.database import Database
from service.jobs.job import Job, JobState
from service.jobs.moves import move_job
from service.jobs.submit import Desk, IngestWish, submit_ingest
from service.webhooks.addresses import Allowance
from service.webhooks.outbox import Outbox
from service.webhooks.records import Delivery
from service.webhooks.store import WebhookStore

HOST = "hooks.test"  # a name that no resolver knows


@dataclass
class Receiver:
    """Writes down what it is sent and answers with the next of `statuses`; with the last one for ever."""

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [204])
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/in?from=night"

    @property
    def allowance(self) -> Allowance:
        return Allowance(frozenset({HOST}), frozenset({HOST}))


def serve(receiver: Receiver) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = {name.lower(): value for name, value in self.headers.items()}
            receiver.requests.append((self.path, sent, body))
            statuses = receiver.statuses
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


class Canary:
    """Listens on every loopback address of this machine; `connections` must stay 0."""

    def __init__(self) -> None:
        four = socket.create_server(("127.0.0.1", 0))
        self.port = int(four.getsockname()[1])
        self._sockets = [four]
        for family, host in ((socket.AF_INET, "127.0.0.53"), (socket.AF_INET6, "::1")):
            try:
                self._sockets.append(socket.create_server((host, self.port), family=family))
            except OSError:
                continue  # no IPv6 here
        for each in self._sockets:
            each.setblocking(False)

    def connections(self) -> int:
        return sum(_accepted(each) for each in self._sockets)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def _accepted(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@dataclass(frozen=True)
class Post:
    """Webhooks of the tenant "local", and jobs that end."""

    database: Database
    desk: Desk
    store: WebhookStore
    outbox: Outbox

    def begin_job(self) -> Job:
        upload_id = f"up-{len(self.desk.jobs.jobs(1000, None))}"
        self.desk.library.add_upload(upload_id, "day.zip", 1, "0" * 64)
        return submit_ingest(self.desk, IngestWish(upload_id))

    def end_job(self, state: JobState = JobState.FAILED) -> str:
        """The id of a new job that has ended."""
        job = self.begin_job()
        if state is JobState.FAILED:
            assert self.desk.jobs.fail(job.id, "empty-dataset", "Nothing in it.")
        elif state is JobState.CANCELLED:
            self.desk.jobs.cancel(job.id)
        else:
            with self.database.writing() as connection:
                for before, after in (
                    (JobState.QUEUED, JobState.RUNNING),
                    (JobState.RUNNING, JobState.PUBLISHING),
                    (JobState.PUBLISHING, JobState.SUCCEEDED),
                ):
                    assert move_job(connection, job.id, [before], after)
        return job.id

    def delivery(self, webhook_id: str) -> Delivery:
        (found,) = self.store.deliveries(webhook_id, 10)
        return found


def to_loopback(_host: str, _port: int) -> list[str]:
    """A resolver that bends every name to this machine."""
    return ["127.0.0.1"]


def words(text: str) -> list[str]:
    return text.split()

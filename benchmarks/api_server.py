"""A real API on a port of its own, with something in it to ask for. No worker: nothing changes by itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.access.key_store import KeyStore
from service.access.scopes import ALL_SCOPES
from service.api.dependencies import Services
from service.app import open_services
from service.datasets.dataset import Split
from service.datasets.manifest import canonical_json
from service.jobs.job import Job, Shard, ShardPlan
from service.jobs.leases import LeaseStore
from service.jobs.submit import IngestWish, TranslationWish, submit_ingest, submit_translation
from service.settings import Settings
from service.stack import free_port
from service.storage import keys
from service.storage.object_store import ObjectStore

TENANT = "local"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
# Limits on requests would be all that is measured.
WITHOUT_LIMITS = {
    "NIGHTSHIFT_REQUESTS_PER_SECOND": "0",
    "NIGHTSHIFT_FAILED_KEYS_PER_MINUTE": "1000000",
    "NIGHTSHIFT_MAX_ACTIVE_JOBS": "1000000",
}


class ApiServer:
    """`folder` keeps its data and its log; it may be stopped, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder / "data")
        self.log = folder / "api.log"
        self.port = free_port()
        self.key = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        environment = {**os.environ, **WITHOUT_LIMITS, "NIGHTSHIFT_DATA_DIR": str(self.settings.data_dir)}
        command = [sys.executable, "-m", "service.server", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The API did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def end(self, stop: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """`stop` is `subprocess.Popen.terminate` or `.kill`."""
        if self._process is not None:
            stop(self._process)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_api(folder: Path) -> Iterator[ApiServer]:
    server = ApiServer(folder)
    services = open_services(server.settings)
    server.key = KeyStore(services.database, TENANT).create("benchmark", ALL_SCOPES).text
    services.database.close()
    server.start()
    try:
        yield server
    finally:
        server.end(subprocess.Popen.terminate)


def stock(server: ApiServer) -> Job:
    services = open_services(server.settings)
    try:
        return stock_services(services)
    finally:
        services.database.close()


def stock_services(services: Services, frames: int = 3, upload_id: str = "up-stock") -> Job:
    """A dataset as its ingest leaves it, and a translation of it that has begun: that job."""
    desk, store = services.desk, services.store
    desk.library.add_upload(upload_id, "day.zip", 22, "0" * 64)
    store.write(keys.upload(upload_id), b"PK\x05\x06" + bytes(18))
    ingest = submit_ingest(desk, IngestWish(upload_id=upload_id, name="stock"))
    dataset_id = str(ingest.result_id)
    _finish(desk.leases, ingest.id, ShardPlan(0, 1, 0, frames))
    _store_frames(store, dataset_id, frames)
    store.write(keys.report(ingest.id), b'{"totals": {}, "findings": []}')
    counts = {"frames": frames, "boxes": 0, "splits": {"train": frames}, "findings": {}}
    found = {"counts": counts, "categories": ["car"], "format": "yolo"}
    desk.leases.finish_publish(_claim(desk.leases, ingest.id, 2), {}, found)
    job = submit_translation(desk, TranslationWish(dataset_id, "identity"))
    desk.leases.finish_plan(_claim(desk.leases, job.id, 0), [ShardPlan(0, 1, 0, frames)], {})
    return desk.jobs.job(job.id)


def _finish(leases: LeaseStore, job_id: str, plan: ShardPlan) -> None:
    leases.finish_plan(_claim(leases, job_id, 0), [plan], {})
    leases.finish_work(_claim(leases, job_id, 1), plan.frames_total, 0, [])


def _claim(leases: LeaseStore, job_id: str, index: int) -> Shard:
    shard = leases.claim(job_id, index, "stock")
    assert shard is not None
    return shard


def _store_frames(store: ObjectStore, dataset_id: str, frames: int) -> None:
    lines = []
    for number in range(frames):
        name, image = f"f{number}", keys.image(Split.TRAIN, f"f{number}", ".jpg")
        size = {"width_px": 8, "height_px": 8}
        frame = {"name": f"{name}.jpg", "id": name, "split": "train", **size, "boxes": []}
        lines.append(canonical_json({"frame": frame, "image": image, "sha256": "0" * 64}))
        store.write(keys.dataset(dataset_id, image), b"no real image")
        store.write(keys.dataset(dataset_id, keys.label(Split.TRAIN, name)), b"")
    store.write(keys.manifest(dataset_id), ("\n".join(lines) + "\n").encode())
    store.write(keys.card(dataset_id), b"{}")
    store.write(keys.data_yaml(dataset_id), b"names: {0: car}\n")

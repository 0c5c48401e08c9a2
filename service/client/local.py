"""Everything on this machine: the service as long as a command runs, and the demo."""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from service.api.views import GeneratorView
from service.catalogue import BUNDLED, find_generator
from service.client.client import Client, ServerUnreachable
from service.client.credentials import remember_key
from service.client.folder import UploadSource, refuse_used
from service.client.output import err, out, print_dataset
from service.client.progress import duration, job_bar, transfer
from service.errors import NightshiftError
from service.listening import Listening
from service.stack import Stack, free_port

START_SECONDS = 120.0


class DidNotStart(NightshiftError):
    code = "did-not-start"

    def __init__(self, stack: Stack) -> None:
        super().__init__("The service did not start.", f"Its logs are in {stack.log_dir}.")


def serve(data: Path, listening: Listening, workers: int, trainers: int) -> None:
    """Until Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    with Stack(data, listening.port, workers, trainers, listening) as stack:
        remember_key(stack.url, stack.key)
        wait_until_ready(stack)
        out.print(
            f"Nightshift is up: [bold]{stack.url}[/bold]   (its API: {stack.url}/openapi.json)",
            soft_wrap=True,
        )
        out.print(f"The page, for you alone: {stack.page_url}", soft_wrap=True, markup=False)
        out.print(f"Everything is kept in {stack.data_dir}; logs in {stack.log_dir}.", soft_wrap=True)
        out.print("Commands here find their API key; for other programs: nightshift key", soft_wrap=True)
        out.print("Stop with Ctrl-C.")
        try:
            stack.watch()
        except KeyboardInterrupt:
            out.print("Stopping; work in progress is given back and goes on at the next start.")


def wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + START_SECONDS
    # Whether our own child answers on this machine; its certificate is for the name that others call it by.
    transport = httpx.HTTPTransport(verify=False) if stack.listening.tls_cert else None
    with Client(stack.url, transport, stack.key) as client:
        while not client.is_ready():
            stack.mend()
            if time.monotonic() > deadline:
                raise DidNotStart(stack)
            time.sleep(0.2)


@contextmanager
def private_stack(beside: Path) -> Iterator[Client]:
    """A service of one's own that is gone afterwards, its data on the disk of the result."""
    beside.absolute().parent.mkdir(parents=True, exist_ok=True)
    data_dir = Path(tempfile.mkdtemp(prefix=".nightshift-", dir=beside.absolute().parent))
    try:
        with Stack(data_dir, free_port()) as stack:
            wait_until_ready(stack)
            with Client(stack.url, key=stack.key) as client:
                yield client
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


def run(
    path: Path, generator: str, target: Path, form: str, ingest: dict[str, Any], translation: dict[str, Any]
) -> dict[str, Any]:
    """Upload, translate, download. Returns where everything lies."""
    signal.signal(signal.SIGTERM, _interrupt)
    refuse_used(target)
    source = UploadSource(path)
    started = time.monotonic()
    err.print("Starting a private service …")
    with private_stack(target) as client:
        with transfer(err, f"Uploading {source.filename}", source.size_bytes) as advance:
            upload_id = client.upload(path, advance, source)
        with job_bar(err, "Reading") as show:
            day = client.wait_for_dataset(client.create_dataset(upload_id, **ingest), show)
        print_dataset(day, err)
        with job_bar(err, "Translating") as show:
            job = client.wait(client.translate(day.id, generator, **translation), show)
        night = client.dataset(str(job.result_id))
        with transfer(err, "Downloading", None) as advance:
            client.download(night.id, target, form, advance)
        sheet = client.contact_sheet(job.id, target / "contact-sheet.jpg")
    return {
        "folder": str(target.absolute()),
        "contact_sheet": str(sheet.absolute()),
        "card": str((target / "card.json").absolute()),
        "format": form,
        "frames": night.counts["frames"],
        "boxes": night.counts["boxes"],
        "findings": {**day.counts["findings"], **night.counts["findings"]},
        "images_per_second": job.progress.images_per_second,
        "seconds": round(time.monotonic() - started, 1),
    }


def demo(path: Path | None, target: Path) -> None:
    """The drawn streets or the user's own data, by day and by night."""
    if path is not None:
        print_made(run(path, "camera-night", _fresh(target), "yolo", {}, {}))
        return
    # numpy and Pillow, for this command alone
    from service.demo.dataset import write_demo_dataset  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="nightshift-demo-") as folder:
        err.print("Drawing street scenes …")
        day = write_demo_dataset(Path(folder) / "bdd100k")
        print_made(
            run(day, "camera-night", _fresh(target), "yolo", {"select": {"timeofday": ["daytime"]}}, {})
        )


def print_made(made: dict[str, Any]) -> None:
    speed = f", {made['images_per_second']:.1f} images/s" if made["images_per_second"] else ""
    out.print(f"{made['frames']} frames with {made['boxes']} boxes in {duration(made['seconds'])}{speed}")
    out.print(f"new dataset     {made['folder']}", soft_wrap=True, markup=False)
    out.print(f"contact sheet   {made['contact_sheet']}", soft_wrap=True, markup=False)
    out.print(f"card            {made['card']}", soft_wrap=True, markup=False)
    if made["format"] == "yolo":
        out.print(f"train on it     yolo train data={made['folder']}/data.yaml", soft_wrap=True, markup=False)


def catalogue(server: str) -> list[GeneratorView]:
    try:
        with Client(server) as client:
            return client.generators()
    except ServerUnreachable:
        return [GeneratorView(**card.to_json(), reference=card.reference) for card in BUNDLED]


def card(server: str, reference: str) -> GeneratorView:
    """Of the server's catalogue; without a server, of those that are bundled."""
    try:
        with Client(server) as client:
            return client.generator(reference)
    except ServerUnreachable:
        found = find_generator(reference, ())
        return GeneratorView(**found.to_json(), reference=found.reference)


def _fresh(target: Path) -> Path:
    """Where to put the demo: the folder asked for, or the next free name beside it."""
    number = 1
    fresh = target
    while fresh.exists() and (not fresh.is_dir() or any(fresh.iterdir())):
        number += 1
        fresh = target.with_name(f"{target.name}-{number}")
    return fresh


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt

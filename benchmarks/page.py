"""How quickly the page opens on a dataset of BDD100K's size, and whether its grid scrolls without a stall.

A service of its own with drawn streets; their frames are repeated in a manifest of so many lines, the images
as links. Measured in Chromium: when the answer began, when something was first painted, and while the grid is
scrolled through the longest time between two pictures on the screen.

    python -m benchmarks.page --frames 36728
"""

import argparse
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import insert, select

from benchmarks.record import write_record
from service.client.client import Client
from service.client.local import wait_until_ready
from service.datasets.manifest import canonical_json
from service.demo.dataset import write_demo_dataset
from service.jobs.database import Database
from service.jobs.tables import datasets
from service.settings import Settings
from service.stack import Stack, free_port
from service.storage import keys

LARGE = "ds-000000000000"
DRAWN = 24
SCREEN = {"width": 1280, "height": 860}
SCROLL_STEPS = 600
OPENED = """() => {
    const [answer] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { server_ms: Math.round(answer.responseStart - answer.requestStart),
             first_paint_ms: Math.round(paint.startTime) };
}"""
SCROLLED = """async (steps) => {
    const gaps = [];
    let last = performance.now();
    for (let step = 0; step < steps; step++) {
        scrollBy(0, 60);
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    gaps.sort((one, other) => one - other);
    return { tiles: document.querySelectorAll(".frame").length,
             p50_ms: Math.round(gaps[steps >> 1]), p99_ms: Math.round(gaps[Math.floor(steps * 0.99)]),
             longest_ms: Math.round(gaps.at(-1)) };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=36_728)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "data", free_port()) as stack:
        wait_until_ready(stack)
        _ingest(stack, Path(folder) / "streets")
        found = _measure(stack, _enlarge(stack, asked.frames))
    print(json.dumps(found, indent=1))
    write_record("page", torch.device("cpu"), {"frames": asked.frames, **found})


def _ingest(stack: Stack, folder: Path) -> None:
    write_demo_dataset(folder, train=DRAWN, val=0)
    with Client(stack.url, key=stack.key) as client:
        client.wait_for_dataset(client.create_dataset(client.upload(folder), name="streets"))


def _enlarge(stack: Stack, frames: int) -> str:
    """A dataset whose frames are the drawn ones again and again; the path of one of them in its middle."""
    database = Database.of(Settings(data_dir=stack.data_dir))
    try:
        with database.reading() as connection:
            row = dict(connection.execute(select(datasets)).mappings().one())
        store = stack.data_dir / "store"
        lines = (store / keys.manifest(row["id"])).read_text().splitlines()
        ids = _write_frames(store, row["id"], [json.loads(line) for line in lines], frames)
        counts = {**row["counts"], "frames": frames, "boxes": row["counts"]["boxes"] * frames // len(lines)}
        with database.writing() as connection:
            connection.execute(
                insert(datasets).values(**{**row, "id": LARGE, "name": "large", "counts": counts})
            )
    finally:
        database.close()
    return ids[frames // 2]


def _write_frames(store: Path, source_id: str, entries: list[dict[str, Any]], frames: int) -> list[str]:
    images = store / keys.dataset(LARGE, "images/train")
    images.mkdir(parents=True)
    shutil.copy(store / keys.card(source_id), store / keys.card(LARGE))
    ids = []
    with (store / keys.manifest(LARGE)).open("w") as manifest:
        for number, entry in enumerate(itertools.islice(itertools.cycle(entries), frames)):
            frame_id = f"{number:08x}-{entry['frame']['id'][:8]}"
            frame = {**entry["frame"], "id": frame_id, "name": f"{frame_id}.jpg", "split": "train"}
            image = keys.image("train", frame_id, ".jpg")
            os.link(store / keys.dataset(source_id, entry["image"]), store / keys.dataset(LARGE, image))
            manifest.write(canonical_json({**entry, "frame": frame, "image": image}) + "\n")
            ids.append(frame_id)
    return ids


def _measure(stack: Stack, middle_id: str) -> dict[str, Any]:
    grid = f"/datasets/{LARGE}/frames"
    opened = {
        "dataset": f"/datasets/{LARGE}",
        "grid": grid,
        "grid of one category": f"{grid}?category=train",
        "grid by part of a name, at the end": f"{grid}?text=00008f7",
        "frame, first time": f"{grid}/train/{middle_id}",
        "frame, again": f"{grid}/train/{middle_id}",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SCREEN)  # type: ignore[arg-type]
        page.goto(stack.page_url)
        found = {name: _open(page, stack.url + path) for name, path in opened.items()}
        _open(page, stack.url + grid)
        found["scrolling the grid"] = page.evaluate(SCROLLED, SCROLL_STEPS)
        browser.close()
    return found


def _open(page: Page, url: str) -> dict[str, Any]:
    page.goto(url, wait_until="networkidle")
    measured: dict[str, Any] = page.evaluate(OPENED)
    return measured


if __name__ == "__main__":
    main()

"""What must hold before hours are spent on training: each refusal names the thing and the cure."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from models.near_duplicates import CELLS, Fingerprint, Fingerprints, fingerprint, near_pairs
from service.errors import InvalidRequest
from service.storage.object_store import ObjectStore
from workers.experiment.frames import ExperimentFrame, Labels, Role, of_role

NAMED = 5
SMALL_PX = 256


class TestLeaked(InvalidRequest):
    """Frames of the test set are among those that are trained on."""

    code = "test-leaked"


def refuse_unscorable(frames: Sequence[ExperimentFrame], labels: Labels) -> None:
    """Raises:
    InvalidRequest: the test frames have no box, or none of a category that is trained on.
    """
    learnt, tested = (_categories(of_role(frames, role), labels) for role in (Role.TRAIN, Role.TEST))
    if not tested:
        raise InvalidRequest(
            f"The test frames have no box of {', '.join(labels.learnt)}.",
            "Choose labelled frames to test on, or map their categories with --map-category FROM=TO.",
        )
    if not learnt & tested.keys():
        raise InvalidRequest(
            f"Trained is on {_named(learnt) or 'no box at all'}, tested on {_named(tested)}: no category is"
            " in both.",
            "Map categories with --map-category FROM=TO, or choose other datasets.",
        )


def leakage(frames: Sequence[ExperimentFrame], store: ObjectStore) -> dict[str, Any]:
    """Test frames that are trained or validated on: the same bytes, or nearly the same picture."""
    tested = of_role(frames, Role.TEST)
    others = [frame for frame in frames if frame.role is not Role.TEST]
    identical = list(_identical(tested, others))
    found = {pair["test"] for pair in identical}
    # a translated frame looks like the frame it was made from, which is nearly always among them
    known = {frame.sha256 for frame in others}
    looked_at = [frame for frame in others if not frame.is_translated or frame.origin not in known]
    unclear = [frame for frame in tested if frame.name not in found]
    pairs = near_pairs(_fingerprints(unclear, store), _fingerprints(looked_at, store))
    near = [
        {**_pair(unclear[pair.tested], looked_at[pair.other]), "changed_cells": pair.changed_cells}
        for pair in pairs
    ]
    return {"frames_compared": len(others), "identical": identical, "near_duplicates": near}


def refuse_leakage(found: Mapping[str, Any]) -> None:
    pairs = [*found["identical"], *found["near_duplicates"]]
    if pairs:
        examples = ", ".join(f"{pair['test']} = {pair['other']} ({pair['data']})" for pair in pairs[:NAMED])
        names = {pair["test"] for pair in pairs}
        raise TestLeaked(
            f"{len(names)} test frames are also trained or validated on, byte for byte or nearly: {examples}"
            f"{', …' if len(pairs) > NAMED else ''}. Scores on them would flatter.",
            "Choose other test frames; with --allow-leakage the experiment runs all the same and says so.",
        )


def _identical(
    tested: Iterable[ExperimentFrame], others: Iterable[ExperimentFrame]
) -> Iterator[dict[str, str]]:
    known: dict[str, ExperimentFrame] = {}
    for frame in others:
        known.setdefault(frame.sha256, frame)
        known.setdefault(frame.origin, frame)
    for frame in tested:
        other = known.get(frame.sha256) or known.get(frame.origin)
        if other is not None:
            yield _pair(frame, other)


def _pair(test: ExperimentFrame, other: ExperimentFrame) -> dict[str, str]:
    return {"test": test.name, "other": other.name, "data": other.data}


def _fingerprints(frames: Sequence[ExperimentFrame], store: ObjectStore) -> Fingerprints:
    def of(frame: ExperimentFrame) -> Fingerprint:
        with Image.open(io.BytesIO(store.read(frame.image)), formats=["JPEG", "PNG"]) as image:
            image.draft("L", (SMALL_PX, SMALL_PX))  # a JPEG is read at a fraction of its size
            return fingerprint(image)

    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(of, frames))
    return np.array(rows, np.int8).reshape(len(rows), CELLS, CELLS)


def _categories(frames: Iterable[ExperimentFrame], labels: Labels) -> Counter[str]:
    return Counter(labels.learnt[number] for frame in frames for number in frame.categories)


def _named(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in islice(counts.most_common(), 10))

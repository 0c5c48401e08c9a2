"""From detections in the store to the numbers of a report."""

import io
from typing import Any

import numpy as np
import pytest

from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.experiment.detector import run_prefix
from workers.experiment.frames import ExperimentFrame, Role
from workers.experiment.results import Results, read_test_set, split_by_frame

PLAN = "jobs/job-1/plan.jsonl"
CAR, BUS = 0, 1
LEFT, RIGHT = (4.0, 4.0, 24.0, 24.0), (40.0, 10.0, 60.0, 40.0)


def frame(number: int, scene: str = "", **more: Any) -> ExperimentFrame:
    given = {"boxes": (LEFT, RIGHT), "categories": (CAR, CAR), **more}
    name = f"{number}.png"
    return ExperimentFrame(
        "test", Role.TEST, name, name, f"sha{number}", f"sha{number}", 64, 48, scene or name, **given
    )


@pytest.fixture
def pictures(store: ObjectStore, kit: Any) -> ObjectStore:
    """Four frames: the left half dark, the right half light."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = 20, 200
    for number in range(4):
        store.write(f"{number}.png", kit.encoded(pixels, "PNG"))
    return store


def spec(arms: list[str], **more: Any) -> dict[str, Any]:
    listed = [{"name": name, "enhance": None, "parts": []} for name in arms]
    return {"arms": listed, "seeds": [0], "baseline": arms[0], "upper_bound": None, "resamples": 50, **more}


def keep(store: ObjectStore, arm: int, rows: list[tuple[float, ...]], seed: int = 0) -> None:
    """Rows of frame number, xyxy, confidence, category."""
    data = io.BytesIO()
    np.save(data, np.array(rows, np.float32).reshape(-1, 7))
    store.write(f"{run_prefix(PLAN, arm, seed)}/{keys.DETECTIONS}", data.getvalue())


def everything(frames: int) -> list[tuple[float, ...]]:
    return [(number, *box, 0.9, CAR) for number in range(frames) for box in (LEFT, RIGHT)]


def test_boxes_are_as_bright_as_the_image_is_there(pictures: ObjectStore) -> None:
    (truth,) = read_test_set(pictures, [frame(0)], ["car"]).truths
    assert truth.luma.tolist() == [20, 200]


def test_an_ignored_region_counts_neither_way_for_any_category(pictures: ObjectStore) -> None:
    test = read_test_set(
        pictures, [frame(0, boxes=(LEFT,), categories=(CAR,), ignored=(RIGHT,))], ["car", "bus"]
    )
    keep(pictures, 0, [(0, *LEFT, 0.5, CAR), (0, *RIGHT, 0.9, CAR), (0, *RIGHT, 0.9, BUS)])
    scores = Results(spec(["day"]), test, pictures, PLAN).arm_scores(0)
    assert scores["scores"]["map50"]["mean"] == 1.0
    assert scores["by_category"]["bus"] == {"boxes": 0}


def test_an_arm_that_sees_all_is_told_from_one_that_sees_half(pictures: ObjectStore) -> None:
    test = read_test_set(pictures, [frame(number) for number in range(4)], ["car"])
    keep(pictures, 0, [row for row in everything(4) if row[1:5] == LEFT])
    keep(pictures, 1, everything(4))
    results = Results(spec(["day", "all", "bound"], upper_bound="bound"), test, pictures, PLAN)
    keep(pictures, 2, everything(4))
    by_metric = {(each["arm"], each["metric"]): each for each in results.differences()}
    # of 101 recalls those up to a half are reached: 51
    assert by_metric["all", "map50"]["difference"] == pytest.approx(1 - 51 / 101)
    assert by_metric["all", "map50"]["interval"] == pytest.approx([1 - 51 / 101] * 2)
    assert by_metric["all", "map50"]["units_needed"] is None
    assert results.gap_closed() == [{"arm": "all", "value": 1.0, "interval": [1.0, 1.0], "skipped": 0}]
    assert results.arm_scores(0)["by_brightness"]["dark"]["recall"]["mean"] == 1.0
    assert results.arm_scores(0)["by_brightness"]["bright"]["recall"]["mean"] == 0.0


def test_spread_over_seeds_is_theirs_and_of_one_seed_there_is_none(pictures: ObjectStore) -> None:
    test = read_test_set(pictures, [frame(0)], ["car"])
    keep(pictures, 0, everything(1), seed=0)
    keep(pictures, 0, [], seed=1)
    two = Results(spec(["day"], seeds=[0, 1]), test, pictures, PLAN).arm_scores(0)["scores"]["map50"]
    assert two == {"mean": 0.5, "sd": pytest.approx(np.sqrt(0.5))}
    one = Results(spec(["day"]), test, pictures, PLAN).arm_scores(0)["scores"]["map50"]
    assert one == {"mean": 1.0, "sd": None}


def test_frames_shown_are_those_the_arms_differ_on_one_of_each_scene_first(pictures: ObjectStore) -> None:
    frames = [frame(number, scene) for number, scene in enumerate(("a", "a", "b", "c"))]
    test = read_test_set(pictures, frames, ["car"])
    keep(pictures, 0, [])
    keep(
        pictures, 1, [(0, *LEFT, 0.9, CAR), (0, *RIGHT, 0.9, CAR), (1, *LEFT, 0.9, CAR), (2, *LEFT, 0.9, CAR)]
    )
    contested = Results(spec(["day", "more"]), test, pictures, PLAN).most_contested(9)
    assert contested == [(0, 2.0), (2, 1.0), (1, 1.0)]


def test_detections_go_to_their_frames_whatever_their_order() -> None:
    rows = np.array([[2, 0, 0, 1, 1, 0.5, 1], [0, 0, 0, 2, 2, 0.25, 0], [2, 0, 0, 3, 3, 1, 0]], np.float32)
    first, second, third, fourth = split_by_frame(rows, 4)
    assert [len(each) for each in (first, second, third, fourth)] == [1, 0, 2, 0]
    assert third.score.tolist() == [0.5, 1.0]

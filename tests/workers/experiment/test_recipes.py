"""From an arm's recipe to a list of frames."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from workers.experiment.frames import ExperimentFrame, Role, shuffled
from workers.experiment.recipes import training_frames

SPEC: dict[str, Any] = {"scales": False, "frames_at_most": None, "arms": []}


def frame(data: str, number: int, origin: str = "", role: Role = Role.TRAIN) -> ExperimentFrame:
    own = f"{data}-{number}"
    return ExperimentFrame(data, role, f"{own}.jpg", f"{own}.jpg", own, origin or own, 64, 48, own)


def arm(*parts: tuple[str, float | None, int | None], name: str = "arm") -> dict[str, Any]:
    return {
        "name": name,
        "enhance": None,
        "parts": [{"data": data, "share": share, "frames": frames} for data, share, frames in parts],
    }


def names(frames: list[ExperimentFrame]) -> list[str]:
    return [frame.name for frame in frames]


DAYS = [frame("day", number) for number in range(12)]
NIGHTS = [frame("night", number) for number in range(5)]
TRANSLATED = [frame("synthetic", number, origin=f"day-{number}") for number in range(12)]
ALL = [*DAYS, *NIGHTS, *TRANSLATED, frame("day", 99, role=Role.VALIDATION), frame("test", 1, role=Role.TEST)]


def test_a_plain_name_means_every_frame_to_train_on_once() -> None:
    chosen = training_frames(SPEC, arm(("day", 1.0, None), ("night", 1.0, None)), ALL, 0)
    assert sorted(names(chosen)) == sorted(names([*DAYS, *NIGHTS]))


@given(share=st.floats(0.01, 3.0), seed=st.integers(0, 100))
def test_a_share_shows_every_frame_equally_often(share: float, seed: int) -> None:
    chosen = names(training_frames(SPEC, arm(("day", share, None)), ALL, seed))
    assert len(chosen) == max(1, round(share * len(DAYS)))
    often = [chosen.count(name) for name in names(DAYS)]
    assert max(often) - min(often) <= 1


@given(seed=st.integers(0, 1000))
def test_half_the_day_and_half_its_translations_show_each_scene_once(seed: int) -> None:
    chosen = training_frames(SPEC, arm(("day", 0.5, None), ("synthetic", 0.5, None)), ALL, seed)
    assert sorted(frame.origin for frame in chosen) == sorted(frame.origin for frame in DAYS)


@given(seed=st.integers(0, 1000))
def test_thirds_of_three_translations_show_each_scene_once_at_night(seed: int) -> None:
    sets = {name: [frame(name, n, origin=f"day-{n}") for n in range(12)] for name in ("a", "b", "c")}
    mixed = arm(("day", 1.0, None), *((name, 1 / 3, None) for name in sets))
    chosen = training_frames(SPEC, mixed, [*DAYS, *sets["a"], *sets["b"], *sets["c"]], seed)
    by_night = [frame.origin for frame in chosen if frame.data != "day"]
    assert sorted(by_night) == sorted(frame.origin for frame in DAYS)


def test_seeds_choose_other_halves_and_the_same_seed_the_same() -> None:
    half = arm(("day", 0.5, None))
    assert names(training_frames(SPEC, half, ALL, 0)) == names(training_frames(SPEC, half, ALL[::-1], 0))
    assert set(names(training_frames(SPEC, half, ALL, 0))) != set(names(training_frames(SPEC, half, ALL, 1)))


def test_more_frames_than_there_are_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"'big' asks for 9 frames of 'night', which has 5") as refusal:
        training_frames(SPEC, arm(("night", None, 9), name="big"), ALL, 0)
    assert "night:0.5" in refusal.value.cure


def test_a_preset_shrinks_all_arms_alike_to_what_there_is() -> None:
    """The classic study on 12 day and 5 night frames: 5 + 5 at most, so 10 of the day alone."""
    day, mixed = arm(("day", None, 10_000)), arm(("day", None, 5000), ("night", None, 5000))
    spec = {**SPEC, "scales": True, "arms": [day, mixed]}
    assert len(training_frames(spec, day, ALL, 0)) == 10
    chosen = training_frames(spec, mixed, ALL, 0)
    assert [sum(frame.data == data for frame in chosen) for data in ("day", "night")] == [5, 5]


def test_an_arm_keeps_its_mix_when_it_may_not_be_so_large() -> None:
    spec = {**SPEC, "frames_at_most": 6}
    chosen = training_frames(spec, arm(("day", 1.0, None), ("synthetic", 1.0, None)), ALL, 0)
    assert [sum(frame.data == data for frame in chosen) for data in ("day", "synthetic")] == [3, 3]


def test_the_order_does_not_depend_on_the_order_given() -> None:
    assert names(shuffled(DAYS, 3)) == names(shuffled(reversed(DAYS), 3))

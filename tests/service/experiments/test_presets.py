"""Presets set an experiment up; what the user says goes first."""

import pytest

from service.errors import InvalidRequest
from service.experiments.presets import PRESETS, find_preset
from service.experiments.training import Training


def test_the_classic_study_has_its_three_settings() -> None:
    classic = find_preset("classic")
    arms = [str(arm) for arm in classic.arms(["day", "night", "synthetic"])]
    assert arms == ["day#10000", "day#5000+night#5000", "day#5000+synthetic#5000"]
    assert (classic.detector, classic.scales, classic.test_at_most) == ("yolov5su", True, 2000)
    assert classic.training == Training(epochs=300, batch=16, image_px=512, patience=100)


def test_what_the_user_says_goes_first() -> None:
    training = find_preset("classic").training.with_values({"epochs": 2, "batch": None, "name": "no field"})
    assert (training.epochs, training.batch, training.image_px) == (2, 16, 512)


def test_finetuning_gives_every_arm_as_many_steps_after_one_common_training() -> None:
    finetune = find_preset("finetune")
    assert finetune.training.budget == "steps"
    assert finetune.training.pretrain_steps > finetune.training.steps > 0


@pytest.mark.parametrize("name", [None, *PRESETS])
def test_without_day_the_arms_must_be_written_down(name: str | None) -> None:
    with pytest.raises(InvalidRequest, match="Call one 'day', or write the arms down"):
        find_preset(name).arms(["night"])


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'classic'"):
        find_preset("clasic")

"""The bundled numbers of real night frames."""

import json

import numpy as np

from models.metrics.meter import FrameMeter
from models.metrics.quality import quality
from models.metrics.reference import FRAMES, PRISTINE, bundled_niqe, bundled_reference


def test_it_is_small_and_holds_numbers_only() -> None:
    assert FRAMES.stat().st_size + PRISTINE.stat().st_size < 1_000_000


def test_it_was_measured_with_what_comes_along() -> None:
    assert bundled_reference().yardstick == FrameMeter().yardstick


def test_the_card_counts_its_frames() -> None:
    card = json.loads(FRAMES.with_suffix(".json").read_text())
    assert card["frames"] == sum(card["frames_by_kind"].values()) == len(bundled_reference())
    assert card["name"] == bundled_reference().name


def test_it_is_at_no_distance_from_itself() -> None:
    found = quality(bundled_reference(), bundled_reference())
    assert found.fid.value is not None
    assert abs(found.fid.value) < 1e-6
    # unbiased, so the same frames on both sides, of which each meets itself, are just below zero
    assert found.kid.value is not None
    assert -0.1 < found.kid.value < 0


def test_real_nights_look_like_nights_in_its_figures() -> None:
    found = quality(bundled_reference())
    assert found.share_night.value is not None
    assert found.share_night.value > 0.9
    assert found.niqe.value is not None
    assert 1 < found.niqe.value < 6


def test_callers_get_a_copy_of_their_own() -> None:
    first = bundled_reference()
    first.add(10**9, next(iter(first))[1])
    assert len(bundled_reference()) == len(first) - 1


def test_the_pristine_model_is_a_gaussian() -> None:
    model = bundled_niqe()
    assert np.allclose(model.covariance, model.covariance.T)
    assert np.linalg.eigvalsh(model.covariance).min() > 0

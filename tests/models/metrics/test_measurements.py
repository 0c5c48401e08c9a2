from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import safetensors.numpy

from models.metrics.errors import MeasurementsRejected
from models.metrics.frame import FrameMeasurement
from models.metrics.measurements import Measurements, Yardstick
from models.metrics.quality import quality

Fill = Callable[..., Measurements]
Row = Callable[[int], FrameMeasurement]


def merged(parts: list[Measurements], yardstick: Yardstick) -> Measurements:
    whole = Measurements(yardstick, "set")
    whole.merge(parts)
    return whole


def test_shards_in_any_order_are_one_pass_bit_for_bit(filled: Fill) -> None:
    whole = filled(range(40))
    shards = [filled(range(0, 10)), filled([39, 12, 30]), filled([*range(10, 12), *range(13, 30)])]
    shards.append(filled(range(31, 39)))
    reference = filled(range(100, 130), shift=0.5)
    expected = quality(whole, reference)
    for order in permutations(shards):
        together = merged(list(order), whole.yardstick)
        assert together.to_bytes() == whole.to_bytes()
        assert quality(together, reference) == expected


def test_merging_in_steps_is_merging_at_once(filled: Fill) -> None:
    first, second, third = filled(range(5)), filled(range(5, 9)), filled(range(9, 20))
    second.merge([third])
    first.merge([second])
    assert first.to_bytes() == filled(range(20)).to_bytes()


def test_merging_nothing_changes_nothing(filled: Fill) -> None:
    measurements = filled(range(5))
    measurements.merge([filled([]), filled([])])
    assert measurements.to_bytes() == filled(range(5)).to_bytes()


def test_frames_come_in_order_of_their_numbers(filled: Fill) -> None:
    measurements = filled([5, 2, 9])
    assert [number for number, _ in measurements] == [2, 5, 9]
    assert len(measurements) == 3


@pytest.mark.parametrize("numbers", [[], [3], [7, 0, 2**40]])
def test_rows_survive_the_file(filled: Fill, numbers: list[int]) -> None:
    measurements = filled(numbers, name="a set")
    again = Measurements.from_bytes(measurements.to_bytes())
    assert again.yardstick == measurements.yardstick
    assert again.name == "a set"
    assert list(again) == list(measurements)
    assert again.to_bytes() == measurements.to_bytes()


def test_missing_numbers_survive_the_file(filled: Fill, drawn_row: Row) -> None:
    measurements = filled([])
    row = replace(drawn_row(1), niqe=float("nan"), similarity_outside=float("nan"))
    measurements.add(1, row)
    assert list(Measurements.from_bytes(measurements.to_bytes())) == [(1, row)]


def test_features_are_rounded_once_and_so_the_same_before_and_after_the_file(drawn_row: Row) -> None:
    row = drawn_row(0)
    assert row.features.dtype == np.float32
    assert np.array_equal(row.features, row.features.astype(np.float16))


@pytest.mark.parametrize("features", [[np.nan], [np.inf], [1e6]])
def test_features_beyond_half_precision_are_refused(drawn_row: Row, features: list[float]) -> None:
    with pytest.raises(ValueError, match="finite in half precision"):
        replace(drawn_row(0), features=np.array(features, np.float32))


def test_a_frame_counts_once(filled: Fill, drawn_row: Row) -> None:
    measurements = filled(range(3))
    with pytest.raises(ValueError, match="frame 2 was measured already"):
        measurements.add(2, drawn_row(2))
    with pytest.raises(MeasurementsRejected, match="Frame 2 is in two parts"):
        measurements.merge([filled([2, 3])])


def test_parts_of_another_yardstick_are_refused(filled: Fill) -> None:
    measurements = filled(range(3))
    other = replace(measurements.yardstick, backbone="other")
    with pytest.raises(MeasurementsRejected, match="Measure all parts with the same backbone"):
        measurements.merge([filled([5], yardstick=other)])


def test_rows_of_other_widths_are_refused(filled: Fill, drawn_row: Row) -> None:
    with pytest.raises(ValueError, match="expected 5 features, got 2"):
        filled([]).add(0, replace(drawn_row(0), features=np.zeros(2, np.float32)))


@pytest.mark.parametrize("content", [b"", b"no file", safetensors.numpy.save({"a": np.zeros(3)})])
def test_other_files_are_refused_plainly(content: bytes) -> None:
    with pytest.raises(MeasurementsRejected, match="These are no measurements"):
        Measurements.from_bytes(content)


def test_a_file_cut_short_or_without_a_column_is_refused(filled: Fill) -> None:
    content = filled(range(3)).to_bytes()
    with pytest.raises(MeasurementsRejected):
        Measurements.from_bytes(content[:-8])
    tensors = safetensors.numpy.load(content)
    del tensors["niqe"]
    with pytest.raises(MeasurementsRejected):
        Measurements.from_bytes(safetensors.numpy.save(tensors))

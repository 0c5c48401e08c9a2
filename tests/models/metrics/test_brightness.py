import numpy as np

from models.metrics.brightness import brightness_counts


def test_four_levels_share_a_bin_and_every_pixel_counts_once() -> None:
    luma = np.array([[0, 3, 4], [251, 252, 255]], np.uint8)
    counts = brightness_counts(luma)
    assert counts.dtype == np.uint32
    assert {bin_number: int(count) for bin_number, count in enumerate(counts) if count} == {
        0: 2,
        1: 1,
        62: 1,
        63: 2,
    }

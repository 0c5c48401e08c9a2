from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.tiles import Window, overlap_px, tile_windows, translate_in_tiles

strides = st.sampled_from([1, 4, 16, 32])


@settings(max_examples=60, deadline=None)
@given(strides, st.integers(4, 40), st.integers(1, 60), st.integers(1, 60))
def test_tiles_cover_the_image_and_overlap(stride: int, tile: int, rows: int, columns: int) -> None:
    tile_px = max(128, tile * stride) // stride * stride
    height, width = rows * stride, columns * stride
    windows = tile_windows(height, width, tile_px, stride)
    covered = torch.zeros(height, width, dtype=torch.int)
    for window in windows:
        assert window.top % stride == window.left % stride == 0
        assert (window.height, window.width) == (min(tile_px, height), min(tile_px, width))
        bottom, right = window.top + window.height, window.left + window.width
        assert bottom <= height
        assert right <= width
        covered[window.top : bottom, window.left : right] += 1
    assert covered.min() >= 1
    lefts = sorted({window.left for window in windows})
    overlaps = [one + tile_px - next_one for one, next_one in pairwise(lefts)]
    assert all(overlap >= overlap_px(tile_px) - stride for overlap in overlaps)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_joining_the_parts_of_an_image_gives_the_image(seed: int) -> None:
    image = torch.rand(1, 3, 200, 300, generator=torch.Generator().manual_seed(seed))

    def part(window: Window) -> Tensor:
        bottom, right = window.top + window.height, window.left + window.width
        return image[..., window.top : bottom, window.left : right]

    joined = translate_in_tiles((200, 300), tile_windows(200, 300, 128, 4), part)
    torch.testing.assert_close(joined, image)


def test_one_tile_fades_into_the_next() -> None:
    windows = tile_windows(128, 224, 128, 1)
    assert [window.left for window in windows] == [0, 96]
    values = iter((0.0, 1.0))
    joined = translate_in_tiles(
        (128, 224), windows, lambda _window: torch.full((1, 3, 128, 128), next(values))
    )
    steps = joined[0, 0, 64].diff()
    assert joined[0, 0, 64, :96].max() == 0
    assert joined[0, 0, 64, 128:].min() == 1
    assert steps.min() >= 0
    assert steps.max() < 0.05

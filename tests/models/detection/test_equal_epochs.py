"""Epochs that are no passes: equal steps for unequal amounts of data."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from models.detection.equal_epochs import EqualEpochs

sizes = st.integers(1, 40)


@given(length=sizes, images=sizes, epochs=st.integers(1, 8), seed=st.integers(0, 2**31))
def test_every_image_is_shown_equally_often(length: int, images: int, epochs: int, seed: int) -> None:
    sampler = EqualEpochs(length, images, seed)
    shown = Counter(dict.fromkeys(range(length), 0))
    for _ in range(epochs):
        epoch = list(sampler)
        assert len(epoch) == images == len(sampler)
        shown.update(epoch)
    assert set(shown) == set(range(length))
    assert max(shown.values()) - min(shown.values()) <= 1


@given(length=sizes, images=sizes, epoch=st.integers(0, 8), seed=st.integers(0, 2**31))
def test_an_epoch_is_the_same_for_one_who_begins_there(
    length: int, images: int, epoch: int, seed: int
) -> None:
    throughout, later = EqualEpochs(length, images, seed), EqualEpochs(length, images, seed)
    for _ in range(epoch):
        list(throughout)
    later.epoch = epoch
    assert list(later) == list(throughout)


def test_seeds_shuffle_differently() -> None:
    assert list(EqualEpochs(30, 30, 1)) != list(EqualEpochs(30, 30, 2))

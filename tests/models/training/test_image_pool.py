import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.image_pool import ImagePool


def images(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def values(batch: torch.Tensor) -> list[int]:
    return [int(each) for each in batch[:, 0, 0, 0]]


def stored(pool: ImagePool) -> list[int]:
    return values(torch.stack(pool.state_dict()["images"]))


@given(size=st.integers(1, 6), count=st.integers(0, 40), seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_images_come_out_or_stay_and_none_is_lost(size: int, count: int, seed: int) -> None:
    pool = ImagePool(size, seed)
    out = [values(pool.swap(images(number)))[0] for number in range(count)]
    assert out[:size] == list(range(min(size, count)))
    assert len(pool) == min(size, count)
    # while it fills up, images pass through and stay; afterwards each is either given away or stored
    if count > size:
        assert sorted(out[size:] + stored(pool)) == list(range(count))


@given(count=st.integers(1, 20), part=st.integers(1, 20), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_batches_are_treated_image_by_image(count: int, part: int, seed: int) -> None:
    one_by_one, in_batches = ImagePool(4, seed), ImagePool(4, seed)
    alone = [values(one_by_one.swap(images(number)))[0] for number in range(count)]
    together = [
        value
        for start in range(0, count, part)
        for value in values(in_batches.swap(images(*range(start, min(start + part, count)))))
    ]
    assert alone == together


def test_half_of_the_images_are_swapped_once_the_pool_is_full() -> None:
    pool = ImagePool(50, seed=1)
    out = [values(pool.swap(images(number)))[0] for number in range(2050)]
    passed = sum(number == value for number, value in enumerate(out[50:], start=50))
    assert 900 < passed < 1100


def test_a_pool_of_none_passes_everything_through() -> None:
    pool = ImagePool(0, seed=0)
    assert values(pool.swap(images(1, 2, 3))) == [1, 2, 3]
    assert len(pool) == 0


def test_what_is_stored_does_not_change_with_the_batch_it_came_in() -> None:
    pool = ImagePool(2, seed=0)
    batch = images(1, 2)
    pool.swap(batch)
    batch.zero_()
    assert stored(pool) == [1, 2]


def test_a_restored_pool_goes_on_like_the_one_before() -> None:
    pool = ImagePool(3, seed=5)
    pool.swap(images(*range(7)))
    twin = ImagePool(3, seed=99)
    twin.load_state_dict(pool.state_dict())
    assert values(pool.swap(images(*range(7, 30)))) == values(twin.swap(images(*range(7, 30))))
    assert stored(pool) == stored(twin)

"""The same batches every time, from items that come one by one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def group_by_size(
    items: Iterable[Item], size_of: Callable[[Item], object], batch_size: int, look_ahead: int = 64
) -> Iterator[list[Item]]:
    """Batches of items of one size, the batch of the earliest waiting item first.

    At most `look_ahead` items wait at a time, so that a stream of images needs bounded memory. Which items
    form a batch depends on the sequence alone: a repeated shard writes the same bytes.

    Args:
        items: read only as far as needed.
        size_of: what must be equal within a batch, such as (height, width).
        batch_size: the most items of a batch.
        look_ahead: among how many items partners are looked for.
    """
    if batch_size < 1 or look_ahead < 1:
        raise ValueError(f"batch_size and look_ahead must be positive, got {batch_size} and {look_ahead}")
    source = iter(items)
    waiting = deque((size_of(item), item) for item in islice(source, look_ahead))
    while waiting:
        size = waiting[0][0]
        batch: list[Item] = []
        others: deque[tuple[object, Item]] = deque()
        for candidate_size, item in waiting:
            if candidate_size == size and len(batch) < batch_size:
                batch.append(item)
            else:
                others.append((candidate_size, item))
        yield batch
        others.extend((size_of(item), item) for item in islice(source, look_ahead - len(others)))
        waiting = others

"""Epochs of equal length, so that trainings on unlike amounts of data take equal steps."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from torch.utils.data import Sampler


class EqualEpochs(Sampler[int]):
    """An endless stream of shuffled passes over a dataset, cut into epochs of `images` each.

    Each iteration is the next epoch; set `epoch` to begin with another. At any point no image was shown more
    than once more often than any other.
    """

    def __init__(self, length: int, images: int, seed: int) -> None:
        self._length, self._images, self._seed = length, images, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._images

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self._images
        self.epoch += 1
        return islice(self._from(start), self._images)

    def _from(self, start: int) -> Iterator[int]:
        number, offset = divmod(start, self._length)
        while True:
            dice = np.random.default_rng((self._seed, number))
            yield from dice.permutation(self._length)[offset:].tolist()
            number, offset = number + 1, 0

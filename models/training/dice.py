"""What a training step draws at random: it follows from the seed and the number of the update alone."""

import numpy as np

# Which of the seed's streams of random numbers; a new one goes to the end.
DAY, NIGHT, CAMERA, PATCHES = 0, 1, 2, 3


def patch_dice(seed: int, updates: int) -> np.random.Generator:
    """What is drawn in the update after so many."""
    return np.random.default_rng((seed, PATCHES, updates))

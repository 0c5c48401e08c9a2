"""What can go wrong with a training that its user can understand and act on."""

from collections.abc import Sequence

from models.errors import GeneratorError


class RecipeRejected(GeneratorError):
    """A recipe has an unknown key, or a value of the wrong type or out of range."""


class ImagesRejected(GeneratorError):
    """The day or night images cannot be trained on."""


class TrainingNotResumed(GeneratorError):
    """There is a checkpoint that must not be overwritten, or one of another training."""


class LossNotFinite(GeneratorError):
    """A loss or a weight became NaN or infinite; the last checkpoint is from before."""

    def __init__(self, step: int, terms: Sequence[str]) -> None:
        super().__init__(
            f"Not finite at step {step}: {', '.join(terms)}.",
            "The last checkpoint is kept: resume with a lower learning rate or without mixed precision.",
        )
        self.step = step
        self.terms = tuple(terms)


class ProcessLost(GeneratorError):
    """One of several processes that train together is gone; the others cannot go on without it."""

    def __init__(self) -> None:
        super().__init__(
            "Another process of this training has ended.",
            "Its own message says why. The last checkpoint is kept: start them all again with --resume.",
        )

"""What can go wrong with a generator that its user can understand and act on."""

from collections.abc import Iterable
from difflib import get_close_matches


class GeneratorError(Exception):
    """`message` says what is wrong with what, `cure` what to do about it."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message, cure)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class CheckpointRejected(GeneratorError):
    """A checkpoint file cannot become the weights of the network it was given for."""


class NotEnoughMemory(GeneratorError):
    """Not even the smallest piece of an image fits into the device's memory."""


class UnknownGenerator(GeneratorError):
    """There is no generator or architecture of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = get_close_matches(name, names, n=1)
        cure = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(names)}."
        super().__init__(f"There is no generator {name!r}.", cure)
        self.name = name

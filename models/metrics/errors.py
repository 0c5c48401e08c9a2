"""What can go wrong in measuring that the user can understand and act on."""

from collections.abc import Iterable
from difflib import get_close_matches

from models.errors import GeneratorError


class UnknownBackbone(GeneratorError):
    """There is no backbone of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = get_close_matches(name, names, n=1)
        cure = f"Did you mean {nearest[0]!r}?" if nearest else "Such as 'streetnet', or 'resnet18:FILE'."
        super().__init__(f"There is no backbone {name!r}.", cure)
        self.name = name


class BackboneRejected(GeneratorError):
    """A file cannot become the weights of the backbone it was named for."""


class MeasurementsRejected(GeneratorError):
    """These measurements cannot be read, or not be put together."""

"""Images alone: to learn from, or to compare with, not to train a detector on."""

from collections.abc import Iterator

from service.datasets.categories import Meaning, declared_meaning
from service.datasets.dataset import Finding
from service.datasets.plan import Format, LabelRecord


class NoLabels:
    """The label source of a dataset that has none."""

    format = Format.IMAGES
    categories: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()
    meaning: Meaning = staticmethod(declared_meaning({}))

    def records(self) -> Iterator[LabelRecord | Finding]:
        return iter(())

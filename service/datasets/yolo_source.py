"""The labels of a YOLO dataset, file by file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.datasets import yolo
from service.datasets.categories import Meaning, declared_meaning, mapped_categories
from service.datasets.dataset import Finding, Severity
from service.datasets.image_table import ImageTable
from service.datasets.members import label_split, stem
from service.datasets.plan import Format, LabelRecord, OpenMember, Options
from service.datasets.yolo_folders import label_of
from service.errors import DatasetRejected
from service.wording import cut

_MAX_LABEL_BYTES = 16_000_000


class YoloSource:
    """Text files under `labels`, or beside their images.

    Args:
        labels: the label members, sorted.
        names: the class names; without them the classes are numbered, for which every label is read.
    """

    format = Format.YOLO

    def __init__(
        self,
        images: ImageTable,
        labels: Sequence[str],
        names: tuple[str, ...] | None,
        open_member: OpenMember,
        options: Options,
    ) -> None:
        self._images = images
        self._labels = labels
        self._names = names
        self._classes = 0
        self._open = open_member
        self._map = options.category_map
        # Opening every label is a second pass over the upload; only these two need it.
        self._must_read = names is None or "category" in options.selection.allowed
        self.meaning: Meaning = declared_meaning(options.category_map)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names before any mapping."""
        return self._names or tuple(map(_made_up, range(self._classes)))

    @property
    def categories(self) -> tuple[str, ...]:
        return mapped_categories(self.names, self._map)

    @property
    def declared(self) -> frozenset[str]:
        return frozenset(self.names)

    def records(self) -> Iterator[LabelRecord | Finding]:
        places = self._places()
        for label in self._labels:
            yield self._record(label, places.get(label))
        if self._names is None:
            message = f"No data.yaml names the {self._classes} classes: they are called class_0, class_1, …"
            cure = "Add a data.yaml with `names:`."
            yield Finding("class-names-missing", Severity.WARNING, "data.yaml", message, cure)

    def _places(self) -> dict[str, int]:
        """Where the image of each label stands in the table."""
        places: dict[str, int] = {}
        for place, image in enumerate(self._images.images):
            first = places.setdefault(label_of(image.member), place)
            if first != place:
                raise DatasetRejected(
                    "duplicate-name",
                    f"{cut(self._images.images[first].member)} and {cut(image.member)} would share "
                    "one label file.",
                    "Keep one of the two, or rename one and its label.",
                )
        return places

    def _record(self, label: str, place: int | None) -> LabelRecord:
        categories = self._categories_in(label) if self._must_read else ()
        return LabelRecord(
            name=stem(label),
            path=label,
            split=label_split(label),
            image=place,
            categories=categories,
            record=self._raw_names(),
            label=label,
        )

    def _categories_in(self, label: str) -> tuple[str, ...]:
        with self._open(label) as stream:
            # A file that is no text is reported when its frame is built.
            text = stream.read(_MAX_LABEL_BYTES).decode(errors="replace")
        indices = yolo.class_indices(text)
        if self._names is None:
            self._classes = max([self._classes, *(index + 1 for index in indices)])
        return tuple(
            self._name(index) for index in indices if self._names is None or index < len(self._names)
        )

    def _name(self, index: int) -> str:
        return self._names[index] if self._names else _made_up(index)

    def _raw_names(self) -> Mapping[str, Any] | None:
        """Class numbers count the names before mapping; a frame carries them if those differ."""
        if self._names is None:
            return {"names": list(self.names)} if self._map else None
        return None if self.categories == self._names else {"names": list(self._names)}


def _made_up(index: int) -> str:
    return f"class_{index}"

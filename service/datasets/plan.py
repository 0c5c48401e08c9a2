"""The words of a plan: what was found in an upload, before any image is opened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from service.datasets.categories import Meaning, check_category_map
from service.datasets.dataset import Attributes, Finding, Split
from service.datasets.selection import Selection

OpenMember = Callable[[str], BinaryIO]


class Format(StrEnum):
    """The label formats that are told apart."""

    BDD100K_DET20 = "bdd100k-det20"
    BDD100K_2018 = "bdd100k-2018"
    BDD100K_2018_PER_IMAGE = "bdd100k-2018-per-image"
    YOLO = "yolo"
    COCO = "coco"
    IMAGES = "images"


BDD100K_FORMATS = (Format.BDD100K_DET20, Format.BDD100K_2018, Format.BDD100K_2018_PER_IMAGE)


@dataclass(frozen=True, slots=True)
class Options:
    """How a user wants a dataset read. `unlabelled`: there are no labels, and that is no mistake."""

    selection: Selection = field(default_factory=Selection)
    category_map: Mapping[str, str] = field(default_factory=dict)
    ignore_unknown: bool = False
    unlabelled: bool = False

    def __post_init__(self) -> None:
        check_category_map(self.category_map)

    def to_json(self) -> dict[str, Any]:
        return {
            "selection": self.selection.to_json(),
            "category_map": dict(self.category_map),
            "ignore_unknown": self.ignore_unknown,
            "unlabelled": self.unlabelled,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Options":
        return cls(
            Selection.from_json(data.get("selection", {})),
            data.get("category_map", {}),
            data.get("ignore_unknown", False),
            data.get("unlabelled", False),
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """The members to read (sorted), the images among them, how to open one, and how to read them."""

    members: Sequence[str]
    images: Sequence[str]
    open_member: OpenMember
    options: Options


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """A frame that is built once its image is decoded and its size known.

    `image` is the member to decode, `label` the member of a YOLO label file; `record` is what other formats
    say of the frame, unread (for YOLO: the class names, where a category map makes them differ from the
    dataset's categories). Both are None for an image without a label.
    """

    image: str
    name: str
    id: str
    split: Split
    record: Mapping[str, Any] | None = None
    label: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "name": self.name,
            "id": self.id,
            "split": str(self.split),
            "record": self.record,
            "label": self.label,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PlannedFrame":
        return cls(**{**data, "split": Split(data["split"])})


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """What a label file says of one image, by the name it gives that image.

    `image` is the image's place in the table where the layout tells it, `categories` the raw names of the
    boxes, `fault` the finding if the label cannot be read (the image is then left out, not background).
    """

    name: str
    path: str
    pointer: str = ""
    split: Split | None = None
    image: int | None = None
    attributes: Attributes = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = None
    label: str | None = None
    fault: Finding | None = None


class LabelSource(Protocol):
    """The labels of a whole dataset in one format; `categories` is complete once all records were read."""

    @property
    def format(self) -> Format: ...

    @property
    def categories(self) -> tuple[str, ...]: ...

    @property
    def declared(self) -> frozenset[str]:
        """Raw category names that the dataset lists, used or not."""

    @property
    def meaning(self) -> Meaning: ...

    def records(self) -> Iterator[LabelRecord | Finding]: ...

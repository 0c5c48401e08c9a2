"""What generators there are, without torch: the bundled ones here, imported ones in SQL.

`models.registry` builds them; a test holds the names and directions of both equal.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from service.errors import InvalidRequest, UnknownGenerator

DIRECTIONS = ("day2night", "night2day")
# Of each, checkpoints can be imported and generators be trained.
ARCHITECTURES = ("cut", "cyclegan", "enlightengan", "kind", "sci", "zero-dce")
# Their generators can be told how many times as bright the image shall become: the ratio.
ADJUSTABLE = ("kind",)
LOWEST_RATIO, HIGHEST_RATIO = 0.05, 20.0
# What an experiment can train, by Ultralytics' names, smallest first within a family.
DETECTORS = (
    *(f"yolov5{size}u" for size in "nsmlx"),
    *(f"yolov8{size}" for size in "nsmlx"),
    *(f"yolo11{size}" for size in "nsmlx"),
)


@dataclass(frozen=True, slots=True)
class GeneratorCard:
    """A generator as a user judges it before using it."""

    name: str
    version: int
    title: str
    direction: str
    architecture: str
    paper: str
    training_data: str
    licence: str
    weights_sha256: str | None = None
    is_bundled: bool = True
    is_random: bool = False
    quality: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.version}"


# Written by `workers.bundle` beside the weights.
TRAINED = Path(__file__).parent / "cards"


def _trained() -> tuple[GeneratorCard, ...]:
    """Cards of the trained generators that come with Nightshift."""
    files = sorted(TRAINED.glob("*.json"))
    return tuple(GeneratorCard(**json.loads(file.read_text(encoding="utf-8"))) for file in files)


BUNDLED: tuple[GeneratorCard, ...] = (
    GeneratorCard(
        name="camera-night",
        version=1,
        title="Physical day-to-night camera model (no weights)",
        direction="day2night",
        architecture="camera",
        paper="after Punnappurath et al., Day-to-Night Image Synthesis for Nighttime Neural ISPs, CVPR 2022",
        training_data="none: the model is a formula",
        licence="Apache-2.0",
        is_random=True,
    ),
    GeneratorCard(
        name="identity",
        version=1,
        title="Returns every image as it is: measures the machinery, tests a set-up",
        direction="day2night",
        architecture="identity",
        paper="none",
        training_data="none",
        licence="Apache-2.0",
    ),
    *_trained(),
)


def find_generator(reference: str, imported: Iterable[GeneratorCard]) -> GeneratorCard:
    """The card of `name` (its newest version) or `name:version`.

    Raises:
        UnknownGenerator: naming the nearest one.
    """
    name, _, version = reference.partition(":")
    cards = [*BUNDLED, *imported]
    fitting = [card for card in cards if card.name == name and version in ("", str(card.version))]
    if not fitting:
        raise UnknownGenerator(reference, {card.name for card in cards} | {card.reference for card in cards})
    return max(fitting, key=lambda card: card.version)


def find_detector(name: str) -> str:
    """Its name as Ultralytics writes it: `yolov5s` is what most call `yolov5su`, `yolov11n` is `yolo11n`.

    Raises:
        InvalidRequest: naming the nearest one and all there are.
    """
    spelt = name.strip().lower()
    for candidate in (spelt, f"{spelt}u", spelt.replace("yolov11", "yolo11")):
        if candidate in DETECTORS:
            return candidate
    near = get_close_matches(spelt, DETECTORS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise InvalidRequest(f"There is no detector {name!r}.", f"{hint}There are: {', '.join(DETECTORS)}.")


def check_import(name: str, architecture: str, direction: str) -> None:
    """Raises:
    InvalidRequest: naming what does not fit.
    """
    if architecture not in ARCHITECTURES:
        raise InvalidRequest(
            f"There is no architecture {architecture!r}.", f"There are: {', '.join(ARCHITECTURES)}."
        )
    refuse_unknown_direction(direction)
    refuse_bundled(name)


def check_training(architecture: str, names: Iterable[str], direction: str = "") -> None:
    """Without a direction the recipe's is trained.

    Raises:
        InvalidRequest: naming what does not fit.
    """
    if architecture not in ARCHITECTURES:
        raise InvalidRequest(f"{architecture!r} cannot be trained.", f"What can: {', '.join(ARCHITECTURES)}.")
    if direction:
        refuse_unknown_direction(direction)
    for name in names:
        refuse_bundled(name)


def check_ratio(card: GeneratorCard, imported: Iterable[GeneratorCard]) -> None:
    """Raises:
    InvalidRequest: the generator takes no ratio; those that do are named.
    """
    if card.architecture in ADJUSTABLE:
        return
    able = sorted({each.name for each in [*BUNDLED, *imported] if each.architecture in ADJUSTABLE})
    raise InvalidRequest(
        f"The generator {card.name!r} takes no ratio.",
        f"Generators that do: {', '.join(able)}."
        if able
        else f"None in the catalogue does; import or train one of: {', '.join(ADJUSTABLE)}.",
    )


def refuse_unknown_direction(direction: str) -> None:
    if direction not in DIRECTIONS:
        raise InvalidRequest(f"There is no direction {direction!r}.", f"There are: {', '.join(DIRECTIONS)}.")


def refuse_bundled(name: str) -> None:
    if any(card.name == name for card in BUNDLED):
        raise InvalidRequest(f"{name!r} is the name of a bundled generator.", "Choose another name.")

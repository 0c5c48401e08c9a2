"""The words of an arm: `day`, `day+night`, `day:1,synthetic:0.5`, `day#5000+night#5000`,
`half=day:0.5+night:0.5`, `enhance:GENERATOR`.

`+` and `,` both join parts. `:R` is R times the frames of the data (0.5: half of them, chosen by seed; 2:
each twice), `#N` exactly N of them. `enhance:` is the detector that learnt from `day` alone, shown test
frames that a night2day generator brightened before. `NAME=` in front gives the arm a name; without it its
recipe is its name.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from service.errors import InvalidRequest

DAY, NIGHT, SYNTHETIC = "day", "night", "synthetic"
ENHANCE = "enhance"
# What progress is told under while the common checkpoint is made that arms start from.
PRETRAINING = "pretraining"
MOST_ARMS = 20
LOWEST_SHARE, HIGHEST_SHARE = 0.001, 100.0
MOST_FRAMES = 10_000_000

DATA_NAME = r"[a-z0-9][a-z0-9-]{0,39}"
_ARM_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}"
_GENERATOR = r"[a-z0-9][a-z0-9._-]{0,79}(?::[0-9]{1,9})?"
_PART = re.compile(rf"({DATA_NAME})(?::([0-9]{{1,4}}(?:\.[0-9]{{1,20}})?)|#([0-9]{{1,8}}))?")
_CURE = (
    "An arm is a recipe of datasets such as day, day+night, day:1,synthetic:0.5 (shares of their frames) or"
    " day#5000+night#5000 (numbers of frames), or enhance:GENERATOR; NAME= in front names it."
)


@dataclass(frozen=True, slots=True)
class Part:
    """Some frames of one dataset: `share` times all that it has, or exactly `frames`; the other is None."""

    data: str
    share: float | None = 1.0
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.data == ENHANCE or not re.fullmatch(DATA_NAME, self.data):
            raise InvalidRequest(f"{self.data!r} cannot be the name of data.", _CURE)
        if (self.share is None) == (self.frames is None):
            raise ValueError(f"a part has either a share or a number of frames: {self.data}")
        if self.share is not None and not LOWEST_SHARE <= self.share <= HIGHEST_SHARE:
            raise InvalidRequest(
                f"The share {self.share:g} of {self.data!r} is out of range.",
                f"Shares go from {LOWEST_SHARE:g} to {HIGHEST_SHARE:g}.",
            )
        if self.frames is not None and not 1 <= self.frames <= MOST_FRAMES:
            raise InvalidRequest(
                f"{self.frames} frames of {self.data!r} are out of range.",
                f"Numbers of frames go from 1 to {MOST_FRAMES:,}.",
            )

    def __str__(self) -> str:
        if self.frames is not None:
            return f"{self.data}#{self.frames}"
        return self.data if self.share == 1 else f"{self.data}:{_plain(float(self.share or 0))}"

    def to_json(self) -> dict[str, Any]:
        return {"data": self.data, "share": self.share, "frames": self.frames}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train a detector (`parts`), or to feed the one that learnt by day (`enhance`: generator)."""

    name: str
    parts: tuple[Part, ...] = ()
    enhance: str | None = None

    def __post_init__(self) -> None:
        if (self.enhance is None) != bool(self.parts):
            raise ValueError(f"an arm has either parts or a generator: {self.name}")
        for part in self.parts:
            if sum(each.data == part.data for each in self.parts) > 1:
                cure = f"Write {part.data}:2 to show each frame twice."
                raise InvalidRequest(f"The arm {self.name!r} names {part.data!r} twice.", cure)
        is_plain = self.name == self.recipe or re.fullmatch(_ARM_NAME, self.name)
        if not is_plain or self.name == PRETRAINING:
            cure = "Use letters, digits, dots, dashes and underscores, 60 at most."
            raise InvalidRequest(f"{self.name!r} cannot be the name of an arm.", cure)

    @property
    def recipe(self) -> str:
        return f"{ENHANCE}:{self.enhance}" if self.enhance else "+".join(map(str, self.parts))

    @property
    def data(self) -> tuple[str, ...]:
        return tuple(part.data for part in self.parts)

    def __str__(self) -> str:
        return self.recipe if self.name == self.recipe else f"{self.name}={self.recipe}"


def parse_arm(text: str) -> Arm:
    """Raises:
    InvalidRequest: naming the arm and what may be written.
    """
    name, equals, recipe = (word.strip() for word in text.rpartition("="))
    if equals and not name:
        raise InvalidRequest(f"{text!r} is not an arm: its name is empty.", _CURE)
    keyword, _, generator = recipe.partition(":")
    if keyword == ENHANCE:
        if not re.fullmatch(_GENERATOR, generator):
            raise InvalidRequest(f"{text!r} is not an arm: {generator!r} is no generator's name.", _CURE)
        return Arm(name or recipe, enhance=generator)
    parts = tuple(_parse_part(word.strip(), text) for word in re.split(r"[+,]", recipe))
    return Arm(name or "+".join(map(str, parts)), parts)


def parse_arms(text: str) -> list[Arm]:
    """A list of recipes with commas between them; inside a recipe `+` alone joins parts."""
    return [parse_arm(word) for word in text.split(",")]


def mixed_arms(data: Iterable[str], whole: str = "{data}", mix: str = "{day}+{data}") -> list[Arm]:
    """Day alone, then day with each of the other data."""
    others = [name for name in data if name != DAY]
    recipes = [whole.format(data=DAY), *(mix.format(day=DAY, data=name) for name in others)]
    return [parse_arm(recipe) for recipe in recipes]


def check_arms(arms: Sequence[Arm], data: Collection[str]) -> None:
    """Raises:
    InvalidRequest: the arms do not fit each other or the data there is.
    """
    if not 1 <= len(arms) <= MOST_ARMS:
        raise InvalidRequest(f"An experiment of {len(arms)} arms is not possible.", f"Give 1 to {MOST_ARMS}.")
    for name in [arm.name for arm in arms]:
        if sum(arm.name == name for arm in arms) > 1:
            raise InvalidRequest(f"Two arms are called {name!r}.", "Give one another name: NAME=RECIPE.")
    for arm in arms:
        for name in arm.data:
            if name not in data:
                _refuse_unknown_data(arm, name, data)
    for name in data:
        if not any(name in arm.data for arm in arms):
            cure = f"Add an arm such as {DAY}+{name}, or leave {name!r} out."
            raise InvalidRequest(f"No arm uses the data {name!r}.", cure)
    for arm in arms:
        if arm.enhance and not any(each.data == (DAY,) for each in arms):
            cure = f"Add the arm {DAY!r}: its detector is the one that sees the brightened frames."
            raise InvalidRequest(f"The arm {arm.name!r} has no detector that was trained by day alone.", cure)


def baseline(arms: Sequence[Arm]) -> Arm:
    """What other arms are compared with: day alone, or else the first."""
    return next((arm for arm in arms if arm.data == (DAY,)), arms[0])


def upper_bound(arms: Iterable[Arm]) -> Arm | None:
    """What real night frames would give: the arm of exactly day and night."""
    return next((arm for arm in arms if sorted(arm.data) == [DAY, NIGHT]), None)


def arm_to_json(arm: Arm, generators: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`generators`: the cards of those that arms brighten with, by what the arms call them."""
    card = None if arm.enhance is None else generators[arm.enhance]
    return {"name": arm.name, "parts": [part.to_json() for part in arm.parts], "enhance": card}


def training_runs(spec: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Every training of an experiment's spec in the order of its shards: the number of the arm and the seed.
    Seed by seed, so that a first comparison is there early.
    """
    trained = [number for number, arm in enumerate(spec["arms"]) if arm["enhance"] is None]
    return [(number, seed) for seed in spec["seeds"] for number in trained]


def _parse_part(word: str, text: str) -> Part:
    found = _PART.fullmatch(word)
    if found is None:
        raise InvalidRequest(f"{text!r} is not an arm: {word!r} is no part of one.", _CURE)
    data, share, frames = found.groups()
    if frames is not None:
        return Part(data, None, int(frames))
    return Part(data, 1.0 if share is None else float(share))


def _refuse_unknown_data(arm: Arm, name: str, data: Collection[str]) -> None:
    near = get_close_matches(name, data, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    cure = f"{hint}Given are: {', '.join(data)}."
    raise InvalidRequest(f"The arm {arm.name!r} uses {name!r}, for which no dataset was given.", cure)


def _plain(share: float) -> str:
    """As short as it can be read back exactly; never with an exponent, which shares are too large for."""
    return repr(share).removesuffix(".0")

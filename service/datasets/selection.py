"""Which frames of a dataset are wanted."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from service.datasets.dataset import Attributes, Split, TimeOfDay
from service.errors import InvalidRequest

# Keys whose values are ours to know; a slip in any other shows when no frame is found.
_KNOWN_VALUES = {"split": tuple(Split), "timeofday": tuple(TimeOfDay)}
_CURE = "Write KEY=VALUE or KEY=VALUE,VALUE with split, category or a frame attribute as KEY."


@dataclass(frozen=True, slots=True)
class Selection:
    """A frame is accepted if, for every key, it has one of the values; an empty selection accepts all.

    `split` and `category` (the frame has such a box; all its boxes stay) are keys of their own, every other
    key is a frame attribute.
    """

    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, values in self.allowed.items():
            if not (key and values and all(values)):
                raise InvalidRequest(f"The selection {key!r} allows nothing.", _CURE)
            _check_values(key, values)

    @classmethod
    def parse(cls, expressions: Iterable[str]) -> "Selection":
        """From `timeofday=daytime,dawn/dusk`; the values of a repeated key add up.

        Raises:
            InvalidRequest: naming the expression and what to write instead.
        """
        allowed: dict[str, frozenset[str]] = {}
        for expression in expressions:
            key, _, text = expression.partition("=")
            values = frozenset(part.strip() for part in text.split(","))
            if not (key.strip() and all(values)):
                raise InvalidRequest(f"{expression!r} is not a selection.", _CURE)
            allowed[key.strip()] = allowed.get(key.strip(), frozenset()) | values
        return cls(allowed)

    def accepts(self, split: str, attributes: Attributes, categories: Collection[str]) -> bool:
        return all(
            not values.isdisjoint(_values(key, split, attributes, categories))
            for key, values in self.allowed.items()
        )

    def seen(self, split: str, attributes: Attributes, categories: Collection[str]) -> dict[str, list[str]]:
        """What a frame has under each key asked for: the material of a helpful refusal."""
        return {key: list(_values(key, split, attributes, categories)) for key in self.allowed}

    def to_json(self) -> dict[str, list[str]]:
        return {key: sorted(values) for key, values in sorted(self.allowed.items())}

    @classmethod
    def from_json(cls, data: Mapping[str, Iterable[str]]) -> "Selection":
        return cls({key: frozenset(values) for key, values in data.items()})

    def __str__(self) -> str:
        return " ".join(f"{key}={','.join(values)}" for key, values in self.to_json().items())


def _values(key: str, split: str, attributes: Attributes, categories: Collection[str]) -> Collection[str]:
    if key == "split":
        return (str(split),)
    if key == "category":
        return categories
    value = attributes.get(key)
    if value is None:
        return ()
    return tuple(map(_text, value)) if isinstance(value, list) else (_text(value),)


def _text(value: Any) -> str:
    # As JSON spells it: people copy what they see in the label file.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_values(key: str, values: Iterable[str]) -> None:
    known = _KNOWN_VALUES.get(key)
    for value in sorted(values):
        if known and value not in known:
            near = get_close_matches(value, known, n=1, cutoff=0.4)
            hint = f"Did you mean '{near[0]}'?" if near else ""
            cure = f"{hint} There are: {', '.join(known)}.".strip()
            raise InvalidRequest(f"'{key}={value}' is not a selection: no frame has this {key}.", cure)

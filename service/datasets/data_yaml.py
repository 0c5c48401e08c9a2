"""Reading a data.yaml: class names, and which folders are which split. Its paths are only compared."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from service.datasets.dataset import Split
from service.datasets.members import SPLIT_NAMES
from service.datasets.streams import decode_text
from service.errors import DatasetRejected, LabelUnreadable

MAX_BYTES = 64_000
MAX_DEPTH = 32
# Settings of other programs are YAML too; those without names are none of ours, however broken.
_HAS_NAMES = re.compile(rb"(?m)^[\s{]*[\"']?names[\"']?\s*:")
_CURE = "Write `names:` as a list, or as numbers from 0 up with a name each."


@dataclass(frozen=True, slots=True)
class DataYaml:
    """`names` by class number; `folders` the values of each split's key: folders, or .txt files of images."""

    names: tuple[str, ...]
    folders: Mapping[Split, tuple[str, ...]]


def parse_data_yaml(data: bytes, path: str) -> DataYaml | None:
    """What a YAML file says of a dataset, or None if it names no classes.

    Raises:
        DatasetRejected: if it names classes but is too large, broken, or full of tricks.
    """
    if not _HAS_NAMES.search(data):
        return None
    if len(data) > MAX_BYTES:
        raise DatasetRejected("label-limits", f"{path} is larger than {MAX_BYTES // 1000} kB.", "Shorten it.")
    content = _load(data, path)
    if not isinstance(content, dict):
        raise _broken(path, "it is not a table of keys")
    if "kpt_shape" in content:
        cure = "Leave the key points out and write boxes: class x-centre y-centre width height."
        raise DatasetRejected("unsupported-task", f"{path} describes a dataset of poses, not of boxes.", cure)
    return DataYaml(_names(content.get("names"), path), _folders(content))


def _load(data: bytes, path: str) -> Any:
    try:
        text = decode_text(data, path)
        _refuse_tricks(text, path)
        return yaml.safe_load(text)
    except LabelUnreadable as error:
        raise DatasetRejected(error.code, f"{error.where}: {error.problem}.", error.cure) from None
    # A date or a number can be more than Python holds.
    except (yaml.YAMLError, ValueError) as error:
        raise _broken(path, " ".join(str(error).split())) from None


def _refuse_tricks(text: str, path: str) -> None:
    """Aliases can unfold to any size, and deep brackets take the parser minutes."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _broken(path, "it uses aliases (`*name`)")
        if depth > MAX_DEPTH:
            raise _broken(path, f"its brackets nest deeper than {MAX_DEPTH}")


def _names(raw: Any, path: str) -> tuple[str, ...]:
    if isinstance(raw, dict):
        numbered = {str(key): value for key, value in raw.items()}
        raw = [numbered.get(str(number)) for number in range(len(numbered))]
    if not isinstance(raw, list) or not raw:
        raise _broken(path, "`names` holds no class names")
    if not all(isinstance(name, str | int | float) for name in raw):
        raise _broken(path, "`names` does not give each class from 0 up a name")
    return tuple(map(str, raw))


def _folders(content: Mapping[Any, Any]) -> dict[Split, tuple[str, ...]]:
    folders: dict[Split, tuple[str, ...]] = {}
    for key, value in content.items():
        split = SPLIT_NAMES.get(key) if isinstance(key, str) else None
        values = value if isinstance(value, list) else [value]
        texts = tuple(text for text in values if isinstance(text, str))
        if split and texts:
            folders[split] = folders.get(split, ()) + texts
    return folders


def _broken(path: str, problem: str) -> DatasetRejected:
    return DatasetRejected("label-syntax", f"{path} cannot be read: {problem}.", _CURE)

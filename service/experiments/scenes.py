"""Which scene a test frame shows, from a user's file: frames of one scene are no independent witnesses."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from service.errors import InvalidRequest

_CURE = 'Write JSON {"frame.jpg": "scene", ...}, or CSV with the columns frame and scene.'


def parse_scenes(text: str, filename: str) -> dict[str, str]:
    """Frame name -> scene, from JSON or, by the file's ending, CSV.

    In JSON a scene may also be the "scene" of an object, and the whole may lie under "images". A frame that
    is named with its folders is also known by its last name, unless two scenes share that.

    Raises:
        InvalidRequest: naming the file and what is expected.
    """
    named = list(_csv_rows(text) if filename.lower().endswith(".csv") else _json_rows(text, filename))
    if not named:
        raise InvalidRequest(f"{filename} names no scene.", _CURE)
    last_names: dict[str, set[str]] = {}
    for frame, scene in named:
        last_names.setdefault(PurePosixPath(frame).name, set()).add(scene)
    plain = {frame: min(scenes) for frame, scenes in last_names.items() if len(scenes) == 1}
    return {**plain, **dict(named)}


def _csv_rows(text: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        words = [word.strip() for word in row]
        if not any(words) or (number == 1 and words == ["frame", "scene"]):
            continue
        if len(words) != 2 or not all(words):
            raise InvalidRequest(f"Line {number} of the scenes is not FRAME,SCENE.", _CURE)
        yield words[0], words[1]


def _json_rows(text: str, filename: str) -> Iterable[tuple[str, str]]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"{filename} is not JSON: {error}.", _CURE) from error
    if isinstance(data, dict) and isinstance(data.get("images"), dict):
        data = data["images"]
    if not isinstance(data, dict):
        raise InvalidRequest(f"{filename} holds no object of frames and scenes.", _CURE)
    return [(frame, _scene(frame, value)) for frame, value in data.items()]


def _scene(frame: str, value: Any) -> str:
    scene = value.get("scene") if isinstance(value, dict) else value
    if not isinstance(scene, str) or not scene:
        raise InvalidRequest(f"The frame {frame!r} has no scene.", _CURE)
    return scene

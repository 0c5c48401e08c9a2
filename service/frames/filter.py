"""Which frames of a dataset are wanted: a test of the line's bytes, and of its meaning if that passes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from service.datasets.dataset import Split
from service.frames.lines import frame_of

UNTAGGED = "untagged"  # as a dataset's counts call it


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """All of it must hold; what is None does not matter.

    `timeofday`: the frame's tag, "untagged" for none. `category`: at least one object of it. `suspect`:
    whether the pixels contradict the tag. `text`: a part of the frame's id, in small or large letters.
    """

    timeofday: str | None = None
    category: str | None = None
    split: Split | None = None
    suspect: bool | None = None
    text: str | None = None

    @property
    def takes_all(self) -> bool:
        return self == FrameFilter()

    @property
    def digest(self) -> str:
        """The same for the same filter, to know its cursors by."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def accepts(self, line: bytes) -> dict[str, Any] | None:
        """The entry on a line of a manifest, if it is wanted. Most lines need no parsing to be refused."""
        if not self._may_accept(line):
            return None
        entry: dict[str, Any] = json.loads(line)
        return entry if self._means(entry) else None

    def _may_accept(self, line: bytes) -> bool:
        """Exact for what we wrote ourselves; users may have written the same words elsewhere on the line."""
        if self.timeofday not in (None, UNTAGGED) and _member("timeofday", self.timeofday) not in line:
            return False
        if self.category is not None and _member("category", self.category) not in line:
            return False
        if self.suspect and b'"looks":"' not in line:
            return False
        if self.split is None and self.text is None:
            return True
        split, _, frame_id = frame_of(line).decode().partition("/")
        is_of_split = self.split is None or split == self.split
        return is_of_split and (self.text is None or self.text.casefold() in frame_id.casefold())

    def _means(self, entry: dict[str, Any]) -> bool:
        frame = entry["frame"]
        if self.timeofday is not None:
            value = frame.get("attributes", {}).get("timeofday")
            if (value if isinstance(value, str) and value else UNTAGGED) != self.timeofday:
                return False
        if self.suspect is not None and ("looks" in entry) is not self.suspect:
            return False
        return self.category is None or any(
            box["category"] == self.category and not box.get("is_ignored") for box in frame["boxes"]
        )


def _member(name: str, value: str | None) -> bytes:
    return f'"{name}":{json.dumps(value, ensure_ascii=False)}'.encode(errors="replace")

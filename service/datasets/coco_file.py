"""A COCO document joined image by image: annotations wait in a private SQLite table, not in memory."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, BinaryIO

from service.datasets.checks import MAX_BOXES
from service.datasets.dataset import Finding, Severity
from service.datasets.streams import items, pieces
from service.errors import LabelUnreadable
from service.wording import cut

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE images (place INTEGER PRIMARY KEY, id TEXT, record TEXT);
CREATE TABLE annotations (place INTEGER PRIMARY KEY, id TEXT, image_id TEXT, record TEXT);
"""
_INDEXES = """
CREATE INDEX image_ids ON images (id);
CREATE INDEX annotation_images ON annotations (image_id);
CREATE INDEX annotation_ids ON annotations (id);
"""
_INSERTS = (
    "INSERT INTO images (id, record) VALUES (?, ?)",
    "INSERT INTO annotations (id, image_id, record) VALUES (?, ?, ?)",
)
# Whatever is put into a statement below is a constant of this file; what a user wrote goes in by placeholder.
_FIRST_OF_ID = "place = (SELECT MIN(place) FROM images AS same WHERE same.id = images.id)"
_MAX_LISTED = 1000


class CocoFile:
    """One document, read once when made; close it after use."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._path = path
        self._table = sqlite3.connect("")  # an anonymous database, which spills to disk by itself
        self._categories: dict[str, str] = {}
        try:
            self._table.executescript(_TABLES)
            self._fill(stream)
            self._table.executescript(_INDEXES)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._table.close()

    @property
    def categories(self) -> tuple[str, ...]:
        """The names in the order of their ids, each once."""
        return tuple(dict.fromkeys(self._categories[key] for key in sorted(self._categories, key=_numeric)))

    def records(self) -> Iterator[dict[str, Any]]:
        """Each image with its annotations: `{"image": …, "annotations": [[category or None, …], …]}`."""
        rows = self._table.execute(f"SELECT id, record FROM images WHERE {_FIRST_OF_ID} ORDER BY place")  # noqa: S608  # nosec B608
        for image_id, image in rows:
            yield {"image": json.loads(image), "annotations": list(self._annotations(image_id))}

    def findings(self) -> Iterator[Finding]:
        """Ids that point nowhere or at two things."""
        lost = "image_id NOT IN (SELECT id FROM images) GROUP BY image_id"
        for image_id, count in self._rows(f"SELECT image_id, COUNT(*) FROM annotations WHERE {lost}"):  # noqa: S608  # nosec B608
            message = f"{count} annotation(s) belong to image id {cut(image_id)}, which is not in `images`."
            yield self._finding("dangling-id", message, "Add the image, or remove the annotations.")
        for name, fate in (("images", "the first is kept"), ("annotations", "all are kept")):
            twice = f"SELECT id, COUNT(*) FROM {name} GROUP BY id HAVING COUNT(*) > 1"  # noqa: S608  # nosec B608
            for identity, count in self._rows(twice):
                message = f"{count} {name} have the id {cut(identity)}; {fate}."
                yield self._finding("duplicate-id", message, "Give each its own id.")

    def _annotations(self, image_id: str) -> Iterator[list[Any]]:
        rows = self._table.execute(
            # One more than may be: enough to refuse the image, and no more memory than that.
            f"SELECT record FROM annotations WHERE image_id = ? ORDER BY place LIMIT {MAX_BOXES + 1}",  # noqa: S608  # nosec B608
            (image_id,),
        )
        for (record,) in rows:
            annotation = json.loads(record)
            yield [self._categories.get(_key(annotation.get("category_id"))), annotation]

    def _fill(self, stream: BinaryIO) -> None:
        with closing(self._table.cursor()) as cursor:
            for kind, row in _rows_of(
                items(pieces(stream), "images.item", "annotations.item", "categories.item")
            ):
                if kind < 2:
                    cursor.execute(_INSERTS[kind], row)
                else:
                    self._categories.setdefault(*row)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._table.execute(f"{query} LIMIT {_MAX_LISTED}").fetchall()

    def _finding(self, code: str, message: str, cure: str) -> Finding:
        return Finding(code, Severity.ERROR, self._path, message, cure)


def _rows_of(found: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    for kind, item in found:
        if not isinstance(item, dict):
            raise LabelUnreadable(
                ("images", "annotations", "categories")[kind], "an entry is not an object", "Mend the file."
            )
        identity = _key(item.get("id"))
        if kind == 0:
            if not isinstance(item.get("file_name"), str):
                raise LabelUnreadable(f"image {cut(identity)}", "it has no file_name", "Add it.")
            yield kind, (identity, json.dumps(item))
        elif kind == 1:
            yield kind, (identity, _key(item.get("image_id")), json.dumps(item))
        else:
            yield kind, (identity, str(item.get("name")))


def _key(identity: Any) -> str:
    """An id as text; 1 and "1" stay apart."""
    return json.dumps(identity)


def _numeric(key: str) -> tuple[bool, float, str]:
    identity = json.loads(key)
    is_number = isinstance(identity, int | float)
    return (not is_number, float(identity) if is_number else 0.0, key)

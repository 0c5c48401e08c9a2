"""Unfinished objects of writers that were killed: a disk keeps them, and no listing shows them."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from service.storage.object_store import PENDING_SUFFIX, ObjectStore

log = structlog.get_logger(__name__)
# Longer than anybody is silent while writing at one object, and than two clocks differ.
ABANDONED_AFTER_SECONDS = 24 * 3600.0
# Of the whole name's end: what users call their frames stands before it.
_PENDING = re.compile(re.escape(PENDING_SUFFIX) + r"[0-9a-f]{8}")
_LENGTH = len(PENDING_SUFFIX) + 8


def remove_abandoned(store: ObjectStore, older_than_seconds: float = ABANDONED_AFTER_SECONDS) -> int:
    """Returns how many. One that is still written to is young: each write makes it so."""
    if store.folder is None:  # in memory nothing outlives its writer; of S3's parts, see `uploads.orphans`
        return 0
    written_before = time.time() - older_than_seconds
    removed = 0
    for path in _pending(store.folder):
        with suppress(FileNotFoundError):  # it was finished, or removed by another, in this moment
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mtime < written_before:
                path.unlink()
                removed += 1
                log.info("abandoned file removed", path=str(path.relative_to(store.folder)))
    return removed


def _pending(folder: Path) -> Iterator[Path]:
    """Links are not followed: they may lead anywhere."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if _PENDING.fullmatch(name[-_LENGTH:]))

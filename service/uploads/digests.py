"""The SHA-256 of uploads under way, as far as this process has seen every byte of them.

A hash cannot be handed on to another process: whoever sees only a part reads all of it once more at the end.
"""

import hashlib
import threading
from collections import OrderedDict
from typing import Any

MOST_UPLOADS = 1000


class Digests:
    """Hashes by upload, each good for one offset. The oldest give way: they can be made anew."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, upload_id: str, offset_bytes: int) -> Any | None:
        """A hash of all before the offset, to go on with; None if this process has missed some of it."""
        if offset_bytes == 0:
            return hashlib.sha256()
        with self._lock:
            known_bytes, digest = self._known.get(upload_id, (0, None))
        return digest.copy() if digest is not None and known_bytes == offset_bytes else None

    def keep(self, upload_id: str, offset_bytes: int, digest: Any) -> None:
        with self._lock:
            self._known[upload_id] = (offset_bytes, digest.copy())
            self._known.move_to_end(upload_id)
            while len(self._known) > MOST_UPLOADS:
                self._known.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        with self._lock:
            self._known.pop(upload_id, None)

"""Where each upload goes that this user has begun: a client that was killed goes on where it stopped.

One small file for each, in the user's cache folder, named by what is sent and to whom.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from service.client.folder import UploadSource

# A server keeps an upload for a day without news; what is older than this is not asked about any more.
KEPT_SECONDS = 14 * 24 * 3600.0


class RememberedUpload:
    """The place of one source on one server, if it is known. Without a cache to write to it is not."""

    def __init__(self, server: str, source: UploadSource) -> None:
        told = json.dumps([server, source.fingerprint()], sort_keys=True)
        self._file = cache_folder() / f"{hashlib.sha256(told.encode()).hexdigest()[:40]}.json"

    @property
    def path(self) -> str | None:
        """On the server."""
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))["path"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) and found.startswith("/v1/uploads/") else None

    def remember(self, path: str) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            _forget_old(self._file.parent)
            self._file.write_text(json.dumps({"path": path}), encoding="utf-8")
        except OSError:
            return

    def forget(self) -> None:
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            return


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "nightshift" / "uploads"


def _forget_old(folder: Path) -> None:
    for file in folder.glob("*.json"):
        if time.time() - file.stat().st_mtime > KEPT_SECONDS:
            file.unlink(missing_ok=True)

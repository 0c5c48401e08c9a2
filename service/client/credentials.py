"""Which key goes to which server: NIGHTSHIFT_KEY, or a file of the user's that `nightshift up` writes."""

import fcntl
import json
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import NightshiftError
from service.private_files import write_private

VARIABLE = "NIGHTSHIFT_KEY"


class NoKey(NightshiftError):
    code = "no-key"

    def __init__(self, url: str) -> None:
        super().__init__(
            f"There is no API key for {url}.",
            f"Give one with --key or {VARIABLE}; on this machine `nightshift up` makes one.",
        )


def find_key(url: str) -> str | None:
    return os.environ.get(VARIABLE) or _known().get(_name(url))


def needed_key(url: str) -> str:
    """Raises:
    NoKey: none was given, and `nightshift up` has not left one.
    """
    key = find_key(url)
    if key is None:
        raise NoKey(url)
    return key


def remember_key(url: str, key: str) -> None:
    """For the commands that this user types later. Nobody else may read the file."""
    with _locked():
        write_private(keys_file(), json.dumps({**_known(), _name(url): key}, indent=2))


def keys_file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "nightshift" / "keys.json"


def _known() -> dict[str, str]:
    try:
        known = json.loads(keys_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


@contextmanager
def _locked() -> Iterator[None]:
    """Two servers that start at once must not forget each other's key."""
    folder = keys_file().parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _name(url: str) -> str:
    """The same for all ways to write the address of this machine."""
    parts = urllib.parse.urlsplit(url)
    host = "127.0.0.1" if parts.hostname in ("localhost", "::1") else parts.hostname
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{host}:{port}"

"""What a client says about an upload: `filename ZGF5LnppcA==,sha256 MDEy…`, as tus writes it."""

import base64
import binascii
import re
from dataclasses import dataclass

from service.uploads.refusals import InvalidUpload

MOST_BYTES = 4096
MOST_FILENAME_LETTERS = 200
DEFAULT_FILENAME = "upload.zip"
_KEY = re.compile(r"[!-+\--~]+", re.ASCII)  # visible, and no comma
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Metadata:
    """`text` is given back as it came; of the rest only these two mean something here."""

    text: str
    filename: str
    sha256: str | None


def parse_metadata(text: str) -> Metadata:
    """Raises:
    InvalidUpload: a key twice, a value that is not base64, a name that cannot be shown, …
    """
    if len(text) > MOST_BYTES:
        raise InvalidUpload(f"The metadata are longer than {MOST_BYTES:,} bytes.")
    values: dict[str, bytes] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in values:
            raise InvalidUpload("A key of the metadata is empty, not ASCII, or there twice.")
        values[key] = _decoded(key, value.strip())
    return Metadata(
        text=text,
        filename=checked_filename(_text(values.get("filename", b"")) or DEFAULT_FILENAME),
        sha256=_checked_sha256(values.get("sha256")),
    )


def checked_filename(name: str) -> str:
    """It is shown and never a path; what cannot be shown is refused."""
    if len(name) > MOST_FILENAME_LETTERS:
        raise InvalidUpload(f"The filename is longer than {MOST_FILENAME_LETTERS} letters.")
    if not name.isprintable():
        raise InvalidUpload("The filename has a character that cannot be shown.")
    return name


def _decoded(key: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidUpload(f"The value of {key[:40]!r} in the metadata is not base64.") from None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidUpload("The filename is not UTF-8.") from None


def _checked_sha256(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.decode("ascii", errors="replace")
    if not _SHA256.fullmatch(text):
        raise InvalidUpload("The sha256 in the metadata is not one.", "Write it as 64 hexadecimal digits.")
    return text.lower()

"""How tus 1.0 looks in HTTP: its headers, its version, dates as it writes them. https://tus.io/protocols"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated

from fastapi import Depends, Header
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from service.errors import UploadTooLarge
from service.uploads.checksums import ALGORITHMS, Checksum
from service.uploads.incoming import Incoming
from service.uploads.refusals import InvalidUpload, UnsupportedTusVersion

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "termination", "expiration")
PIECE_TYPE = "application/offset+octet-stream"
MOST_DIGITS = 18


class TusRoute(APIRoute):
    """Says the version in every answer, as the protocol asks, in refusals too."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_versioned(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                if message["status"] == 412:
                    headers["Tus-Version"] = VERSION
                if message["status"] == 400:
                    headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)
            await send(message)

        await super().handle(scope, receive, send_versioned)


def _speaks_tus(tus_resumable: Annotated[str | None, Header()] = None) -> None:
    if tus_resumable != VERSION:
        raise UnsupportedTusVersion(VERSION)


def _speaks_no_other_tus(tus_resumable: Annotated[str | None, Header()] = None) -> None:
    """`curl -X DELETE` may leave it out."""
    _speaks_tus(tus_resumable or VERSION)


SPEAKS_TUS = Depends(_speaks_tus)
SPEAKS_NO_OTHER_TUS = Depends(_speaks_no_other_tus)


def size_of(header: str | None, name: str) -> int:
    """Raises:
    InvalidUpload: it is missing, or no number of bytes.
    UploadTooLarge: no computer has so many.
    """
    if header is None or not (header.isascii() and header.isdigit()):
        raise InvalidUpload(
            f"{name} is missing, or no whole number of bytes.", f"Send {name}: 12345, for example."
        )
    if len(header.lstrip("0")) > MOST_DIGITS:
        raise UploadTooLarge(10**MOST_DIGITS)
    return int(header)


def checksum_of(header: str | None) -> Checksum | None:
    return None if header is None else Checksum(header)


def capabilities(max_bytes: int) -> Mapping[str, str]:
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def progress(upload: Incoming) -> dict[str, str]:
    """How far an upload is, and until when it waits for more."""
    headers = {"Upload-Offset": str(upload.offset_bytes)}
    if upload.offset_bytes < upload.size_bytes:
        until = datetime.fromtimestamp(upload.expires_at, UTC)
        headers["Upload-Expires"] = format_datetime(until, usegmt=True)
    return headers

"""Which part of an object a request asks for (RFC 9110, section 14).

Starlette knows ranges of files on a disk; our objects may lie elsewhere. One range at a time: a header of ten
thousand (CVE-2025-62727) gets the whole, once, as does one that makes no sense.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from service.api.refusals import RangeNotSatisfiable

RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ByteRange:
    start_byte: int
    stop_byte: int


@dataclass(frozen=True, slots=True)
class Asked:
    """`range_wanted` and `if_range` as they stand in the request."""

    is_head: bool = False
    range_wanted: str | None = None
    if_range: str | None = None

    def part(self, size_bytes: int, etag: str) -> ByteRange | None:
        """None: the whole.

        Raises:
            RangeNotSatisfiable: it begins behind the end.
        """
        is_outdated = self.if_range is not None and self.if_range != etag
        if self.range_wanted is None or self.is_head or is_outdated:
            return None
        return parse_range(self.range_wanted, size_bytes)


def parse_range(header: str, size_bytes: int) -> ByteRange | None:
    """None: the whole, of anything but one range of bytes.

    Raises:
        RangeNotSatisfiable: it begins behind the end, or is the last 0 bytes.
    """
    found = RANGE.fullmatch(header.strip())
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size_bytes - int(last))
    stop = int(last) + 1 if first and last else size_bytes
    if first and stop <= start < size_bytes:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiable(size_bytes)
    return ByteRange(start, min(stop, size_bytes))


async def _asked(
    request: Request,
    range_wanted: Annotated[str | None, Header(alias="Range", description="one range: bytes=0-999")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range", description="an ETag seen before")] = None,
) -> Asked:
    return Asked(request.method == "HEAD", range_wanted, if_range)


Part = Annotated[Asked, Depends(_asked)]

"""Zip archives written byte by byte, with the lies that a packer cannot be told to write."""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

UTF8, ENCRYPTED = 0x800, 0x1
STORED, DEFLATED = 0, 8
UNIX = 3


@dataclass(frozen=True)
class Member:
    """What the directory says; `local_name` and `local_size` what the header before the content says.

    `at` puts the directory's entry on another member's content instead of content of its own.
    """

    name: bytes
    content: bytes = b""
    method: int = STORED
    flags: int = 0
    mode: int = 0
    system: int = UNIX
    size: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    at: int | None = None
    packed_size: int | None = None

    @cached_property
    def packed(self) -> bytes:
        if self.method != DEFLATED:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()


def raw_zip(members: Iterable[Member]) -> bytes:
    data, directory, count = bytearray(), bytearray(), 0
    for member in members:
        count += 1
        start = len(data) if member.at is None else member.at
        if member.at is None:
            data += _local(member) + member.packed
        directory += _entry(member, start)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(data), 0)
    return bytes(data + directory + end)


def _local(member: Member) -> bytes:
    name = member.name if member.local_name is None else member.local_name
    size = len(member.content) if member.local_size is None else member.local_size
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, *_common(member, size), len(name), 0) + name


def _entry(member: Member, start: int) -> bytes:
    size = len(member.content) if member.size is None else member.size
    head = struct.pack("<4sBB", b"PK\1\2", 20, member.system)
    rest = struct.pack("<H", 20) + struct.pack("<4H3L", *_common(member, size))
    tail = struct.pack("<5H2L", len(member.name), 0, 0, 0, 0, member.mode << 16, start)
    return head + rest + tail + member.name


def _common(member: Member, size: int) -> tuple[int, ...]:
    packed = len(member.packed) if member.packed_size is None else member.packed_size
    return (member.flags, member.method, 0, 0x21, zlib.crc32(member.content), packed, size)

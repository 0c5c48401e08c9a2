"""What a zip's directory tells before anything is inflated. Here a whole archive is refused, never mended.

Python's `zipfile` neither bounds a directory nor doubts it. The checks are ours, as libraries have them only
beside unpacking, and nothing is unpacked here.
"""

import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import BinaryIO
from unicodedata import normalize
from urllib.parse import unquote

from service.errors import DatasetRejected
from service.wording import shown

MAX_ENTRIES = 1_000_000
MAX_DIRECTORY_BYTES = 256 * 2**20
MAX_RATIO = 100  # deflate ends near 1030; label files of real datasets stay below 30
SMALL_BYTES = 1_000_000  # a small file may well be all zeros
UTF8_FLAG, ENCRYPTED_FLAG, SIZES_FOLLOW_FLAG = 0x800, 0x1, 0x8
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENTRY_MARK = b"PK\x01\x02"
_UNIX = (3, 19)  # systems whose entries say what kind of file they are: Unix, macOS
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|[\\/]{2}")
_LATER = 0xFFFFFFFF  # the zip64 field has the number


class Doorkeeper:
    """The file as `zipfile` sees it. While it opens an archive, a directory too large is not even parsed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_opening = True
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if not self.is_opening:
            return self._file.read(size)
        if size > MAX_DIRECTORY_BYTES:
            raise _crowded()
        data = self._file.read(size)
        if data.count(_ENTRY_MARK) >= MAX_ENTRIES:
            raise _crowded()
        return data


def _crowded() -> DatasetRejected:
    message = f"The archive has {MAX_ENTRIES:,} entries or more."
    return DatasetRejected("too-many-entries", message, "Upload it in several parts.")


def refuse_unfit(infos: Sequence[zipfile.ZipInfo], directory_start: int, max_bytes: int) -> None:
    """Raises DatasetRejected for anything that no program packing a dataset would write."""
    for info in infos:
        _refuse_nameless(info)
        _refuse_unsafe_path(written_name(info))
        if not info.is_dir():
            _refuse_kind(info)
            _refuse_packing(info)
    _refuse_bomb(infos, max_bytes)
    _refuse_overlap(infos, directory_start)
    files = [info for info in infos if not info.is_dir()]
    _refuse_twins(
        files, member_name, "duplicate-name", "twice", "Which one is meant is unknowable; keep one."
    )
    _refuse_twins(
        files,
        lambda info: normalize("NFC", member_name(info)).casefold(),
        "name-collision",
        "under names that many file systems take for one",
        "Rename one of the two, and its label.",
    )


def written_name(info: zipfile.ZipInfo) -> str:
    """The name to the last character: `zipfile` cuts it at a NUL.

    Without the flag for UTF-8 a name is in the packer's own encoding. Many packers write UTF-8 all the same;
    what is none is read as cp437, the one encoding that the format knows besides.
    """
    if info.flag_bits & UTF8_FLAG or info.orig_filename.isascii():
        return info.orig_filename
    try:
        return name_bytes(info).decode()
    except UnicodeDecodeError:
        return info.orig_filename


def is_guessed(info: zipfile.ZipInfo) -> bool:
    """Whether the archive does not say how the name is encoded, and it matters."""
    return not (info.flag_bits & UTF8_FLAG or info.orig_filename.isascii())


def member_name(info: zipfile.ZipInfo) -> str:
    """Posix, as the rest of the program knows it."""
    return written_name(info).replace("\\", "/").removeprefix("./")


def name_bytes(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8_FLAG else "cp437")


def refuse_disagreement(header: bytes, name: bytes, info: zipfile.ZipInfo) -> None:
    """Raises DatasetRejected if the header before a member's content says other than the directory.

    Args:
        header: the fixed part; what is no header at all `zipfile` refuses itself.
        name: the bytes after it, as many as the directory's name has.
    """
    if len(header) < LOCAL_HEADER.size:
        return
    mark, _, flags, method, _, _, _, packed, size, name_length, _ = LOCAL_HEADER.unpack(header)
    if mark != b"PK\x03\x04":
        return
    expected = name_bytes(info)
    sizes = () if flags & SIZES_FOLLOW_FLAG else ((packed, info.compress_size), (size, info.file_size))
    is_same = (
        method == info.compress_type
        and (name_length, name) == (len(expected), expected)
        and all(said in (told, _LATER) for said, told in sizes)
    )
    if not is_same:
        raise DatasetRejected(
            "archive-inconsistent",
            f"The archive says two things of its member {shown(member_name(info))}.",
            "Pack the dataset again with a common program.",
        )


def _refuse_nameless(info: zipfile.ZipInfo) -> None:
    if not info.filename:  # `zipfile` itself stumbles over it
        message = "The archive has a member without a name."
        raise DatasetRejected("corrupt-archive", message, "Pack the dataset anew.")


def _refuse_unsafe_path(name: str) -> None:
    parts = re.split(r"[\\/]", unquote(name))
    if ".." in parts or parts[0] == "" or _DRIVE.match(name):
        raise DatasetRejected(
            "unsafe-path",
            f"The archive's member {shown(name)} leads out of the folder it is unpacked in.",
            "Pack the dataset again from inside its folder. Such names are not mended: who wrote this?",
        )


def _refuse_kind(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16 if info.create_system in _UNIX else 0
    is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not mode & (stat.S_ISUID | stat.S_ISGID)
    if not is_plain:
        raise DatasetRejected(
            "unsafe-entry",
            f"The archive's member {shown(member_name(info))} is no plain file (a link, device or the like).",
            "Pack the files themselves: most programs have an option that follows links.",
        )


def _refuse_packing(info: zipfile.ZipInfo) -> None:
    name = shown(member_name(info))
    if info.flag_bits & ENCRYPTED_FLAG:
        raise DatasetRejected(
            "encrypted-archive", f"The archive's member {name} is encrypted.", "Upload it without a password."
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DatasetRejected(
            "unsupported-compression",
            f"The archive's member {name} is packed in a way that is not supported.",
            "Use plain zip (stored or deflated).",
        )


def _refuse_bomb(infos: Iterable[zipfile.ZipInfo], max_bytes: int) -> None:
    """What the directory promises is a bound: no member is inflated beyond it."""
    total = 0
    for info in infos:
        total += info.file_size
        if info.file_size > max(SMALL_BYTES, MAX_RATIO * info.compress_size) or total > max_bytes:
            raise DatasetRejected(
                "archive-bomb",
                f"The archive would unfold to {total:,} bytes or more, at its member "
                f"{shown(member_name(info))}.",
                f"Allowed are {max_bytes:,} bytes in all, and {MAX_RATIO} times a member's packed size.",
            )


def _refuse_overlap(infos: Iterable[zipfile.ZipInfo], directory_start: int) -> None:
    spans = sorted(((info.header_offset, _end(info), info) for info in infos), key=lambda span: span[:2])
    starts = [*(start for start, _, _ in spans[1:]), directory_start]
    for (_, end, info), next_start in zip(spans, starts, strict=False):
        if end > next_start:
            raise DatasetRejected(
                "archive-overlap",
                f"The archive's member {shown(member_name(info))} shares its bytes with what follows it.",
                "Pack the dataset again with a common program.",
            )


def _end(info: zipfile.ZipInfo) -> int:
    """Where its content ends at the earliest: its header may have extra fields."""
    return info.header_offset + LOCAL_HEADER.size + len(name_bytes(info)) + info.compress_size


def _refuse_twins(
    files: Iterable[zipfile.ZipInfo], key: Callable[[zipfile.ZipInfo], str], code: str, how: str, cure: str
) -> None:
    ordered = sorted((key(info), member_name(info)) for info in files)
    for (one_key, one), (other_key, other) in pairwise(ordered):
        if one_key == other_key:
            pair = shown(one) if one == other else f"{shown(one)} and {shown(other)}"
            raise DatasetRejected(code, f"The archive holds {pair} {how}.", cure)

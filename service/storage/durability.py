"""Bytes and names that survive a power cut."""

import ctypes
import os
import sys
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Its entries: files that were made, renamed or removed in it."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_filesystem(folder: Path) -> None:
    """All of the file system that the folder lies on; Python itself only knows how to do that for all."""
    if sys.platform != "linux":
        os.sync()
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(number) != 0:
            failed = ctypes.get_errno()
            raise OSError(failed, os.strerror(failed), str(folder))
    finally:
        os.close(number)

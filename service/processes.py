"""Processes that end when the one that started them does, however that ended."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(last_word: int = signal.SIGKILL) -> None:
    """Call it in the child. A parent killed with -9 cannot tell its children; on Linux the kernel does."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(last_word))

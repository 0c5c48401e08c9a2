"""A process locks itself in: what it decodes may take it over, and must find nothing to do then.

It keeps the pipe it was started with, and memory. No file, socket or process can be opened or made any more,
by limits that the kernel holds and that cannot be raised again. Linux has more ways to do it; these need no
privileges, no library and no list of system calls for every processor.
"""

import ctypes
import math
import os
import resource
import sys
import time
from contextlib import suppress

MAX_MEMORY_BYTES = 1536 * 2**20  # 50 megapixels with alpha take 900 MB while they are laid on black
CPU_SECONDS = 10
_NOBODY = 65534
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CLONE_NEWUSER, _CLONE_NEWIPC, _CLONE_NEWNET = 0x10000000, 0x08000000, 0x40000000


def confine() -> None:
    """Call it once everything is imported. What the kernel forbids is left out; the limits always hold."""
    if sys.platform == "linux":
        _leave_the_network()
    _become_nobody()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if sys.platform == "linux":  # macOS counts what is merely mapped, which is more from the start
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    # The pipe stays open, and no number is free for anything else.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def grant_cpu(seconds: int = CPU_SECONDS) -> None:
    """So much processor time from now on, then the kernel ends the process by SIGXCPU."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = math.ceil(time.process_time()) + seconds
    resource.setrlimit(
        resource.RLIMIT_CPU, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )


def _leave_the_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    spaces = _CLONE_NEWNET | _CLONE_NEWIPC
    if libc.unshare(spaces) != 0:
        libc.unshare(spaces | _CLONE_NEWUSER)


def _become_nobody() -> None:
    """Root is not held by the limit of processes, and may raise the others again."""
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may have taken the right to do that
            os.setgroups([])
        with suppress(OSError):
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)

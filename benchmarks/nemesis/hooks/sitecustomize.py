"""Loaded by every Python of the cluster at its start, and of use only in a worker's child.

There it makes the images deadly whose sha256 stand in the file that NEMESIS_POISON names: reading one ends
the process, as a decoder's crash would; and the generator `identity` slow, as NEMESIS_SECONDS_PER_FRAME says.
The product itself knows nothing of it.
"""

import os
import sys

if "workers.child" in sys.orig_argv:
    if "NEMESIS_POISON" in os.environ:
        from pathlib import Path

        from benchmarks.nemesis.poison import make_deadly

        make_deadly(Path(os.environ["NEMESIS_POISON"]))
    if "NEMESIS_SECONDS_PER_FRAME" in os.environ:
        from benchmarks.nemesis.slow import make_slow

        make_slow(float(os.environ["NEMESIS_SECONDS_PER_FRAME"]))

"""Measurements: each module is one command, `python -m benchmarks.NAME`, that prints a table and keeps a JSON record."""

import os

# Before torch is imported: OpenMP's threads sleep while they wait, as in a worker's child (workers.child_process).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

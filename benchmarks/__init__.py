"""Measurements: `python -m benchmarks.NAME` prints a table and keeps a JSON record."""

import os

# Before torch is imported: OpenMP's threads sleep while they wait, as in a worker's child.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

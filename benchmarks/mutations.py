"""Tests the tests: breaks the product in one place at a time, in a copy, and sees whether a test goes red.

    python -m benchmarks.mutations             all of them
    python -m benchmarks.mutations fence cas   those of these names

mutmut and its like change every line and run for days; these are the mistakes that would cost a user data.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "results", "nightshift-data")
SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands in the file exactly once. `tests` are those that should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str]


LEASES, RUNNER = "tests/service/jobs/test_leases.py", "tests/workers/test_shard_runner.py"
MUTATIONS = [
    Mutation(
        "fence", "service/jobs/shard_moves.py",
        "shards.c.fence == shard.fence,", "",
        [LEASES],
    ),
    Mutation(
        "fsync", "service/storage/object_store.py",
        "            os.fsync(file.fileno())\n", "            pass\n",
        ["tests/service/storage/test_object_store.py"],
    ),
    Mutation(
        "done-before-durable", "workers/child.py",
        "        bench.store.sync()", "        pass",
        ["tests/workers/test_child.py"],
    ),
    Mutation(
        "done-before-stored", "workers/stages/translate.py",
        "    bench.store.write(task.result_key, ", "    (lambda *_: None)(task.result_key, ",
        ["tests/workers/stages/test_translate.py"],
    ),
    Mutation(
        "quarantined-before-stored", "workers/shard_runner.py",
        "            self._leases.postpone(shard, reason)\n            return\n",
        "            log.warning(\"ignored\", reason=reason)\n",
        [RUNNER],
    ),
    Mutation(
        "compare-and-set", "service/jobs/leases.py",
        "if not move_job(connection, shard.job_id, [JobState.PUBLISHING], JobState.SUCCEEDED):",
        "if not move_job(connection, shard.job_id, list(JobState), JobState.SUCCEEDED):",
        [LEASES, "tests/service/jobs/test_jobs_model.py"],
    ),
    Mutation(
        "swallowed-errors", "service/storage/object_store.py",
        "            Path(pending).unlink(missing_ok=True)\n            raise\n",
        "            Path(pending).unlink(missing_ok=True)\n",
        ["tests/service/storage/test_object_store.py"],
    ),
    Mutation(
        "strike-on-expiry", "service/jobs/upkeep.py",
        '"lease expired", is_expired)', '"lease expired", is_expired, strikes=shards.c.strikes + 1)',
        [LEASES],
    ),
    Mutation(
        "cancel-in-between", "service/jobs/settling.py",
        "    if connection.execute(running.limit(1)).first() is not None:\n        return False\n", "",
        [LEASES],
    ),
    Mutation(
        "no-watchdog", "workers/shard_runner.py",
        "            silence.look(heard)\n", "",
        [RUNNER],
    ),
    Mutation(
        "full-disk-counts", "workers/child.py",
        "        if (reason := outage(error)) is not None:", "        if (reason := None) is not None:",
        ["tests/workers/test_child.py"],
    ),
    Mutation(
        "whole-label-file", "service/datasets/streams.py",
        "        for piece in source:", '        for piece in [b"".join(source)]:',
        ["tests/bad_input/test_labels.py"],
    ),
    Mutation(
        "label-name-as-path", "service/datasets/image_table.py",
        "        if not is_plain(wanted):\n            return None\n",
        '        wanted = __import__("posixpath").normpath(f"images/{wanted}")\n',
        ["tests/service/datasets/test_joining.py"],
    ),
    Mutation(
        "made-without-its-key", "service/jobs/idempotency.py",
        "    claim = _held.get()\n", "    claim = None\n",
        ["tests/service/jobs/test_idempotency.py"],
    ),
    Mutation(
        "made-for-a-lost-claim", "service/jobs/idempotency.py",
        "is_first = claim.is_mine & table.c.made_id.is_(None)",
        "is_first = _is_at(claim.tenant, claim.key, claim.path)",
        ["tests/service/jobs/test_idempotency.py"],
    ),
    Mutation(
        "kill-counts-as-error", "workers/child_process.py",
        "return self.status == -signal.SIGKILL", "return False",
        [RUNNER],
    ),
    Mutation(
        "tenant-filter", "service/jobs/store.py",
        "select(*JOB_COLUMNS).where(jobs.c.id == job_id, self._is_mine())",
        "select(*JOB_COLUMNS).where(jobs.c.id == job_id)",
        ["tests/service/api/test_access_matrix.py"],
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """`red` names the first test that noticed; None when none did."""

    mutation: Mutation
    red: str | None


def tried(mutation: Mutation, folder: Path) -> Outcome:
    file = folder / mutation.file
    whole = file.read_text()
    if whole.count(mutation.old) != 1:
        raise LookupError(f"{mutation.name}: {mutation.file} does not have it exactly once: {mutation.old!r}")
    file.write_text(whole.replace(mutation.old, mutation.new))
    try:
        return Outcome(mutation, first_red(mutation.tests, folder))
    finally:
        file.write_text(whole)


def first_red(tests: Sequence[str], folder: Path) -> str | None:
    """Run as any test run, but for the first failure only."""
    command = [sys.executable, "-m", "pytest", *tests, "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(
            f"pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="of mutations; all of them without any")
    names = parser.parse_args().names
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    missed = 0
    print("| mutation | noticed by |\n|---|---|")
    with tempfile.TemporaryDirectory(prefix="nightshift-mutations-") as temporary:
        folder = Path(temporary) / "tree"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        for mutation in chosen:
            outcome = tried(mutation, folder)
            missed += outcome.red is None
            print(f"| {mutation.name} | {outcome.red or '**nobody**'} |", flush=True)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()

"""What killed writers have left on a disk is removed; what is written now, or finished, is not."""

import os
import signal
import time
from pathlib import Path

import fsspec
import pytest

from service.settings import Settings
from service.storage.abandoned import ABANDONED_AFTER_SECONDS, remove_abandoned
from service.storage.object_store import PENDING_SUFFIX, ObjectStore, open_store
from workers.chores import Aside
from workers.reconciler import abandoned_chore

OLD = ABANDONED_AFTER_SECONDS + 60


def let_age(path: Path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at), follow_symlinks=False)


def killed_writer(store: ObjectStore, key: str) -> Path:
    """What is left by a process that was killed while it wrote."""
    assert store.folder is not None
    before = set(store.folder.rglob("*"))
    pid = os.fork()
    if pid == 0:
        with store.writing(key) as file:
            file.write(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    (left,) = {path for path in store.folder.rglob("*") if path.is_file()} - before
    return left


def test_what_a_killed_writer_left_is_removed_once_it_is_old(store: ObjectStore) -> None:
    left = killed_writer(store, "jobs/job-1/plan.jsonl")
    assert (left.exists(), store.keys("")) == (True, [])
    assert remove_abandoned(store) == 0
    let_age(left, ABANDONED_AFTER_SECONDS - 60)
    assert remove_abandoned(store) == 0
    let_age(left, OLD)
    assert remove_abandoned(store) == 1
    assert not left.exists()
    assert remove_abandoned(store) == 0


def test_one_that_is_still_written_to_is_kept(store: ObjectStore) -> None:
    assert store.folder is not None
    with store.writing("datasets/ds-1/manifest.jsonl") as file:
        (pending,) = store.folder.rglob(f"*{PENDING_SUFFIX}*")
        let_age(pending, OLD)  # it was begun long ago
        file.write(b"more")
        file.flush()
        assert remove_abandoned(store) == 0
    assert store.read("datasets/ds-1/manifest.jsonl") == b"more"


@pytest.mark.parametrize(
    "name",
    [
        "datasets/ds-1/images/train/a.pending-0123abcd.jpg",
        "datasets/ds-1/images/train/a.pending-",
        "datasets/ds-1/images/train/a.pending-0123abcde",
        "datasets/ds-1/images/train/a.pending-0123ABCD",
        "datasets/ds-1/images/train/pending-0123abcd",
        "incoming/up-1",
    ],
)
def test_nothing_else_is_removed_however_old(store: ObjectStore, name: str) -> None:
    assert store.folder is not None
    path = store.folder / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    let_age(path, OLD)
    assert remove_abandoned(store) == 0
    assert path.read_bytes() == b"mine"


def test_links_lead_nowhere(store: ObjectStore, tmp_path: Path) -> None:
    assert store.folder is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = elsewhere / "x.pending-0123abcd"
    theirs.write_bytes(b"theirs")
    let_age(theirs, OLD)
    (store.folder / "folder").symlink_to(elsewhere)
    link = store.folder / "y.pending-0123abcd"
    link.symlink_to(theirs)
    let_age(link, OLD)
    assert remove_abandoned(store) == 0
    assert theirs.exists()
    assert link.is_symlink()


def test_a_store_without_a_folder_has_nothing_abandoned() -> None:
    assert remove_abandoned(ObjectStore(fsspec.filesystem("memory", skip_instance_cache=True), "/m")) == 0


def test_the_reconciler_sees_to_it_beside_its_rounds(settings: Settings) -> None:
    store = open_store(settings)
    left = killed_writer(store, "a/b")
    let_age(left, OLD)
    chore = abandoned_chore(store)
    chore.do()
    assert isinstance(chore.do, Aside)
    assert chore.do.thread is not None
    chore.do.thread.join()
    assert not left.exists()

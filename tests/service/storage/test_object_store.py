"""An object appears whole or not at all, on a disk, in memory and in S3 alike."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from service.errors import ObjectNotFound
from service.settings import Settings
from service.storage.durability import sync_filesystem
from service.storage.object_store import ObjectStore, open_store
from service.storage.s3 import BLOCK_BYTES
from tests.servers.ceph import CephServer, s3_settings


@pytest.fixture(params=["file", "memory", pytest.param("s3", marks=pytest.mark.servers)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "s3":
        server: CephServer = request.getfixturevalue("s3_server")
        return open_store(s3_settings(server, tmp_path))
    if request.param == "file":
        return ObjectStore(fsspec.filesystem("file"), str(tmp_path))
    return ObjectStore(fsspec.filesystem("memory", skip_instance_cache=True), f"/{tmp_path.name}")


def test_what_was_written_is_read(store: ObjectStore) -> None:
    store.write("a/b/c.bin", b"0123456789")
    assert store.read("a/b/c.bin") == b"0123456789"
    assert store.read_range("a/b/c.bin", 2, 5) == b"234"
    assert store.size_bytes("a/b/c.bin") == 10
    assert store.exists("a/b/c.bin")


def test_writing_again_replaces(store: ObjectStore) -> None:
    store.write("key", b"first")
    store.write("key", b"second")
    assert store.read("key") == b"second"


def test_an_interrupted_write_leaves_nothing(store: ObjectStore) -> None:
    def write_half() -> None:
        with store.writing("half") as file:
            file.write(b"half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert not store.exists("half")
    assert store.keys("") == []


def test_an_interrupted_write_keeps_what_was_there(store: ObjectStore) -> None:
    store.write("key", b"whole")

    def write_half() -> None:
        with store.writing("key") as file:
            file.write(b"ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert store.read("key") == b"whole"


def test_a_missing_object_is_named(store: ObjectStore) -> None:
    for read in (store.read, store.size_bytes, lambda key: list(store.lines(key))):
        with pytest.raises(ObjectNotFound, match="no/such"):
            read("no/such")


def test_keys_are_listed_by_prefix_in_order(store: ObjectStore) -> None:
    for key in ("a/2", "a/1", "b/1"):
        store.write(key, b"")
    assert store.keys("a") == ["a/1", "a/2"]


def test_the_size_of_what_lies_below_is_that_of_its_objects(store: ObjectStore) -> None:
    assert store.size_below("a") == 0
    for key, size in (("a/1", 10), ("a/b/2", 100), ("ab", 1000), ("c/3", 10_000)):
        store.write(key, bytes(size))
    with store.writing("a/4") as file:
        file.write(bytes(7))
        assert store.size_below("a") == 110
    assert store.size_below("a") == 117


def test_deleting_takes_everything_below(store: ObjectStore) -> None:
    store.write("a/1", b"x")
    store.write("a/b/2", b"x")
    store.delete("a")
    store.delete("never/there")
    assert store.keys("") == []


def test_lines_come_without_their_ends(store: ObjectStore) -> None:
    store.write("text", b"one\ntwo\n")
    assert list(store.lines("text")) == [b"one", b"two"]


def test_a_large_object_is_written_piece_by_piece(store: ObjectStore) -> None:
    block = bytes(range(256)) * (1 << 12)
    with store.writing("large") as file:
        for _ in range(2 * BLOCK_BYTES // len(block) + 1):
            file.write(block)
    assert store.size_bytes("large") == 2 * BLOCK_BYTES + len(block)
    assert store.read_range("large", 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 256) == bytes(range(256))
    with store.open("large") as file:
        file.seek(BLOCK_BYTES - 1)
        assert file.read(3) == b"\xff\x00\x01"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    with store.writing("empty"):
        pass
    assert store.exists("empty")
    assert store.read("empty") == b""


def test_what_another_writes_is_seen_at_once(store: ObjectStore) -> None:
    assert store.keys("a") == []
    assert not store.exists("a/1")
    store.write("a/1", b"x")
    assert (store.keys("a"), store.exists("a/1")) == (["a/1"], True)


def test_bytes_are_durable_before_their_name_is_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not leave a whole name with half the bytes."""
    done: list[str] = []

    def noted(name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object) -> None:
            done.append(name)
            real(*given)

        return call

    for name in ("fsync", "rename", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    store = open_store(settings)
    with store.writing("datasets/a/manifest.jsonl") as file:
        file.write(b"all of it")
    places = [place for place, name in enumerate(done) if name in ("rename", "replace")]
    assert len(places) == 1
    assert done[: places[0]] == ["fsync"], "the bytes"
    assert done[places[0] + 1 :].count("fsync") == 3, "the name, and the folders that are new with it"


def test_syncing_makes_the_small_files_durable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("service.storage.object_store.sync_filesystem", synced.append)
    store = open_store(settings)
    store.write("a", b"x")
    store.sync()
    assert synced == [settings.data_dir.absolute() / "store"]


def test_a_disk_can_really_be_synced(tmp_path: Path) -> None:
    sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "nowhere")


@pytest.mark.parametrize("how", ["write", "writing"])
def test_what_could_not_be_stored_is_told_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = open_store(settings)
    with monkeypatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, full)
        with pytest.raises(OSError, match="No space left"):
            store.write("a", b"x") if how == "write" else write_in_a_block(store)
    assert [path for path in (settings.data_dir / "store").rglob("*") if path.is_file()] == []
    store.write("a", b"x")
    assert store.read("a") == b"x"


def write_in_a_block(store: ObjectStore) -> None:
    with store.writing("a") as file:
        file.write(b"x")

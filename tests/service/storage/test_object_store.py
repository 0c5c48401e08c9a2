"""An object appears whole or not at all, on a disk and in memory alike."""

from pathlib import Path

import fsspec
import pytest

from service.errors import ObjectNotFound
from service.storage.object_store import ObjectStore


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
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


def test_deleting_takes_everything_below(store: ObjectStore) -> None:
    store.write("a/1", b"x")
    store.write("a/b/2", b"x")
    store.delete("a")
    store.delete("never/there")
    assert store.keys("") == []


def test_lines_come_without_their_ends(store: ObjectStore) -> None:
    store.write("text", b"one\ntwo\n")
    assert list(store.lines("text")) == [b"one", b"two"]

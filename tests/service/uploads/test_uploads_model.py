"""Several uploads, sent in any pieces and any order by clients that err and die, to servers that die, too.

Whatever happens, an upload has the bytes it was told to have, or the client is told that it has not.
"""

import base64
import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update

from service.jobs.database import Database
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads, uploads
from service.settings import Settings
from service.storage import keys
from service.uploads import on_disk
from service.uploads.incoming import IncomingUploads
from service.uploads.receive import ClientGone
from service.uploads.refusals import (
    ChecksumMismatch,
    MoreThanAnnounced,
    OffsetMismatch,
    UploadGone,
    UploadIsComplete,
)
from tests.service.uploads.conftest import another_host, begin, open_desk, send


class PowerCut(BaseException):
    """The server stops here; nothing after it happens, not even tidying up."""


class Disk:
    """Remembers what was synced, and forgets the rest when the power fails."""

    def __init__(self) -> None:
        self.synced: dict[int, bytes] = {}

    def sync(self, file: int) -> None:
        info = os.fstat(file)
        self.synced[info.st_ino] = os.pread(file, info.st_size, 0)

    def fail(self, path: Path) -> None:
        if path.exists():
            kept = self.synced.get(path.stat().st_ino, b"")
            grown = path.stat().st_size - len(kept)
            with path.open("r+b") as file:
                # What was not synced may be there, may be zeros, may be missing.
                file.write(kept + bytes(max(0, grown // 2)))
                file.truncate()


class Uploads(RuleBasedStateMachine):
    kind: str
    with_settings: Settings
    database: Database
    patch: pytest.MonkeyPatch
    numbers = itertools.count()
    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.desk = open_desk(self.kind, self.with_settings, self.database)
        self.contents: dict[str, bytes] = {}
        self.terminated: set[str] = set()
        self.disk = Disk()
        self.patch.setattr(on_disk, "_fdatasync", self.disk.sync)

    @rule(target=known, size_bytes=st.integers(0, 260), is_named=st.booleans())
    def begin(self, size_bytes: int, is_named: bool) -> str:
        content = random.Random(next(self.numbers)).randbytes(size_bytes)
        sha256 = base64.b64encode(hashlib.sha256(content).hexdigest().encode()).decode()
        upload_id = begin(self.desk, size_bytes, f"sha256 {sha256}" if is_named else "").id
        self.contents[upload_id] = content
        return upload_id

    @rule(upload_id=known, count=st.integers(0, 260), is_cut=st.booleans())
    def go_on(self, upload_id: str, count: int, is_cut: bool) -> None:
        offset = self.offset(upload_id)
        self.attempt(upload_id, offset, self.contents[upload_id][offset : offset + count], is_cut=is_cut)

    @rule(upload_id=known, start=st.integers(0, 260), count=st.integers(0, 260))
    def send_from_anywhere(self, upload_id: str, start: int, count: int) -> None:
        """Duplicates, pieces out of order."""
        self.attempt(upload_id, start, self.contents[upload_id][start : start + count])

    @rule(upload_id=known, surplus=st.integers(1, 100), is_told=st.booleans())
    def send_too_much(self, upload_id: str, surplus: int, is_told: bool) -> None:
        offset = self.offset(upload_id)
        data = self.contents[upload_id][offset:] + bytes(surplus)
        self.attempt(upload_id, offset, data, length_bytes=len(data) if is_told else None)

    @rule(upload_id=known, count=st.integers(1, 260), is_right=st.booleans(), is_cut=st.booleans())
    def send_summed_up(self, upload_id: str, count: int, is_right: bool, is_cut: bool) -> None:
        offset = self.offset(upload_id)
        data = self.contents[upload_id][offset : offset + count]
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        sent = data if is_right or not data else bytes([data[0] ^ 1]) + data[1:]
        self.attempt(upload_id, offset, sent, checksum=f"sha256 {digest}", is_cut=is_cut)

    @rule(
        upload_id=known,
        count=st.integers(1, 260),
        moment=st.sampled_from(
            [
                "before advance",
                "after advance",
                "before complete",
                "after complete",
                "before finish",
                "after finish",
            ]
        ),
        nth=st.integers(1, 3),
    )
    def lose_power(self, upload_id: str, count: int, moment: str, nth: int) -> None:
        offset = self.offset(upload_id)
        data = self.contents[upload_id][offset : offset + count]
        with self.power_cut(moment, nth):
            self.attempt(upload_id, offset, data)

    @rule()
    def go_to_another_host(self) -> None:
        self.desk = another_host(self.desk)

    @rule(upload_id=known)
    def terminate(self, upload_id: str) -> None:
        if upload_id not in self.terminated:
            self.desk.terminate(upload_id)
            self.terminated.add(upload_id)

    @rule()
    def sweep(self) -> None:
        self.desk.sweeper(kept_seconds=1e9)

    @invariant()
    def what_is_claimed_is_there(self) -> None:
        for upload_id, content in self.contents.items():
            if upload_id not in self.terminated:
                row = self.desk.incoming.get(upload_id)
                assert self.stored(upload_id)[: row.offset_bytes] == content[: row.offset_bytes]
                assert row.state in (UploadState.RECEIVING, UploadState.FINISHING, UploadState.COMPLETE)

    @invariant()
    def there_is_one_row_for_each_that_is_complete(self) -> None:
        with self.database.reading() as connection:
            for upload_id, content in self.contents.items():
                count = connection.scalar(select(func.count()).where(uploads.c.id == upload_id))
                is_complete = self.desk.incoming.get(upload_id).state is UploadState.COMPLETE
                assert count == int(is_complete), upload_id
                if is_complete:
                    assert self.desk.store.read(keys.upload(upload_id)) == content
                    sha256 = connection.scalar(select(uploads.c.sha256).where(uploads.c.id == upload_id))
                    assert sha256 == hashlib.sha256(content).hexdigest()

    def teardown(self) -> None:
        """Every client comes back, and ends what it began."""
        for upload_id, content in self.contents.items():
            if upload_id in self.terminated:
                continue
            while self.desk.look(upload_id).state is not UploadState.COMPLETE:
                offset = self.offset(upload_id)
                send(self.desk, upload_id, offset, content[offset : offset + 100])
            assert self.desk.store.read(keys.upload(upload_id)) == content
        self.desk.sweeper(kept_seconds=0.0)
        self.desk.sweeper(kept_seconds=0.0)
        assert self.desk.store.keys("") == [], "everything is swept away in the end"

    def offset(self, upload_id: str) -> int:
        return 0 if upload_id in self.terminated else self.desk.look(upload_id).offset_bytes

    def attempt(self, upload_id: str, start: int, data: bytes, **more: Any) -> None:
        """The piece is taken, or refused for the reason that holds; and the offset tells which."""
        row = self.desk.incoming.get(upload_id)
        before, content = row.offset_bytes, self.contents[upload_id]
        try:
            assert send(self.desk, upload_id, start, data, **more) == start + len(data)
            assert content[start : start + len(data)] == data
            assert start == before
        except ClientGone:
            assert more["is_cut"]
        except OffsetMismatch as refusal:
            assert (refusal.offset_bytes, start != before) == (before, True)  # noqa: PT017 - it may also be taken
        except MoreThanAnnounced:
            assert start + len(data) > len(content)
        except ChecksumMismatch:
            assert content[start : start + len(data)] != data
            assert self.desk.look(upload_id).offset_bytes == before
        except UploadIsComplete:
            assert row.state is not UploadState.RECEIVING
        except UploadGone:
            assert upload_id in self.terminated

    def stored(self, upload_id: str) -> bytes:
        row, store = self.desk.incoming.get(upload_id), self.desk.store
        if store.exists(keys.upload(upload_id)):
            return store.read(keys.upload(upload_id))
        if store.folder is not None:
            return store.read(keys.incoming(upload_id)) if store.exists(keys.incoming(upload_id)) else b""
        parts = self.desk.staging._multipart.open.get(row.staging.get("name"), {})  # type: ignore[attr-defined]
        tail = row.staging.get("tail")
        whole = b"".join(parts[number] for number, _ in row.staging.get("parts", []))
        return whole + (store.read(tail) if tail else b"")

    @contextmanager
    def power_cut(self, moment: str, nth: int) -> Iterator[None]:
        """At the n-th time that the moment comes; if it comes."""
        when, _, what = moment.partition(" ")
        left, is_dead, release = itertools.count(nth, -1), False, IncomingUploads.release

        def die() -> None:
            nonlocal is_dead
            is_dead = True
            raise PowerCut

        def cut(act: Callable[..., Any]) -> Callable[..., Any]:
            def acted(*arguments: Any, **options: Any) -> Any:
                is_now = next(left) == 1
                if is_now and when == "before":
                    die()
                result = act(*arguments, **options)
                if is_now:
                    die()
                return result

            return acted

        owner = type(self.desk.staging) if what == "finish" else IncomingUploads
        with self.patch.context() as patch:
            patch.setattr(owner, what, cut(getattr(owner, what)))
            patch.setattr(IncomingUploads, "release", lambda *held: None if is_dead else release(*held))
            try:
                yield
            except PowerCut:
                pass
            else:
                return
        self.desk = another_host(self.desk)
        for upload_id in self.contents:
            if self.desk.store.folder is not None:
                self.disk.fail(self.desk.store.folder / keys.incoming(upload_id))
        with self.database.writing() as connection:  # time goes by until somebody comes back
            connection.execute(update(incoming_uploads).values(locked_until=1.0))


@pytest.mark.parametrize("kind", ["disk", "parts"])
def test_no_order_of_events_spoils_an_upload(
    kind: str, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_machine(kind, settings, database, monkeypatch, examples=8, steps=15)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["disk", "parts"])
def test_no_long_order_of_events_spoils_an_upload(
    kind: str, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_machine(kind, settings, database, monkeypatch, examples=25, steps=25)


def run_machine(
    kind: str,
    with_settings: Settings,
    database: Database,
    patch: pytest.MonkeyPatch,
    examples: int,
    steps: int,
) -> None:
    facts = {"kind": kind, "with_settings": with_settings, "database": database, "patch": patch}
    machine = type("Machine", (Uploads,), facts)
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=slow,
            phases=[Phase.explicit, Phase.generate],  # every step is a transaction: shrinking takes minutes
        ),
    )  # fmt: skip

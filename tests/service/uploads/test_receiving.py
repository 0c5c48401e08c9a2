"""What a client was told to be here is here, whatever became of connections, servers and other clients."""

import base64
import hashlib
import random

import pytest
from sqlalchemy import select, update

from service.errors import NoSpaceLeft, NotFound, UploadIncomplete
from service.jobs.database import Database
from service.jobs.library import Library
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads, uploads
from service.storage import keys
from service.uploads.desk import UploadDesk
from service.uploads.receive import ClientGone
from service.uploads.refusals import (
    ChecksumMismatch,
    DigestMismatch,
    DiskTooSmall,
    MoreThanAnnounced,
    OffsetMismatch,
    UploadGone,
    UploadIsComplete,
    UploadLocked,
)
from service.uploads.staging import StagedBytesLost
from tests.service.uploads.conftest import PART_BYTES, another_host, begin, send

DATA = random.Random(0).randbytes(300)
SHA256 = hashlib.sha256(DATA).hexdigest()


def expected(digest: str) -> str:
    return f"sha256 {base64.b64encode(digest.encode()).decode()}"


def checksum(data: bytes) -> str:
    return f"sha1 {base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()}"


def test_pieces_become_the_upload(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA), expected(SHA256)).id
    for start, end in ((0, 1), (1, 130), (130, 130), (130, 299), (299, 300)):
        assert send(desk, upload_id, start, DATA[start:end]) == end
        assert desk.look(upload_id).offset_bytes == end
    upload = Library(database).upload(upload_id)
    assert (upload.sha256, upload.size_bytes, upload.filename) == (SHA256, 300, "upload.zip")
    assert desk.store.read(keys.upload(upload_id)) == DATA
    assert desk.store.keys("incoming") == []


@pytest.mark.parametrize("size_bytes", [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 4 * PART_BYTES])
def test_a_piece_may_end_anywhere_in_a_part(desk: UploadDesk, size_bytes: int) -> None:
    for cut in (1, size_bytes // 2, size_bytes - 1):
        upload_id = begin(desk, size_bytes).id
        send(desk, upload_id, 0, DATA[:cut])
        send(another_host(desk), upload_id, cut, DATA[cut:size_bytes])
        assert desk.store.read(keys.upload(upload_id)) == DATA[:size_bytes]


def test_an_empty_upload_is_complete_at_once(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, 0).id
    assert desk.look(upload_id).state is UploadState.COMPLETE
    assert Library(database).upload(upload_id).sha256 == hashlib.sha256(b"").hexdigest()
    assert desk.store.read(keys.upload(upload_id)) == b""


def test_a_digest_that_no_process_has_seen_whole_is_made_from_the_object(
    desk: UploadDesk, database: Database
) -> None:
    upload_id = begin(desk, len(DATA), expected(SHA256)).id
    for host, start, end in ((desk, 0, 50), (another_host(desk), 50, 200), (desk, 200, 300)):
        send(host, upload_id, start, DATA[start:end])
    assert Library(database).upload(upload_id).sha256 == SHA256


def test_what_came_before_the_line_broke_is_kept(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id
    with pytest.raises(ClientGone):
        send(desk, upload_id, 0, DATA[:130], is_cut=True)
    assert desk.look(upload_id).offset_bytes == 130
    send(desk, upload_id, 130, DATA[130:])
    assert desk.store.read(keys.upload(upload_id)) == DATA


def test_a_line_that_breaks_after_the_last_byte_has_brought_all(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id
    with pytest.raises(ClientGone):
        send(desk, upload_id, 0, DATA, is_cut=True)
    assert desk.look(upload_id).state is UploadState.COMPLETE


@pytest.mark.parametrize("offset_bytes", [0, 99, 101, 300, 10**17])
def test_a_piece_from_elsewhere_is_refused_with_the_true_offset(desk: UploadDesk, offset_bytes: int) -> None:
    upload_id = begin(desk, len(DATA)).id
    send(desk, upload_id, 0, DATA[:100])
    with pytest.raises(OffsetMismatch) as refusal:
        send(desk, upload_id, offset_bytes, b"other")
    assert refusal.value.offset_bytes == desk.look(upload_id).offset_bytes == 100
    send(desk, upload_id, 100, DATA[100:])
    assert desk.store.read(keys.upload(upload_id)) == DATA


def test_surplus_bytes_are_not_stored(desk: UploadDesk) -> None:
    upload_id = begin(desk, 100).id
    with pytest.raises(MoreThanAnnounced):
        send(desk, upload_id, 0, DATA[:101], length_bytes=101)
    assert desk.look(upload_id).offset_bytes == 0
    with pytest.raises(MoreThanAnnounced):
        send(desk, upload_id, 0, DATA[:300])
    offset = desk.look(upload_id).offset_bytes
    assert offset < 100
    send(desk, upload_id, offset, DATA[offset:100])
    assert desk.store.read(keys.upload(upload_id)) == DATA[:100]


def test_a_piece_with_a_checksum_counts_as_a_whole(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id
    send(desk, upload_id, 0, DATA[:70])
    with pytest.raises(ChecksumMismatch):
        send(desk, upload_id, 70, DATA[70:260] + b"\0", checksum=checksum(DATA[70:261]))
    with pytest.raises(ClientGone):
        send(desk, upload_id, 70, DATA[70:260], checksum=checksum(DATA[70:261]), is_cut=True)
    assert desk.look(upload_id).offset_bytes == 70
    assert send(desk, upload_id, 70, DATA[70:], checksum=checksum(DATA[70:])) == 300
    assert desk.store.read(keys.upload(upload_id)) == DATA


def test_an_upload_that_is_not_what_was_announced_is_corrupt(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA), expected("0" * 64)).id
    with pytest.raises(DigestMismatch):
        send(desk, upload_id, 0, DATA)
    for again in (lambda: desk.look(upload_id), lambda: send(desk, upload_id, 0, DATA)):
        with pytest.raises(DigestMismatch):
            again()
    assert not desk.store.exists(keys.upload(upload_id))
    with pytest.raises(NotFound):
        Library(database).upload(upload_id)
    assert desk.incoming.reserved_bytes() == 0


def test_nothing_is_added_to_what_is_complete_or_gone(desk: UploadDesk, database: Database) -> None:
    complete, terminated, expired = (begin(desk, 10).id for _ in range(3))
    send(desk, complete, 0, DATA[:10])
    send(desk, terminated, 0, DATA[:5])
    desk.terminate(terminated)
    row = incoming_uploads.c.id == expired
    with database.writing() as connection:
        connection.execute(update(incoming_uploads).where(row).values(expires_at=1.0))
    with pytest.raises(UploadIsComplete):
        send(desk, complete, 10, b"more")
    for upload_id, state in ((terminated, "removed"), (expired, "expired")):
        for ask in (lambda: send(desk, upload_id, 0, b"more"), lambda: desk.look(upload_id)):  # noqa: B023
            with pytest.raises(UploadGone, match=state):
                ask()


def test_a_second_client_is_kept_out_while_the_first_is_sending(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id

    def second() -> None:
        with pytest.raises(UploadLocked):
            send(another_host(desk), upload_id, 0, DATA)

    assert send(desk, upload_id, 0, DATA[:40], before_end=second) == 40
    assert send(another_host(desk), upload_id, 40, DATA[40:]) == 300


def test_a_client_that_is_not_heard_of_does_not_keep_others_out(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA)).id
    desk.incoming.lock(upload_id, "dead", UploadState.RECEIVING)
    is_shared = not desk.staging.knows_the_dead
    if is_shared:
        with pytest.raises(UploadLocked):
            send(desk, upload_id, 0, DATA)
        with database.writing() as connection:
            connection.execute(update(incoming_uploads).values(locked_until=1.0))
    assert send(desk, upload_id, 0, DATA) == 300


# On a disk nobody can take the lock of a request that lives.
@pytest.mark.parametrize("desk", ["parts"], indirect=True)
def test_one_that_comes_back_after_its_lock_was_taken_spoils_nothing(
    desk: UploadDesk, database: Database
) -> None:
    upload_id = begin(desk, len(DATA)).id
    other = DATA[::-1]

    def overtake() -> None:
        with database.writing() as connection:
            connection.execute(update(incoming_uploads).values(locked_until=1.0))
        offset = desk.look(upload_id).offset_bytes
        send(another_host(desk), upload_id, offset, DATA[offset:200])

    with pytest.raises(UploadLocked):
        send(desk, upload_id, 0, DATA[:70] + other[:60], before_end=overtake)
    send(desk, upload_id, 200, DATA[200:])
    assert desk.store.read(keys.upload(upload_id)) == DATA


def test_an_upload_terminated_under_a_sender_ends_it(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA)).id
    with pytest.raises(UploadGone):
        send(desk, upload_id, 0, DATA, before_end=lambda: desk.terminate(upload_id))
    with database.reading() as connection:
        assert connection.scalar(select(uploads.c.id).where(uploads.c.id == upload_id)) is None
    desk.sweeper(1e9)
    assert desk.store.keys("") == []


def test_bytes_that_somebody_removed_end_the_upload(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id
    send(desk, upload_id, 0, DATA[:50])
    desk.staging.discard(desk.look(upload_id))
    with pytest.raises(StagedBytesLost):
        send(desk, upload_id, 50, DATA[50:])
    with pytest.raises(UploadGone):
        desk.look(upload_id)


def test_a_server_that_died_at_the_very_end_is_stood_in_for(
    desk: UploadDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    for step in (
        "service.uploads.finish.Finisher.finish",
        "service.uploads.incoming.IncomingUploads.complete",
    ):
        upload_id = begin(desk, len(DATA), expected(SHA256)).id
        with monkeypatch.context() as patch:
            patch.setattr(step, cut)
            with pytest.raises(PowerCut):
                send(desk, upload_id, 0, DATA)
        with pytest.raises(UploadIncomplete):
            Library(database).upload(upload_id)
        assert another_host(desk).look(upload_id).state is UploadState.COMPLETE
        assert desk.store.read(keys.upload(upload_id)) == DATA
        assert Library(database).upload(upload_id).sha256 == SHA256


def test_a_dataset_of_half_an_upload_is_refused(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA)).id
    send(desk, upload_id, 0, DATA[:50])
    with pytest.raises(UploadIncomplete, match="50 of 300"):
        Library(database).upload(upload_id)


def test_room_is_kept_for_what_was_announced(desk: UploadDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(desk.staging), "free_bytes", lambda _self: 1000)
    first = begin(desk, 600).id
    send(desk, first, 0, bytes(500))
    with pytest.raises(DiskTooSmall):
        begin(desk, 901)
    assert isinstance(DiskTooSmall(), NoSpaceLeft)
    begin(desk, 800)
    desk.terminate(first)
    begin(desk, 100)

"""A process that ends between any two steps of taking a piece: what another one then finds."""

import hashlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from service.jobs.database import Database
from service.jobs.records import UploadState
from service.settings import Settings
from service.storage import keys
from service.uploads.desk import UploadDesk
from tests.service.uploads.conftest import begin, open_desk, send

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
DATA = bytes(range(250))
# Sends DATA[100:] in the way that its arguments say, and ends without a word at one call of one function.
PROGRAM = """
    import os, sys
    from service.jobs.database import Database
    from service.settings import Settings
    from service.uploads import finish, incoming, on_disk, receive
    from tests.service.uploads.conftest import DATA_OF_CRASHES, open_desk, send

    folder, upload_id, moment, owner, name, nth = sys.argv[1:]
    owner = eval(owner)
    act, left = getattr(owner, name), int(nth)

    def crash(*arguments, **options):
        global left
        left -= 1
        if left == 0 and moment == "before":
            os._exit(9)
        result = act(*arguments, **options)
        if left == 0:
            os._exit(9)
        return result

    setattr(owner, name, crash)
    receive.BLOCK_BYTES, receive.CLAIM_BYTES = 16, 48
    settings = Settings(data_dir=folder)
    send(open_desk("disk", settings, Database.of(settings)), upload_id, 100, DATA_OF_CRASHES[100:])
"""


@pytest.fixture
def desk(settings: Settings, database: Database) -> UploadDesk:
    return open_desk("disk", settings, database)


@pytest.mark.parametrize(
    ("moment", "function", "nth", "offset_bytes", "state"),
    [
        ("after", "on_disk _fdatasync", 1, 100, UploadState.RECEIVING),
        ("after", "incoming.IncomingUploads advance", 1, 163, UploadState.RECEIVING),
        ("before", "on_disk _fdatasync", 3, 226, UploadState.RECEIVING),
        ("after", "incoming.IncomingUploads advance", 3, 250, UploadState.FINISHING),
        ("after", "on_disk.DiskStaging finish", 1, 250, UploadState.FINISHING),
        ("after", "incoming.IncomingUploads complete", 1, 250, UploadState.COMPLETE),
    ],
)
def test_what_was_claimed_is_there_and_the_rest_can_be_sent(
    desk: UploadDesk, settings: Settings, moment: str, function: str, nth: int, offset_bytes: int, state: str
) -> None:
    upload_id = begin(desk, len(DATA)).id
    send(desk, upload_id, 0, DATA[:100])
    program = textwrap.dedent(PROGRAM).replace("DATA_OF_CRASHES, ", "").replace("DATA_OF_CRASHES", repr(DATA))
    arguments = [str(settings.data_dir), upload_id, moment, *function.split(), str(nth)]
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert done.returncode == 9, done.stderr.decode()
    row = desk.incoming.get(upload_id)
    assert (row.offset_bytes, row.state) == (offset_bytes, state)
    if state is UploadState.RECEIVING:
        send(desk, upload_id, offset_bytes, DATA[offset_bytes:])
    elif state is UploadState.FINISHING:  # the lock of the dead is respected until its time is over
        with desk.database.writing() as connection:
            connection.exec_driver_sql("UPDATE incoming_uploads SET locked_until = 1")
    assert desk.look(upload_id).state is UploadState.COMPLETE
    content = desk.store.read(keys.upload(upload_id))
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(DATA).hexdigest()

"""All pieces are there: one object, one hash, one row of `uploads`. Any step of it may be done again."""

import hashlib
import secrets
import time

from service.jobs.records import Upload, UploadState
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.uploads.incoming import Incoming, IncomingUploads
from service.uploads.refusals import DigestMismatch
from service.uploads.staging import StagedBytesLost, Staging

BLOCK_BYTES = 1 << 20


class Finisher:
    def __init__(self, uploads: IncomingUploads, staging: Staging, store: ObjectStore) -> None:
        self._uploads = uploads
        self._staging = staging
        self._store = store

    def finish(self, held: Incoming, sha256: str | None) -> Upload:
        """`sha256` of all bytes, if it is known; without it the object is read once more.

        Raises:
            DigestMismatch: it is not what its client announced; nothing of it is kept.
        """
        key = keys.upload(held.id)
        try:
            self._staging.finish(held)
        except StagedBytesLost:
            self._uploads.give_up(held)
            raise
        found = sha256 or self._sha256_of(key, held)
        if held.expected_sha256 not in (None, found):
            self._uploads.reject(held)
            self._store.delete(key)
            raise DigestMismatch
        return self._uploads.complete(held, found)

    def resume(self, upload_id: str) -> Upload:
        """For an upload that a server left in the midst of this.

        Raises:
            UploadLocked: another one is at it.
        """
        owner = f"finish-{secrets.token_hex(8)}"
        held = self._uploads.lock(upload_id, owner, UploadState.FINISHING)
        try:
            return self.finish(held, None)
        finally:
            self._uploads.release(held)

    def _sha256_of(self, key: str, held: Incoming) -> str:
        digest, renewed = hashlib.sha256(), time.monotonic()
        with self._store.open(key) as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
                if time.monotonic() - renewed > self._uploads.lock_seconds / 3:
                    self._uploads.renew(held)
                    renewed = time.monotonic()
        return digest.hexdigest()

"""Everything about uploads that come in pieces, put together for one server and narrowed to one tenant."""

from dataclasses import dataclass, replace
from pathlib import Path

from service.jobs.database import Database
from service.jobs.records import UploadState
from service.jobs.store import new_id
from service.settings import Settings
from service.storage.object_store import ObjectStore
from service.uploads.digests import Digests
from service.uploads.expiry import Sweeper
from service.uploads.finish import Finisher
from service.uploads.incoming import Incoming, IncomingUploads, refuse_closed
from service.uploads.metadata import Metadata
from service.uploads.on_disk import DiskStaging
from service.uploads.on_s3 import S3Staging
from service.uploads.receive import Receiver
from service.uploads.refusals import DiskTooSmall
from service.uploads.removal import remove_upload
from service.uploads.staging import Staging


@dataclass(frozen=True, slots=True)
class UploadDesk:
    """As it was opened it knows the uploads of all tenants."""

    settings: Settings
    database: Database
    store: ObjectStore
    staging: Staging
    digests: Digests
    tenant: str | None = None

    def of(self, tenant: str) -> "UploadDesk":
        return replace(self, tenant=tenant)

    @property
    def incoming(self) -> IncomingUploads:
        settings = self.settings
        return IncomingUploads(
            self.database, settings.upload_lock_seconds, settings.upload_expiry_seconds, self.tenant
        )

    @property
    def receiver(self) -> Receiver:
        return Receiver(self.incoming, self.staging, self._finisher, self.digests)

    @property
    def sweeper(self) -> Sweeper:
        return Sweeper(self.database, self.store, self.staging, self._finisher)

    def create(self, size_bytes: int, metadata: Metadata) -> Incoming:
        """Raises:
        DiskTooSmall: there is no room for it beside what others have announced.
        StorageQuotaExceeded: the tenant may not keep so much.
        """
        self.refuse_full_disk(size_bytes)
        new = self.incoming.create(new_id("up"), size_bytes, metadata, self.settings.max_stored_bytes)
        return self.look(new.id)

    def look(self, upload_id: str) -> Incoming:
        """How far an upload is; one that a server left in the midst of its end is brought there first.

        Raises:
            UploadGone, DigestMismatch: nothing can be added to it.
        """
        found = self.incoming.get(upload_id)
        if found.state is UploadState.FINISHING:
            self._finisher.resume(upload_id)
            found = self.incoming.get(upload_id)
        if found.state is not UploadState.COMPLETE:
            refuse_closed(found, self.incoming.now())
        return found

    def terminate(self, upload_id: str) -> None:
        """Raises:
        InUse: it is complete, and a job works on it.
        """
        if self.incoming.find(upload_id) in (None, UploadState.COMPLETE):
            remove_upload(self.database, upload_id, self.tenant)
        else:
            self.incoming.terminate(upload_id)
        self.digests.forget(upload_id)
        self.sweeper.sweep(self.incoming.get(upload_id))

    def refuse_full_disk(self, size_bytes: int) -> None:
        free_bytes = self.staging.free_bytes()
        if (
            free_bytes is not None
            and free_bytes - replace(self, tenant=None).incoming.reserved_bytes() < size_bytes
        ):
            raise DiskTooSmall

    @property
    def _finisher(self) -> Finisher:
        return Finisher(self.incoming, self.staging, self.store)


def open_upload_desk(settings: Settings, database: Database, store: ObjectStore) -> UploadDesk:
    return UploadDesk(settings, database, store, open_staging(store, settings.data_dir), Digests())


def open_staging(store: ObjectStore, data_dir: Path) -> Staging:
    """In the store itself, so that finished files need not be copied."""
    if store.multipart is not None:
        return S3Staging(store, store.multipart)
    return DiskStaging(store, store.folder or data_dir.absolute())

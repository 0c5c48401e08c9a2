"""The chore of uploads, in a thread: reading a large one once more at its end must delay no round."""

import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.jobs.database import Database
from service.settings import Settings
from service.storage.object_store import ObjectStore
from service.uploads.desk import open_upload_desk
from workers.chores import Chore

log = structlog.get_logger(__name__)
EVERY_SECONDS = 60.0


class UploadSweeping:
    """Begins to sweep, unless it is still at it from the last time."""

    def __init__(self, settings: Settings, database: Database, store: ObjectStore) -> None:
        self._sweeper = open_upload_desk(settings, database, store).sweeper
        self._kept_seconds = settings.upload_kept_seconds
        self.thread: threading.Thread | None = None

    def __call__(self) -> None:
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._sweep, daemon=True, name="upload sweeping")
            self.thread.start()

    def _sweep(self) -> None:
        try:
            self._sweeper(self._kept_seconds)
        except (SQLAlchemyError, OSError) as error:  # the database or the store is away: at its next turn
            log.warning("uploads not swept", error=str(error))


def upload_chore(settings: Settings, database: Database, store: ObjectStore) -> Chore:
    return Chore("sweep uploads", EVERY_SECONDS, UploadSweeping(settings, database, store))

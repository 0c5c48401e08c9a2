"""The chore of uploads: those that nobody goes on with, or needs any more, are removed."""

from service.jobs.database import Database
from service.settings import Settings
from service.storage.object_store import ObjectStore
from service.uploads.desk import open_upload_desk
from workers.chores import Aside, Chore

EVERY_SECONDS = 60.0


def upload_chore(settings: Settings, database: Database, store: ObjectStore) -> Chore:
    """Aside: a large one may have to be read once more at its end."""
    sweeper = open_upload_desk(settings, database, store).sweeper
    sweep = Aside("sweep uploads", lambda: sweeper(settings.upload_kept_seconds))
    return Chore("sweep uploads", EVERY_SECONDS, sweep)

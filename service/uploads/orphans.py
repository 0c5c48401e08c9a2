"""Parts in S3 that nobody will make an object of: whoever began it was killed. They cost money, and no
listing shows them.
"""

import time

import structlog
from sqlalchemy import select

from service.jobs.database import Database
from service.jobs.records import OPEN_UPLOAD_STATES
from service.jobs.tables import incoming_uploads as table
from service.storage.object_store import ObjectStore

log = structlog.get_logger(__name__)
# Longer than anybody writes at one object, and than two clocks differ.
ORPHANED_AFTER_SECONDS = 24 * 3600.0


def abort_orphans(
    database: Database, store: ObjectStore, older_than_seconds: float = ORPHANED_AFTER_SECONDS
) -> int:
    """Returns how many. The parts of an upload that is still open are kept, however old they are."""
    if store.multipart is None:
        return 0
    begun_before = time.time() - older_than_seconds
    orphans = [each for each in store.multipart.begun() if each.at < begun_before]
    # Asked afterwards: an upload that went on meanwhile has its row by now.
    kept = _names_in_use(database) if orphans else set()
    orphans = [each for each in orphans if each.name not in kept]
    for each in orphans:
        store.multipart.abort(each.key, each.name)
        log.info("orphaned parts removed", key=each.key)
    return len(orphans)


def _names_in_use(database: Database) -> set[str]:
    query = select(table.c.staging).where(table.c.state.in_(list(OPEN_UPLOAD_STATES)))
    with database.reading() as connection:
        return {str(staging["name"]) for staging in connection.scalars(query) if staging.get("name")}

"""The key of whoever runs `nightshift up`: made at the first start, found again at the next."""

import json
from pathlib import Path

from service.access.key_store import KeyStore
from service.access.scopes import ALL_SCOPES
from service.access.server_secrets import SESSIONS, server_secret
from service.access.sessions import Sessions
from service.errors import Unauthorized
from service.jobs.database import Database
from service.jobs.tables import LOCAL_TENANT
from service.private_files import write_private
from service.settings import Settings

FILE = "key.json"


def local_key(settings: Settings) -> str:
    """Kept beside the data, for the eyes of its owner alone."""
    database = Database.of(settings)
    try:
        database.migrate()
        store, file = KeyStore(database, LOCAL_TENANT), settings.data_dir / FILE
        key = _kept(file)
        if key is None or not _is_valid(store, key):
            key = store.create("local user", ALL_SCOPES).text
            write_private(file, json.dumps({"key": key}))
        return key
    finally:
        database.close()


def sign_in_link(settings: Settings, key: str) -> str:
    """The path that signs the key's owner in to the page."""
    database = Database.of(settings)
    try:
        sessions = Sessions(server_secret(database, SESSIONS))
        return f"/sign-in/{sessions.link(KeyStore(database).caller(key).key_id)}"
    finally:
        database.close()


def _kept(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_valid(store: KeyStore, key: str) -> bool:
    """A newer version may know more scopes than the one that made it."""
    try:
        return store.caller(key).scopes == ALL_SCOPES
    except Unauthorized:
        return False

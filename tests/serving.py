"""The API in this process, and keys for it: fixtures for every test that speaks HTTP to it."""

import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.access.key_store import KeyStore
from service.access.scopes import ALL_SCOPES, Scope
from service.settings import Settings

Serving = Callable[..., TestClient]


def new_key(
    client: TestClient,
    tenant: str = "local",
    scopes: Collection[Scope] = ALL_SCOPES,
    valid_seconds: float | None = None,
) -> str:
    """A key of the running service, as text."""
    database = client.app.state.services.database  # type: ignore[attr-defined]
    return KeyStore(database, tenant).create(f"of {tenant}", scopes, valid_seconds).text


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def serving(settings: Settings, queue: Any, migrated: Path) -> Iterator[Serving]:
    """Starts the API; its client carries a key of all scopes for the tenant "local"."""
    with ExitStack() as stack:

        def serve(with_settings: Settings = settings, **options: Any) -> TestClient:
            from service.app import create_app  # most tests need no API

            file = with_settings.data_dir / migrated.name
            if not (with_settings.database_url or file.exists()):
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(migrated, file)
            app = create_app(with_settings, queue)
            client = stack.enter_context(TestClient(app, raise_server_exceptions=False, **options))
            client.headers.update(bearer(new_key(client)))
            return client

        yield serve

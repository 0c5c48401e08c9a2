"""One store for all examples of a property."""

import pytest

from service.settings import Settings
from service.storage.object_store import ObjectStore, open_store


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return open_store(Settings(data_dir=tmp_path_factory.mktemp("shelf")))

"""The bucket of a new cluster."""

import pytest

from service.settings import Settings
from service.storage.new_bucket import make_bucket
from service.storage.object_store import open_store

pytestmark = pytest.mark.servers


def test_a_bucket_is_made_once_and_can_be_used(s3_server) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(
        store_url="s3://made-for-the-test/below",
        s3_endpoint_url=s3_server.endpoint_url,
        s3_key=s3_server.key,
        s3_secret=s3_server.secret,
    )
    assert make_bucket(settings)
    assert not make_bucket(settings)
    store = open_store(settings)
    store.write("a/b", b"here")
    assert store.read("a/b") == b"here"


def test_a_store_that_refuses_the_key_is_not_waited_for(s3_server) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(
        store_url="s3://never-made",
        s3_endpoint_url=s3_server.endpoint_url,
        s3_key=s3_server.key,
        s3_secret="wrong",  # noqa: S106
    )
    with pytest.raises(PermissionError):
        make_bucket(settings)

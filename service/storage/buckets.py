"""Objects of a bucket that somebody else writes to: listed once, and read only as they were then.

Through botocore itself, not fsspec: only it can ask for an object on the condition that it has not changed.
"""

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, cast

from service.errors import DatasetRejected
from service.settings import Settings
from service.storage.import_uris import BucketFolder
from service.storage.s3 import import_client
from service.wording import shown

# How often a body that breaks off is taken up again where it did.
RESUMED = 5
BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Pinned:
    """An object as it was when it was listed. `name`: below the folder; `etag`: S3's word for its content."""

    name: str
    size_bytes: int
    etag: str


class Bucket:
    """One folder of a bucket. Safe to use from several threads."""

    def __init__(self, settings: Settings, folder: BucketFolder) -> None:
        self._client = import_client(settings)
        self._folder = folder

    def objects(self) -> Iterator[Pinned]:
        """In the order of their names, page by page; markers of empty folders are passed over.

        Raises:
            DatasetRejected: `source-unreadable`.
        """
        place = {"Bucket": self._folder.bucket, "Prefix": self._folder.prefix}
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(**place))
        while (page := self._next(pages)) is not None:
            for each in page.get("Contents", ()):
                name = each["Key"].removeprefix(self._folder.prefix)
                if not name.endswith("/") and name:
                    yield Pinned(name, each["Size"], each["ETag"])

    def open(self, pinned: Pinned) -> BinaryIO:
        """Raises:
        DatasetRejected: `source-changed` or `source-unreadable`, also while it is read.
        """
        stream = _PinnedStream(self, pinned)
        stream.connect()
        return cast(BinaryIO, io.BufferedReader(stream, BUFFER_BYTES))

    def get(self, pinned: Pinned, start_byte: int) -> Any:
        """The rest of its body from a byte on."""
        with translated(pinned.name, self._folder.uri):
            answer = self._client.get_object(
                Bucket=self._folder.bucket,
                Key=self._folder.prefix + pinned.name,
                IfMatch=pinned.etag,
                **({"Range": f"bytes={start_byte}-"} if start_byte else {}),
            )
        return answer["Body"]

    def _next(self, pages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        with translated("", self._folder.uri):
            return next(pages, None)


class _PinnedStream(io.RawIOBase):
    """The body of one object; where it breaks off it is asked for anew, if it is still the same."""

    def __init__(self, bucket: Bucket, pinned: Pinned) -> None:
        self._bucket = bucket
        self._pinned = pinned
        self._body: Any = None
        self._done_bytes = 0
        self._broken = 0

    def readable(self) -> bool:
        return True

    def connect(self) -> None:
        if self._pinned.size_bytes > self._done_bytes:
            self._body = self._bucket.get(self._pinned, self._done_bytes)

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._pinned.size_bytes - self._done_bytes)
        data = self._some(wanted) if wanted > 0 else b""
        buffer[: len(data)] = data
        self._done_bytes += len(data)
        return len(data)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        super().close()

    def _some(self, wanted: int) -> bytes:
        while True:
            try:
                with translated(self._pinned.name, ""):
                    data = cast(bytes, self._body.read(wanted))
                    if data:
                        return data
                    raise ConnectionError("the object broke off")
            except ConnectionError:
                self._broken += 1
                if self._broken > RESUMED:
                    raise
                self._body.close()
                self.connect()


@contextmanager
def translated(name: str, uri: str) -> Iterator[None]:
    """Of what botocore raises: what time will cure becomes an error of the network, the rest a refusal."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        _refuse(error.response, name, uri)
    except NoCredentialsError:
        raise _unreadable(name, uri, "the server has no credentials for it") from None
    except BotoCoreError as error:
        raise ConnectionError(f"{type(error).__name__} in an S3 bucket") from error


def _refuse(answer: dict[str, Any], name: str, uri: str) -> NoReturn:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(answer.get("Error", {}).get("Code", ""))
    if status >= 500 or code in ("SlowDown", "RequestTimeout", "Throttling"):
        raise OSError(errno.EREMOTEIO, f"the bucket answered {code or status}")
    if name and (status == 412 or code in ("NoSuchKey", "PreconditionFailed", "InvalidRange")):
        raise DatasetRejected(
            "source-changed",
            f"The object {shown(name)} is no longer what it was when the bucket was listed.",
            "Let nobody write to the bucket while it is imported, and import it again.",
        ) from None
    raise _unreadable(name, uri, f"the bucket answered {code or status}") from None


def _unreadable(name: str, uri: str, why: str) -> DatasetRejected:
    what = f"The object {shown(name)}" if name else f"The bucket's folder {shown(uri)}"
    return DatasetRejected(
        "source-unreadable",
        f"{what} cannot be read: {why}.",
        "Ask the operator whether this server may list and read it.",
    )

"""Objects that S3 makes of parts: each part is durable once it is stored, the object appears at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LEAST_PART_BYTES = 8 << 20  # S3 asks for 5 MiB of every part but the last
MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class Begun:
    """`at`: seconds since the epoch, by the store's clock."""

    key: str
    name: str
    at: float


class Multipart:
    """The calls that fsspec keeps to itself. `root` is bucket and prefix."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._files = filesystem
        self._bucket, _, self._prefix = root.strip("/").partition("/")

    def begin(self, key: str) -> str:
        """The name of the new object's parts."""
        return str(self._call("create_multipart_upload", key)["UploadId"])

    def put(self, key: str, name: str, number: int, data: bytes) -> Part:
        """A part that is there already under this number is replaced."""
        answer = self._call("upload_part", key, UploadId=name, PartNumber=number, Body=data)
        return Part(number, answer["ETag"])

    def complete(self, key: str, name: str, parts: Sequence[Part]) -> None:
        """Raises:
        FileNotFoundError: there are no such parts; the object may have been made of them before.
        """
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        self._call("complete_multipart_upload", key, UploadId=name, MultipartUpload={"Parts": listed})

    def abort(self, key: str, name: str) -> None:
        """Parts that are gone already are fine."""
        try:
            self._call("abort_multipart_upload", key, UploadId=name)
        except FileNotFoundError:
            return

    def begun(self, at_once: int = 1000) -> Iterator[Begun]:
        """Everything below the store's prefix that was begun, and neither completed nor aborted."""
        marks: dict[str, Any] = {"MaxUploads": at_once}
        while True:
            prefix = f"{self._prefix}/" if self._prefix else ""
            page = self._files.call_s3("list_multipart_uploads", Bucket=self._bucket, Prefix=prefix, **marks)
            for each in page.get("Uploads", ()):
                yield Begun(each["Key"].removeprefix(prefix), each["UploadId"], each["Initiated"].timestamp())
            if not page.get("IsTruncated"):
                return
            marks |= {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _call(self, method: str, key: str, **options: Any) -> Any:
        whole = f"{self._prefix}/{key}" if self._prefix else key
        return self._files.call_s3(method, Bucket=self._bucket, Key=whole, **options)

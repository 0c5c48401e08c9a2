"""Where datasets may be imported from: folders of S3 buckets that the operator has registered.

The text of a request never reaches a URL parser or fsspec, which know dozens of schemes and chains of them:
it is taken apart here, by one pattern, compared as it stands, and refused rather than mended.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.errors import InvalidRequest, UriNotAllowed
from service.wording import shown

_FOLDER = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\\?#%*]*))?")
MAX_URI_CHARS = 1100
MAX_KEY_BYTES = 1000


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """Everything below a prefix of a bucket; the prefix ends in a slash, or is empty."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def name(self) -> str:
        """What to call a dataset that comes from here."""
        return self.prefix.rstrip("/").rpartition("/")[2] or self.bucket

    def holds(self, other: "BucketFolder") -> bool:
        return self.bucket == other.bucket and other.prefix.startswith(self.prefix)

    @classmethod
    def parse(cls, uri: str) -> "BucketFolder":
        """Raises:
        ValueError: it is not spelt `s3://bucket/prefix/`.
        """
        found = _FOLDER.fullmatch(uri) if len(uri) <= MAX_URI_CHARS else None
        prefix = (found["prefix"] or "").removesuffix("/") if found else ""
        if found is None or (prefix and key_fault(prefix)):
            raise ValueError("a folder is spelt s3://bucket/prefix/")
        return cls(found["bucket"], f"{prefix}/" if prefix else "")


@dataclass(frozen=True, slots=True)
class Registration:
    """One entry of the operator's list: `s3://bucket/prefix` for everybody, `acme=s3://…` for one tenant."""

    folder: BucketFolder
    tenant: str | None

    @classmethod
    def parse(cls, entry: str) -> "Registration":
        """Raises:
        ValueError: as `BucketFolder.parse` does.
        """
        tenant, is_one, uri = entry.rpartition("=")
        return cls(BucketFolder.parse(uri), tenant if is_one else None)


def check_registrations(entries: Iterable[str]) -> None:
    """Raises:
    InvalidRequest: an entry of the operator's is not spelt as one.
    """
    for entry in entries:
        try:
            Registration.parse(entry)
        except ValueError as error:
            raise InvalidRequest(
                f"NIGHTSHIFT_IMPORT_BUCKETS names {shown(entry)}: {error}.", "Mend or remove that entry."
            ) from None


def registered_folder(uri: str, registrations: Iterable[str], tenant: str) -> BucketFolder:
    """Raises:
    UriNotAllowed: it is no folder of a bucket, or none that this tenant may import from.
    """
    try:
        folder = BucketFolder.parse(uri)
    except ValueError:
        raise UriNotAllowed(uri) from None
    for registration in map(Registration.parse, registrations):
        if registration.tenant in (None, tenant) and registration.folder.holds(folder):
            return folder
    raise UriNotAllowed(uri)


def key_fault(name: str) -> str | None:
    """Why an object's name is not even asked for, or None. Names in a bucket may be anything, and a client, a
    proxy or a server on the way may read some of them as other places.
    """
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has parts that are empty or dots, as paths that lead elsewhere have"
    if not name.isprintable() or "\\" in name:
        return "holds a control or invisible character, or a backslash"
    if len(name.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES} bytes"
    return None

"""How S3 is spoken to: patiently, without caches, and in a way that every server of its kind understands."""

from typing import TYPE_CHECKING, Any

import fsspec

from service.settings import Settings

if TYPE_CHECKING:
    from botocore.client import BaseClient

BLOCK_BYTES = 8 << 20
# A link is used at once; whoever finds it later shall find it dead.
LINK_SECONDS = 300
# An answer that breaks off in its body is asked for anew by s3fs, around the client's own tries.
ROUNDS = 2


def open_s3(settings: Settings, attempts: int = 0) -> Any:
    """Make it in the process that uses it: s3fs does not survive a fork.

    `attempts`: how often a call is made until it is given up; 0: as the settings say.
    """
    filesystem = fsspec.filesystem("s3", **_options(settings, attempts or settings.s3_attempts))
    filesystem.retries = ROUNDS
    return filesystem


def _options(settings: Settings, attempts: int) -> dict[str, Any]:
    known = _credentials(settings)
    return {
        "key": known.get("access_key_id"),
        "secret": known.get("secret_access_key"),
        "endpoint_url": settings.s3_endpoint_url or None,
        "client_kwargs": {"region_name": settings.s3_region},
        "skip_instance_cache": True,
        # Another process's writes must be seen, and the truth is in the database anyway.
        "use_listings_cache": False,
        "default_block_size": BLOCK_BYTES,
        "max_concurrency": 4,
        "s3_additional_kwargs": _encryption(settings),
        "config_kwargs": {**_signing(settings), **_patience(settings, attempts)},
    }


def _credentials(settings: Settings) -> dict[str, str]:
    """Without a key in the settings: where AWS's own tools look, in environment, files and machine's role."""
    if not settings.s3_key:
        return {}
    secret = settings.s3_secret.get_secret_value()
    return {"access_key_id": settings.s3_key, "secret_access_key": secret}


def _signing(settings: Settings) -> dict[str, Any]:
    """SigV4 also for links: the default at an address of one's own is SigV2, which some servers refuse."""
    return {
        "signature_version": "s3v4",
        "s3": {"addressing_style": settings.s3_addressing},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


class Links:
    """Addresses that let whoever has them read one object for five minutes. Never log one."""

    def __init__(self, settings: Settings, root: str) -> None:
        self._settings = settings
        self._bucket, _, self._prefix = root.strip("/").partition("/")
        self._made: BaseClient | None = None

    def make(self, key: str, media_type: str, disposition: str) -> str:
        """Whatever the object says of itself, it comes with this type and disposition."""
        whole = f"{self._prefix}/{key}" if self._prefix else key
        asked = {
            "Bucket": self._bucket,
            "Key": whole,
            "ResponseContentType": media_type,
            "ResponseContentDisposition": disposition,
        }
        link: str = self._client().generate_presigned_url("get_object", Params=asked, ExpiresIn=LINK_SECONDS)
        return link

    def _client(self) -> "BaseClient":
        """It signs, and never connects: so the address may be one that only clients can reach."""
        if self._made is None:
            address = self._settings.presign_endpoint_url or self._settings.s3_endpoint_url
            self._made = _plain_client(self._settings, address, _credentials(self._settings))
        return self._made


def import_client(settings: Settings) -> "BaseClient":
    """For the buckets that others write to. Safe to use from several threads."""
    secret = settings.import_secret.get_secret_value()
    own = {"access_key_id": settings.import_key, "secret_access_key": secret} if settings.import_key else {}
    address = settings.import_endpoint_url or settings.s3_endpoint_url
    return _plain_client(settings, address, own or _credentials(settings))


def _plain_client(settings: Settings, address: str, credentials: dict[str, str]) -> "BaseClient":
    from botocore.config import Config  # noqa: PLC0415 - half a second, for those who use it
    from botocore.session import get_session  # noqa: PLC0415

    return get_session().create_client(
        "s3",
        endpoint_url=address or None,
        region_name=settings.s3_region,
        config=Config(**_signing(settings), **_patience(settings, settings.s3_attempts)),
        **{f"aws_{name}": value for name, value in credentials.items()},
    )


def _patience(settings: Settings, attempts: int) -> dict[str, Any]:
    return {
        # "standard": waits between tries grow, and are drawn by lot, so that not all come back at once.
        "retries": {"mode": "standard", "total_max_attempts": attempts},
        "connect_timeout": 5,
        "read_timeout": settings.s3_timeout_seconds,
    }


def _encryption(settings: Settings) -> dict[str, str]:
    if not settings.s3_encryption:
        return {}
    key = {"SSEKMSKeyId": settings.s3_kms_key} if settings.s3_kms_key else {}
    return {"ServerSideEncryption": settings.s3_encryption, **key}

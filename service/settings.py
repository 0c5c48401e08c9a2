"""The one configuration object, read from `NIGHTSHIFT_*` variables once at start and handed inward.

Without any variable everything lives in one folder: SQLite, a folder as object store, a folder as broker.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]
SQLITE_FILE = "nightshift.sqlite3"
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """Where things are kept and how patient the machinery is."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHTSHIFT_", frozen=True, extra="ignore", hide_input_in_errors=True
    )

    data_dir: Path = Path("nightshift-data")
    database_url: str = Field(default="", repr=False)
    """SQLAlchemy URL; empty: SQLite in `data_dir`. PostgreSQL: postgresql+psycopg://user@host/name"""
    database_connections: int = Field(default=20, ge=1)
    """How many connections to the database one process has at most."""
    database_timeout_seconds: Seconds = 30.0
    """How long one statement may take on PostgreSQL."""
    store_url: str = ""
    """Where objects go; empty: a folder in `data_dir`. S3: s3://bucket/prefix"""
    broker_url: str = Field(default="", repr=False)
    """Celery's broker; empty: files in `data_dir`. Redis: redis://host:6379/0"""

    s3_endpoint_url: str = ""
    s3_key: str = ""
    """Empty: the credentials that AWS's own tools would find (environment, files, the machine's role)."""
    s3_secret: SecretStr = SecretStr("")
    s3_region: str = "us-east-1"
    s3_addressing: Literal["path", "virtual", "auto"] = "path"
    """Whether the bucket stands in the path of an address or in its host name."""
    s3_attempts: int = Field(default=5, ge=1)
    """How often a call is made until the store counts as away; the waits between grow, and are random."""
    s3_timeout_seconds: Seconds = 20.0
    """How long the store may be silent."""
    s3_encryption: Literal["", "AES256", "aws:kms"] = ""
    """What the store is asked to encrypt objects with."""
    s3_kms_key: str = ""
    presign_downloads: bool = False
    """Whether images and files come from the S3 store itself, by a link that is good for five minutes."""
    presign_endpoint_url: str = ""
    """Where clients find the S3 store, if not at `s3_endpoint_url`."""
    import_buckets: Annotated[tuple[str, ...], NoDecode] = ()
    """What datasets may be read from: s3://bucket/prefix for everybody, tenant=s3://bucket/prefix for one
    tenant; with commas or in JSON."""
    import_endpoint_url: str = ""
    """Where those buckets are, if not where the S3 store is; `import_key`: if it wants other credentials."""
    import_key: str = ""
    import_secret: SecretStr = SecretStr("")

    lease_seconds: Seconds = 30.0
    """A worker that has not renewed its lease for so long has lost its shard."""
    heartbeat_seconds: Seconds = 2.0
    """How often a worker renews its lease and reports progress."""
    poll_seconds: Seconds = 0.5
    """How often a worker looks whether its job was cancelled, and the reconciler looks at everything."""
    stall_seconds: Seconds = 600.0
    """A worker's child from which nothing was heard for so long hangs: it is ended, as if it had crashed.
    More than one step of the slowest thing takes: a batch on a CPU, the loading of a model."""
    shard_seconds: Seconds = 40.0
    """How long a shard should take: long enough to hide its overhead, short enough to lose little."""
    shard_attempts: int = Field(default=4, ge=1)
    """A shard that fails so often with an unforeseen error fails its job."""
    shard_losses: int = Field(default=20, ge=1)
    """A shard that cannot be split (planning, publishing, a training up to its next checkpoint) and loses its
    worker so often, killed or never heard of again, fails its job. More than chance kills in a row."""
    strikes: int = Field(default=3, ge=1)
    """An image that is seen to kill its worker so often is left out, and named in the report. Twice may be
    chance: whoever kills processes for want of memory asks no image."""

    device: str = ""
    """Torch's name of the device to translate on; empty: the GPU where there is one."""
    precision: Literal["", "float32", "bfloat16"] = ""
    """Of networks; empty: bfloat16 on a GPU that has it, float32 on a CPU. A CPU with bfloat16 units is about
    twice as fast with it, at a few grey levels of difference; one without them ignores it."""
    allowed_detectors: Annotated[tuple[Sha256, ...], NoDecode] = ()
    """Uploaded detectors (.pt) that experiments may start from, by their sha256, as a list with commas or in
    JSON. Loading such a file runs whatever code it holds: allow only what you trust."""
    max_upload_bytes: int = Field(default=200 * 2**30, gt=0)
    upload_expiry_seconds: Seconds = 24 * 3600.0
    """An upload in pieces that has had none for so long is given up, and its bytes are removed."""
    upload_lock_seconds: Seconds = 15.0
    """So long a request that sends a piece keeps others out without a sign of life. On a disk the lock of a
    process that has died is known to be void at once; in S3 its upload goes on after this time."""
    upload_kept_seconds: Seconds = 7 * 24 * 3600.0
    """A complete upload is removed after this time, as soon as no job that has not ended names it: datasets
    and generators have what they need of it. A failed ingest can be retried for so long."""
    max_stored_bytes: int = Field(default=200 * 2**30, gt=0)
    """What the uploads and datasets of one tenant may come to, uploads that are under way included. A dataset
    counts once it is ready; from then on no other is begun if it was too much."""
    max_active_jobs: int = Field(default=32, gt=0)
    """How many jobs of one tenant may be queued or running at a time."""
    requests_per_second: float = Field(default=10.0, ge=0)
    """How many requests one API key may send for long; 0: any number. `nightshift up` allows 200."""
    request_burst: int = Field(default=40, ge=1)
    """How many it may send at once. `nightshift up` allows 2000."""
    failed_keys_per_minute: int = Field(default=10, ge=1)
    """How many wrong keys one address may send before it is answered 429."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """The names this server goes by in Host headers, with commas or in JSON; `*.example.org` takes all below,
    `*` any. `localhost` and addresses need no mention: only a name can be bent to point here."""
    slow_request_seconds: Seconds = 30.0
    """A client that has not sent 16 kB of its request in this time is answered 408; an upload keeps its
    bytes."""
    webhooks_allowed: bool = False
    """Whether tenants may have URLs of their own called when a job ends."""
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Empty: any public host, by https. Otherwise only these, which may also lie inside the network; those
    that are written as http://NAME by http too. A list with commas or in JSON."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where API, reconciler and workers each answer `/metrics`, to everybody; 0: nowhere. The API also
    answers it on its own port, to keys with the scope operator."""
    metrics_host: str = "127.0.0.1"
    otlp_endpoint: str = ""
    """Where OpenTelemetry's spans are sent, such as http://collector:4318; empty: none are made."""
    log_level: str = "INFO"

    @field_validator("allowed_detectors", "allowed_hosts", "webhook_hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _words(value.lower())

    @field_validator("import_buckets", mode="before")
    @classmethod
    def _listed_as_written(cls, value: Any) -> Any:
        return _words(value) if isinstance(value, str) else value

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / SQLITE_FILE}"

    @property
    def store(self) -> str:
        return self.store_url or (self.data_dir.absolute() / "store").as_uri()

    @property
    def broker(self) -> str:
        return self.broker_url or "filesystem://localhost"

    @property
    def broker_folder(self) -> Path:
        return self.data_dir.absolute() / "broker"


def _words(text: str) -> Any:
    """A list as a variable holds it: in JSON, or with commas or spaces between."""
    text = text.strip()
    return json.loads(text) if text.startswith("[") else [word for word in re.split(r"[,\s]+", text) if word]

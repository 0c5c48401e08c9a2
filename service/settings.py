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
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """Where things are kept and how patient the machinery is."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSHIFT_", frozen=True, extra="ignore")

    data_dir: Path = Path("nightshift-data")
    database_url: str = ""
    """SQLAlchemy URL; empty: SQLite in `data_dir`. PostgreSQL: postgresql+psycopg://user@host/name"""
    store_url: str = ""
    """Where objects go; empty: a folder in `data_dir`. S3: s3://bucket/prefix"""
    broker_url: str = ""
    """Celery's broker; empty: files in `data_dir`. Redis: redis://host:6379/0"""

    s3_endpoint_url: str = ""
    s3_key: str = ""
    s3_secret: SecretStr = SecretStr("")
    s3_region: str = "us-east-1"

    lease_seconds: Seconds = 30.0
    """A worker that has not renewed its lease for so long has lost its shard."""
    heartbeat_seconds: Seconds = 2.0
    """How often a worker renews its lease and reports progress."""
    poll_seconds: Seconds = 0.5
    """How often a worker looks whether its job was cancelled, and the reconciler looks at everything."""
    shard_seconds: Seconds = 40.0
    """How long a shard should take: long enough to hide its overhead, short enough to lose little."""
    shard_attempts: int = Field(default=4, ge=1)
    """A shard that fails so often with an unforeseen error fails its job."""
    strikes: int = Field(default=2, ge=1)
    """An image that is seen to kill its worker so often is left out, and named in the report."""

    device: str = ""
    """Torch's name of the device to translate on; empty: the GPU where there is one."""
    precision: Literal["", "float32", "bfloat16"] = ""
    """Of networks; empty: bfloat16 on a GPU that has it, float32 on a CPU. A CPU with bfloat16 units is about
    twice as fast with it, at a few grey levels of difference; one without them ignores it."""
    allowed_detectors: Annotated[tuple[Sha256, ...], NoDecode] = ()
    """Uploaded detectors (.pt) that experiments may start from, by their sha256, as a list with commas or in
    JSON. Loading such a file runs whatever code it holds: allow only what you trust."""
    max_upload_bytes: int = Field(default=200 * 2**30, gt=0)
    log_level: str = "INFO"

    @field_validator("allowed_detectors", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip().lower()
        return (
            json.loads(text) if text.startswith("[") else [word for word in re.split(r"[,\s]+", text) if word]
        )

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'nightshift.sqlite3'}"

    @property
    def store(self) -> str:
        return self.store_url or (self.data_dir.absolute() / "store").as_uri()

    @property
    def broker(self) -> str:
        return self.broker_url or "filesystem://localhost"

    @property
    def broker_folder(self) -> Path:
        return self.data_dir.absolute() / "broker"

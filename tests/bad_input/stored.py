"""A dataset that came of an ingest, as the rest of the service knows it."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

from service.jobs.records import Dataset


def stored_dataset(done: Any) -> Dataset:
    row = done.published.dataset
    known = {"id": done.result_id, "counts": row["counts"], "categories": tuple(row["categories"])}
    blank = {name: None for name in Dataset.__dataclass_fields__ if name not in known}
    return Dataset(**known, **blank)


def unzipped(chunks: Iterable[bytes]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}

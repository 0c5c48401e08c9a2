"""A detector's file that an operator has allowed: a `.pt` runs code when loaded, so its hash decides."""

import hashlib
from collections.abc import Mapping
from typing import Any

from service.errors import InvalidRequest
from service.storage import keys
from workers.context import Bench

BLOCK_BYTES = 1 << 20


def start_weights(spec: Mapping[str, Any], bench: Bench) -> str | None:
    """The key of the weights that the arms begin with; None where they are drawn.

    Raises:
        InvalidRequest: the stored file is not the one that was allowed, or not allowed on this worker.
    """
    detector = spec["detector"]
    if detector["upload_id"] is None:
        return None
    key = keys.upload(detector["upload_id"])
    digest = hashlib.sha256()
    with bench.store.open(key) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    sha256 = digest.hexdigest()
    if sha256 != detector["sha256"] or sha256 not in bench.settings.allowed_detectors:
        raise InvalidRequest(
            f"The detector file {detector['filename']} (sha256 {sha256}) is not allowed on this worker.",
            "The operator adds its sha256 to NIGHTSHIFT_ALLOWED_DETECTORS on every worker.",
        )
    return key

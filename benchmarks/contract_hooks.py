"""Loaded by the fuzzer: it must not lock itself out."""

import os
from typing import Any

import schemathesis

OWN_KEY_ID = os.environ["CONTRACT_KEY_ID"]


@schemathesis.hook
def filter_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> bool:
    """Revoking or rotating the key it works with would end in 401 for all that follows."""
    return not path_parameters or path_parameters.get("key_id") != OWN_KEY_ID

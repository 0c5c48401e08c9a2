"""The meter that stays loaded from one shard to the next, and what shards leave of their measurements."""

import tempfile
from pathlib import Path
from typing import Any

from models.metrics.backbones import load_backbone
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter
from models.metrics.niqe import NiqeModel
from service.storage import keys
from service.storage.object_store import ObjectStore

MEASURED = "measured"
STREETNET = {"name": "streetnet", "upload_id": None}
_resident: tuple[tuple[Any, ...], FrameMeter] | None = None


def resident_meter(
    store: ObjectStore, backbone: dict[str, Any] = STREETNET, niqe_key: str | None = None
) -> FrameMeter:
    """A meter on the CPU: the generator has the better device.

    Args:
        backbone: `name`, and as `upload_id` the upload that holds its weights, unless it is bundled.
        niqe_key: of a pristine model; the bundled one without it.

    Raises:
        GeneratorError: there is no such backbone, or these are not its weights.
    """
    global _resident  # noqa: PLW0603 - the point of it: one process, one loaded meter
    identity = (backbone["name"], backbone["upload_id"], niqe_key)
    if _resident is None or _resident[0] != identity:
        niqe = None if niqe_key is None else NiqeModel.from_bytes(store.read(niqe_key))
        with tempfile.TemporaryDirectory(prefix="backbone-") as folder:
            loaded = load_backbone(_named(store, backbone, Path(folder)))
        _resident = (identity, FrameMeter(loaded, niqe=niqe))
    return _resident[1]


def _named(store: ObjectStore, backbone: dict[str, Any], folder: Path) -> str:
    """As `load_backbone` wants it: a name, or a name and a file."""
    if backbone["upload_id"] is None:
        return str(backbone["name"])
    file = folder / "weights"
    store.fetch(keys.upload(backbone["upload_id"]), file)
    return f"{backbone['name']}:{file}"


def merged(store: ObjectStore, meter: FrameMeter, parts: tuple[str, ...], what: str) -> Measurements:
    """Those of all shards that measured anything."""
    together = Measurements(meter.yardstick, what)
    found = (keys.measurements(part, what) for part in parts)
    together.merge(Measurements.from_bytes(store.read(key)) for key in found if store.exists(key))
    return together

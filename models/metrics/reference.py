"""Real night frames in numbers, which come along: what to compare with when the user names no reference.

The frames themselves do not come along; the card, `models/bundled/street_night.json`, says what they are.
"""

from functools import cache
from pathlib import Path

from models.metrics.measurements import Measurements
from models.metrics.niqe import NiqeModel

BUNDLED = Path(__file__).parents[1] / "bundled"
FRAMES = BUNDLED / "street_night.safetensors"
PRISTINE = BUNDLED / "street_night_niqe.safetensors"


def bundled_reference() -> Measurements:
    """Measured with the bundled backbone; a copy of one's own."""
    return Measurements.from_bytes(FRAMES.read_bytes())


@cache
def bundled_niqe() -> NiqeModel:
    """Fitted to the sharp patches of the same frames."""
    return NiqeModel.from_bytes(PRISTINE.read_bytes())

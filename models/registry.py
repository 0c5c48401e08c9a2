"""Which generators there are, and how a name and a weights file become one that is ready to translate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import CheckpointRejected, UnknownGenerator
from models.generators.camera import CameraNight
from models.generators.identity import Identity
from models.generators.interface import Direction, Generator
from models.layouts import LAYOUTS
from models.weights import build_network, load_weights


@dataclass(frozen=True, slots=True)
class GeneratorCard:
    """A generator that comes with Nightshift and needs no weights."""

    title: str
    direction: Direction
    architecture: str
    build: Callable[[], Generator]


@dataclass(frozen=True, slots=True)
class BundledWeights:
    """A trained network that comes with Nightshift, in `models/bundled`."""

    direction: Direction
    architecture: str


GENERATORS: Mapping[str, GeneratorCard] = {
    "camera-night": GeneratorCard(
        title="Camera at night: exposure, light sources, white balance and noise, without training",
        direction=Direction.DAY2NIGHT,
        architecture="camera",
        build=CameraNight,
    ),
    "identity": GeneratorCard(
        title="Identity: changes nothing, measures the machinery",
        direction=Direction.DAY2NIGHT,
        architecture="identity",
        build=Identity,
    ),
}

# The keys are the names of the files.
BUNDLED: Mapping[str, BundledWeights] = {
    "cyclegan-day2night": BundledWeights(Direction.DAY2NIGHT, "cyclegan"),
    "cyclegan-night2day": BundledWeights(Direction.NIGHT2DAY, "cyclegan"),
    "enlightengan-day2night": BundledWeights(Direction.DAY2NIGHT, "enlightengan"),
    "enlightengan-night2day": BundledWeights(Direction.NIGHT2DAY, "enlightengan"),
    "kind-day2night": BundledWeights(Direction.DAY2NIGHT, "kind"),
    "kind-night2day": BundledWeights(Direction.NIGHT2DAY, "kind"),
    "sci-night2day": BundledWeights(Direction.NIGHT2DAY, "sci"),
}
BUNDLED_FOLDER = Path(__file__).parent / "bundled"


def load_generator(architecture: str, weights: bytes | Path | None = None) -> Generator:
    """A generator in eval mode whose parameters take no gradients, on the CPU.

    Args:
        architecture: a key of `models.layouts.LAYOUTS`, a name in `BUNDLED`, or the name or architecture of a
            card in `GENERATORS`.
        weights: what `models.weights.save_weights` made; None for those that need none or bring theirs.

    Raises:
        UnknownGenerator: naming the nearest name there is.
        CheckpointRejected: the weights are missing, damaged or another network's.
    """
    if architecture in BUNDLED and weights is None:
        architecture, weights = BUNDLED[architecture].architecture, bundled_weights(architecture)
    generator = _built_in(architecture, weights) or _network(architecture, weights)
    return generator.eval().requires_grad_(False)


def bundled_weights(name: str) -> bytes:
    """Of a name in `BUNDLED`."""
    return (BUNDLED_FOLDER / f"{name}.safetensors").read_bytes()


def _built_in(architecture: str, weights: bytes | Path | None) -> Generator | None:
    for name, card in GENERATORS.items():
        if architecture in (name, card.architecture):
            if weights is not None:
                raise CheckpointRejected(f"The generator {name!r} takes no weights.")
            return card.build()
    return None


def _network(architecture: str, weights: bytes | Path | None) -> Generator:
    if architecture not in LAYOUTS:
        raise UnknownGenerator(architecture, [*GENERATORS, *BUNDLED, *LAYOUTS])
    if weights is None:
        raise CheckpointRejected(f"{architecture!r} needs weights.", "Import a checkpoint for it first.")
    stored = load_weights(weights)
    if stored.architecture != architecture:
        raise CheckpointRejected(f"These are weights of {stored.architecture!r}, not of {architecture!r}.")
    return build_network(stored)

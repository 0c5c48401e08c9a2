"""The trained generators that come with Nightshift: train them, measure them, put them in their place.

    python -m workers.bundle DATA --work DIR [--steps N]

DATA is laid out as its splits are named below: frames of streets by day and by night, with YOLO labels. The
training goes on where it was stopped. What is measured, and shown in the contact sheets in `--work`, are
frames that no training has seen. Run it again, longer, and the generators get a new version.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from models.generators.cyclegan import CycleGAN
from models.generators.interface import Direction, Scene, SceneObject
from models.inference import Translator
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter
from models.metrics.quality import Figure, Quality, quality
from models.metrics.reference import bundled_reference
from models.registry import ARCHITECTURES, BUNDLED, BUNDLED_FOLDER, load_generator
from models.training.images import find_images
from models.training.papers import load_recipe
from models.training.run import StopSignal, print_event
from models.training.session import TrainingOrder, run_training
from models.weights import ConvertedWeights, build_network, load_weights, save_weights
from service.catalogue import TRAINED, GeneratorCard
from service.datasets.data_yaml import parse_data_yaml
from workers.contact_sheet import contact_sheet
from workers.exam import summary
from workers.images import Pixels, decode, encode_jpeg

PAPER, RECIPE = "cyclegan", "compact"
DAY = ("street/images/day_train", "dashcam/day")
NIGHT = ("street/images/night_train", "street/unpaired_night", "dashcam/night")
# Lamps are lit there, but the sky is grey: not what night is meant to look like.
DUSK_SCENES = frozenset({"n11a_junction_dusk"})
UNSEEN = {
    Direction.DAY2NIGHT: ("street/images/day_val", "motorway/images/day_val"),
    Direction.NIGHT2DAY: ("street/images/night_test", "motorway/images/night_test"),
}
BASELINE = "camera-night"
SHEET_PAIRS = 8
GAINS = {
    Direction.DAY2NIGHT: (1.0, 1.25, 1.5, 1.75, 2.0, 2.25),
    # More comes closer by the figures, and burns out what is lit: seen, not measured.
    Direction.NIGHT2DAY: (1.0, 1.25),
}
GAIN_CHOSEN = {
    Direction.DAY2NIGHT: "by KID on training frames",
    Direction.NIGHT2DAY: "by KID on training frames, capped by eye, after a look at some of the frames below",
}
CALIBRATED_ON = 48
LICENCE = (
    "The weights: Apache-2.0. The frames they learnt from stay with their owners, some without a stated"
    " licence, some non-commercial: ask before you build a product on these weights."
)


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    name: str
    pixels: Pixels
    objects: tuple[SceneObject, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    training = _train(given.data, given.work, given.steps)
    if training is None:
        return 1
    meter = FrameMeter()
    for name, bundled in BUNDLED.items():
        is_to_night = bundled.direction is Direction.DAY2NIGHT
        reference = bundled_reference() if is_to_night else _real_day(meter, given.data)
        shown = list(_frames(given.data / DAY[0] if is_to_night else given.work / "night"))
        some = [shown[number * len(shown) // CALIBRATED_ON] for number in range(CALIBRATED_ON)]
        exported = load_weights(given.work / "training" / f"{bundled.direction}.safetensors")
        gain, content = _calibrated(exported, GAINS[bundled.direction], some, meter, reference)
        (BUNDLED_FOLDER / f"{name}.safetensors").write_bytes(content)
        measured = _measure(name, bundled.direction, meter, reference, given)
        facts = {
            "measured_on": datetime.now(UTC).date().isoformat(),
            "gain": gain,
            "gain_chosen": GAIN_CHOSEN[bundled.direction],
            "unseen": measured,
        }
        card = _card(name, bundled.direction, content, {**training, "note": given.note}, facts)
        path = TRAINED / f"{name}.json"
        path.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")
    return 0


def _train(data: Path, work: Path, steps: int | None) -> dict[str, Any] | None:
    """How many frames and steps; None if it was stopped before the end."""
    night = [_without_dusk(data, work), *(data / folder for folder in NIGHT[1:])]
    recipe = load_recipe(RECIPE, PAPER)
    facts: dict[str, Any] = {}

    def report(event: Mapping[str, Any]) -> None:
        print_event(event)
        facts.update({name: event[name] for name in ("day", "night", "steps", "device") if name in event})

    order = TrainingOrder(
        paper=PAPER,
        day=[data / folder for folder in DAY],
        night=night,
        recipe=recipe if steps is None else recipe.of_steps(steps),
        out=work / "training",
        resumes=True,
        is_half=True,
    )
    return facts if run_training(order, report, StopSignal()) else None


def _without_dusk(data: Path, work: Path) -> Path:
    """A folder of links to the night frames without those of dusk."""
    source = data / NIGHT[0]
    scenes = json.loads((data / "street/splits.json").read_text())["images"]
    folder = work / "night"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        link = folder / path.name
        if scenes[f"{source.name}/{path.name}"]["scene"] not in DUSK_SCENES and not link.exists():
            link.symlink_to(path.absolute())
    return folder


def _calibrated(
    weights: ConvertedWeights,
    gains: Sequence[float],
    frames: Sequence[LabelledFrame],
    meter: FrameMeter,
    reference: Measurements,
) -> tuple[float, bytes]:
    """The change amplified until training frames come as close to the other side as it can bring them: by the
    smallest gain whose KID is within a standard error of the best.
    """
    found: dict[float, Figure] = {}
    for gain in gains:
        translator = Translator(_amplified(weights, gain).eval().requires_grad_(False))
        found[gain] = quality_of(meter, frames, _translated(translator, frames), reference).kid
        print_event({"event": "gain", "gain": gain, "kid": found[gain].value})
    best = min(found.values(), key=_kid)
    enough = _kid(best) + (best.standard_error or 0.0)
    gain = next(gain for gain, kid in found.items() if _kid(kid) <= enough)
    network = _amplified(weights, gain)
    state = {key: tensor.to(torch.float16) for key, tensor in network.state_dict().items()}
    return gain, save_weights(replace(weights, state=state))


def _amplified(weights: ConvertedWeights, gain: float) -> CycleGAN:
    network = build_network(weights)
    assert isinstance(network, CycleGAN)  # noqa: S101 - the bundled architecture
    network.amplify(gain)
    return network


def _kid(figure: Figure) -> float:
    return math.inf if figure.value is None else figure.value


def _measure(
    name: str, direction: Direction, meter: FrameMeter, reference: Measurements, given: argparse.Namespace
) -> dict[str, Any]:
    """Figures of each unseen set: of the frames as they are, translated, and by the baseline."""
    generators = {"translated": name} | ({"camera": BASELINE} if direction is Direction.DAY2NIGHT else {})
    translators = {kind: Translator(load_generator(generator)) for kind, generator in generators.items()}
    found: dict[str, Any] = {}
    for folder in UNSEEN[direction]:
        frames = list(_frames(given.data / folder))
        made = {kind: _translated(translator, frames) for kind, translator in translators.items()}
        figures = {"source": quality_of(meter, frames, None, reference)}
        figures |= {kind: quality_of(meter, frames, images, reference) for kind, images in made.items()}
        label = folder.replace("/images", "")
        found[label] = {kind: summary(figure) for kind, figure in figures.items()}
        _write_sheet(given.work / f"{name}-{label.replace('/', '-')}.jpg", frames, made["translated"])
    return found


def _real_day(meter: FrameMeter, data: Path) -> Measurements:
    """The day frames of the training, in numbers."""
    measurements = Measurements(meter.yardstick, "day frames of streets and dashcams")
    frames = (frame for folder in DAY for frame in _frames(data / folder))
    for number, frame in enumerate(frames):
        measurements.add(number, meter.measure(frame.pixels))
    return measurements


def _translated(translator: Translator, frames: Sequence[LabelledFrame]) -> list[Pixels]:
    images = []
    for number, frame in enumerate(frames):
        images += translator.translate([frame.pixels], [Scene(number, objects=frame.objects)])
    return images


def quality_of(
    meter: FrameMeter,
    frames: Sequence[LabelledFrame],
    images: Sequence[Pixels] | None,
    reference: Measurements | None,
) -> Quality:
    measurements = Measurements(meter.yardstick)
    for number, frame in enumerate(frames):
        if images is None:
            measurements.add(number, meter.measure(frame.pixels))
            continue
        boxes = [found.xyxy for found in frame.objects]
        measurements.add(number, meter.measure(images[number], frame.pixels, boxes))
    return quality(measurements, reference)


def _frames(folder: Path) -> Iterator[LabelledFrame]:
    described = folder.parents[1] / "data.yaml"
    names = parse_data_yaml(described.read_bytes(), str(described)) if described.exists() else None
    for path in find_images([folder], "measured", 1).paths:
        pixels = decode(path.read_bytes())
        label = folder.parents[1] / "labels" / folder.name / f"{path.stem}.txt"
        objects = _objects(label, pixels, names.names) if names is not None and label.exists() else ()
        yield LabelledFrame(path.name, pixels, tuple(objects))


def _objects(label: Path, pixels: Pixels, names: Sequence[str]) -> Iterator[SceneObject]:
    height, width = pixels.shape[:2]
    for line in label.read_text().splitlines():
        kind, *numbers = line.split()
        x, y, w, h = (float(number) for number in numbers)
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        yield SceneObject(box, names[int(kind)], {})


def _write_sheet(path: Path, frames: Sequence[LabelledFrame], images: Sequence[Pixels]) -> None:
    chosen = [number * len(frames) // SHEET_PAIRS for number in range(SHEET_PAIRS)]
    pairs = [(frames[n].name, encode_jpeg(frames[n].pixels, 95), encode_jpeg(images[n], 95)) for n in chosen]
    path.write_bytes(contact_sheet(pairs))


def _card(
    name: str, direction: Direction, content: bytes, training: Mapping[str, Any], quality: dict[str, Any]
) -> GeneratorCard:
    digest = hashlib.sha256(content).hexdigest()
    weights = load_weights(content)
    architecture = ARCHITECTURES[weights.architecture]
    return GeneratorCard(
        name=name,
        version=_version(name, digest),
        title=f"Compact CycleGAN for streets, {training['steps']} steps on {training['device']}",
        direction=direction,
        architecture=weights.architecture,
        paper=architecture.paper,
        training_data=(
            f"{training['day']} day and {training['night']} night frames: hand-held and ride video of one"
            " city's streets, dashcam crops, surveillance and campus roads by night. Small and of few places:"
            f" expect less elsewhere. {training['note']}"
        ).strip(),
        licence=LICENCE,
        weights_sha256=digest,
        quality=quality,
        config=dict(weights.config),
    )


def _version(name: str, digest: str) -> int:
    path = TRAINED / f"{name}.json"
    if not path.exists():
        return 1
    before = GeneratorCard(**json.loads(path.read_text(encoding="utf-8")))
    return before.version + (before.weights_sha256 != digest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bundle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="the folder of frames")
    parser.add_argument("--work", type=Path, required=True, help="for checkpoints and contact sheets")
    parser.add_argument("--steps", type=int, help="updates in all, instead of the recipe's")
    parser.add_argument("--note", default="", help="what else the cards shall say of the training")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

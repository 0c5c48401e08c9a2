"""The trained generators that come with Nightshift: train them, measure them, put them in their place.

    python -m workers.bundle DATA --work DIR [--only TRAINING …] [--steps N]

DATA is laid out as its splits are named below: frames of streets by day and by night, with YOLO labels. Each
training goes on where it was stopped. What is measured, and shown in the contact sheets in `--work`, are
frames that no training has seen. Run it again, longer, and the generators get a new version.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.interface import Direction, Scene, SceneObject
from models.inference import Translator
from models.layouts import LAYOUTS
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter
from models.metrics.quality import Figure, Quality, quality
from models.metrics.reference import bundled_reference
from models.registry import BUNDLED_FOLDER, load_generator
from models.training.images import find_images
from models.training.papers import PAPERS, load_recipe
from models.training.run import StopSignal, print_event
from models.training.session import TrainingOrder, run_training
from models.weights import ConvertedWeights, build_network, load_weights, save_weights
from service.catalogue import TRAINED, GeneratorCard
from service.datasets.data_yaml import parse_data_yaml
from workers.contact_sheet import contact_sheet
from workers.exam import summary
from workers.images import Pixels, decode, encode_jpeg

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
CALIBRATED_ON = 48
LICENCE = (
    "The weights: Apache-2.0. The frames they learnt from stay with their owners, some without a stated"
    " licence, some non-commercial: ask before you build a product on these weights."
)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is chosen after a training, by KID on training frames: the smallest of `values` that is within a
    standard error of the best. `chosen`: how, in words for the card.
    """

    name: str
    values: Sequence[float]
    chosen: str


@dataclass(frozen=True, slots=True)
class Training:
    """A training, and what is tuned of each generator that it ends with."""

    paper: str
    title: str
    recipe: str = "compact"
    tunings: Mapping[Direction, Tuning] = field(default_factory=dict)


BY_KID = "by KID on training frames"
CAPPED = f"{BY_KID}, capped by eye, after a look at some of the frames below"
TRAININGS: Mapping[str, Training] = {
    "cyclegan": Training(
        "cyclegan",
        "Compact CycleGAN for streets",
        tunings={
            Direction.DAY2NIGHT: Tuning("gain", (1.0, 1.25, 1.5, 1.75, 2.0, 2.25), BY_KID),
            # More comes closer by the figures, and burns out what is lit: seen, not measured.
            Direction.NIGHT2DAY: Tuning("gain", (1.0, 1.25), CAPPED),
        },
    ),
    "enlightengan-night2day": Training("enlightengan", "Compact EnlightenGAN for streets"),
    "enlightengan-day2night": Training(
        "enlightengan",
        "Compact EnlightenGAN for streets, its pools swapped",
        "compact-night",
        # More comes closer by the figures, and turns roads black: seen, not measured.
        {Direction.DAY2NIGHT: Tuning("gain", (1.0, 1.25, 1.5, 1.75), CAPPED)},
    ),
    "kind": Training(
        "kind",
        "KinD for streets, restoring with fewer channels",
        tunings={
            Direction.DAY2NIGHT: Tuning("ratio", (0.5, 0.4, 0.3, 0.25, 0.2, 0.15), BY_KID),
            # Of black regions brighter ones make flat grey with dark rims: seen, not measured.
            Direction.NIGHT2DAY: Tuning("ratio", (1.5, 2.0), CAPPED),
        },
    ),
    "sci": Training("sci", "SCI for streets"),
}


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    name: str
    pixels: Pixels
    objects: tuple[SceneObject, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    meter = FrameMeter()
    for name in given.only or TRAININGS:
        facts = _train(TRAININGS[name], given.data, given.work / name, given.steps)
        if facts is None:
            return 1
        for exported in sorted((given.work / name).glob("*.safetensors")):
            _bundle(TRAININGS[name], exported, {**facts, "note": given.note}, meter, given)
    return 0


def _bundle(
    training: Training,
    exported: Path,
    facts: Mapping[str, Any],
    meter: FrameMeter,
    given: argparse.Namespace,
) -> None:
    """Tuned, measured, and put in its place with its card."""
    direction = Direction(exported.stem)
    name = f"{training.paper}-{direction}"
    weights = load_weights(exported)
    is_to_night = direction is Direction.DAY2NIGHT
    reference = bundled_reference() if is_to_night else _real_day(meter, given.data)
    tuning = training.tunings.get(direction)
    tuned = {}
    if tuning is not None:
        shown = list(_frames(given.data / DAY[0] if is_to_night else _without_dusk(given.data, given.work)))
        some = [shown[number * len(shown) // CALIBRATED_ON] for number in range(CALIBRATED_ON)]
        value = _closest(weights, tuning, some, meter, reference)
        weights = _tuned(weights, tuning.name, value)
        tuned = {tuning.name: value, f"{tuning.name}_chosen": tuning.chosen}
    halved = {key: _half(tensor) for key, tensor in weights.state.items()}
    content = save_weights(replace(weights, state=halved))
    (BUNDLED_FOLDER / f"{name}.safetensors").write_bytes(content)
    measured = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        **tuned,
        "unseen": _measure(name, content, direction, meter, reference, given),
    }
    card = _card(
        name, direction, content, {**facts, "title": training.title, "paper": training.paper}, measured
    )
    path = TRAINED / f"{name}.json"
    path.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")


def _train(training: Training, data: Path, out: Path, steps: int | None) -> dict[str, Any] | None:
    """How many frames and steps; None if it was stopped before the end."""
    night = [_without_dusk(data, out.parent), *(data / folder for folder in NIGHT[1:])]
    recipe = load_recipe(training.recipe, training.paper)
    facts: dict[str, Any] = {}

    def report(event: Mapping[str, Any]) -> None:
        print_event(event)
        facts.update({name: event[name] for name in ("day", "night", "steps", "device") if name in event})

    order = TrainingOrder(
        paper=training.paper,
        day=[data / folder for folder in DAY],
        night=night,
        recipe=recipe if steps is None else recipe.of_steps(steps),
        out=out,
        resumes=True,
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


def _closest(
    weights: ConvertedWeights,
    tuning: Tuning,
    frames: Sequence[LabelledFrame],
    meter: FrameMeter,
    reference: Measurements,
) -> float:
    """The value by which training frames come as close to the other side as any can bring them."""
    found: dict[float, Figure] = {}
    for value in tuning.values:
        translator = Translator(build_network(_tuned(weights, tuning.name, value)))
        found[value] = quality_of(meter, frames, _translated(translator, frames), reference).kid
        print_event({"event": "tuning", tuning.name: value, "kid": found[value].value})
    best = min(found.values(), key=_kid)
    enough = _kid(best) + (best.standard_error or 0.0)
    return next(value for value, kid in found.items() if _kid(kid) <= enough)


def _tuned(weights: ConvertedWeights, name: str, value: float) -> ConvertedWeights:
    """With a constructor's argument changed; a gain amplifies the change that a network makes to an image."""
    if name != "gain":
        return replace(weights, config={**weights.config, name: value})
    network = build_network(weights)
    assert isinstance(network, CycleGAN | EnlightenGAN)  # noqa: S101 - of the table above
    network.amplify(value)
    return replace(weights, state=network.state_dict())


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.float16).contiguous() if tensor.is_floating_point() else tensor


def _kid(figure: Figure) -> float:
    return math.inf if figure.value is None else figure.value


def _measure(
    name: str,
    content: bytes,
    direction: Direction,
    meter: FrameMeter,
    reference: Measurements,
    given: argparse.Namespace,
) -> dict[str, Any]:
    """Figures of each unseen set: of the frames as they are, translated, and by the baseline."""
    translators = {"translated": Translator(build_network(load_weights(content)))}
    if direction is Direction.DAY2NIGHT:
        translators["camera"] = Translator(load_generator(BASELINE))
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
    layout = LAYOUTS[weights.architecture]
    return GeneratorCard(
        name=name,
        version=_version(name, digest),
        title=f"{training['title']}, {training['steps']} steps on {training['device']}",
        direction=direction,
        architecture=weights.architecture,
        paper=layout.paper,
        training_data=f"{_shown(training)} {training['note']}".strip(),
        licence=LICENCE,
        weights_sha256=digest,
        quality=quality,
        config=dict(weights.config),
    )


def _shown(training: Mapping[str, Any]) -> str:
    """How many frames of what, of the sides that the paper learns from."""
    scenes = {
        "day": "hand-held and ride video of one city's streets by day, and dashcam crops",
        "night": "hand-held and ride video of one city's streets by night, dashcam crops, campus roads",
    }
    sides = PAPERS[training["paper"]].recipe.learns_from
    shown = "; ".join(f"{training[side]} {side} frames: {scenes[side]}" for side in sides)
    return f"{shown}. Small and of few places: expect less elsewhere."


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
    parser.add_argument("--only", nargs="+", choices=list(TRAININGS), help="some of the trainings")
    parser.add_argument("--steps", type=int, help="updates in all, instead of the recipe's")
    parser.add_argument("--note", default="", help="what else the cards shall say of the training")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

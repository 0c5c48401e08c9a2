"""Named ways to set an experiment up. Whatever the user says goes first."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from service.errors import InvalidRequest
from service.experiments.arms import DAY, Arm, mixed_arms
from service.experiments.training import Training

DETECTOR = "yolov8n"


@dataclass(frozen=True, slots=True)
class Preset:
    """`whole` and `mix` are the recipes of day alone and of day with each other data. `scales`: where some
    data has fewer frames than an arm asks for, the numbers of all arms shrink by one and the same factor, so
    that a half stays a half and all arms stay equally large. `test_at_most`: so many test frames, chosen by
    seed.
    """

    title: str
    detector: str = DETECTOR
    whole: str = "{data}"
    mix: str = "{day}+{data}"
    training: Training = field(default_factory=Training)
    scales: bool = False
    test_at_most: int | None = None

    def arms(self, data: Iterable[str]) -> list[Arm]:
        """Raises:
        InvalidRequest: there is no day data to begin with.
        """
        names = list(data)
        if DAY not in names:
            cure = f"Call one {DAY!r}, or write the arms down."
            raise InvalidRequest(f"Without arms the data must have {DAY!r} among it.", cure)
        return mixed_arms(names, self.whole, self.mix)


PLAIN = Preset("Every arm with all the frames it names")
PRESETS: dict[str, Preset] = {
    "classic": Preset(
        "The classic study: 10,000 frames an arm, all by day or half of them; scaled to what is given",
        detector="yolov5su",
        whole="{data}#10000",
        mix="{day}#5000+{data}#5000",
        training=Training(epochs=300, batch=16, image_px=512, patience=100),
        scales=True,
        test_at_most=2000,
    ),
    "finetune": Preset(
        "For few frames: one long training by day, from which every arm is tuned for equally many steps",
        training=Training(steps=600, pretrain_steps=3000),
    ),
}


def find_preset(name: str | None) -> Preset:
    """Raises:
    InvalidRequest: naming those there are.
    """
    if name is None:
        return PLAIN
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise InvalidRequest(f"There is no preset {name!r}.", f"{hint}There are: {', '.join(PRESETS)}.")
    return PRESETS[name]

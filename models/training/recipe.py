"""What can be chosen about the training of any paper; a paper's own recipe adds its networks and losses."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from models.training.errors import RecipeRejected
from models.training.schedule import LinearDecay

SMALLEST_CROP_PX = 32  # below, the discriminator's last normalisation has nothing to measure
STRIDE_PX = 4  # of the generators


@dataclass(frozen=True, slots=True)
class Data:
    """How a file becomes a square crop: resized, enlarged at random, cropped and mirrored at random.

    `resize`: "square" squeezes any image into `resize_px` x `resize_px`, as the original does;
    "shorter_side" keeps the shape; "none" crops from the full resolution. `zoom`: the resized image is
    enlarged by a factor from 1 to this. `batch_size`: of each process, if there are several. Colours and
    brightness are never touched: they are what tells day from night.
    """

    crop_px: int = 256
    resize: Literal["square", "shorter_side", "none"] = "square"
    resize_px: int = 286
    zoom: float = 1.0
    flip: bool = True
    batch_size: int = 1

    def __post_init__(self) -> None:
        within("data.crop_px", self.crop_px, SMALLEST_CROP_PX, 4096)
        if self.crop_px % STRIDE_PX:
            raise RecipeRejected(
                f"'data.crop_px' is {self.crop_px}.", f"It must be a multiple of {STRIDE_PX}."
            )
        if self.resize != "none":
            within("data.resize_px", self.resize_px, self.crop_px, 8192)
        within("data.zoom", self.zoom, 1.0, 4.0)
        within("data.batch_size", self.batch_size, 1, 1024)


@dataclass(frozen=True, slots=True)
class Updates:
    """How the weights are changed.

    `accumulate`: in how many pieces a batch is computed, to fit into memory. `mixed_precision`: bfloat16
    where the device multiplies it itself. `ema`: the share of the past in the averaged generators that are
    exported, such as 0.999; 0 exports the trained ones.
    """

    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    accumulate: int = 1
    mixed_precision: bool = True
    ema: float = 0.0

    def __post_init__(self) -> None:
        within("updates.learning_rate", self.learning_rate, 1e-8, 1.0)
        within("updates.beta1", self.beta1, 0.0, 0.999999)
        within("updates.beta2", self.beta2, 0.0, 0.999999)
        within("updates.accumulate", self.accumulate, 1, 1024)
        within("updates.ema", self.ema, 0.0, 0.999999)


@dataclass(frozen=True, slots=True)
class Length:
    """How long, and how often something is told, shown or saved.

    `steps`: updates of the weights; 0 for what `epochs` over the larger side come to. The learning rate is
    constant for `constant_share` of the steps and falls linearly afterwards.
    """

    epochs: int = 200
    steps: int = 0
    constant_share: float = 0.5
    log_every: int = 50
    sample_every: int = 500
    save_every: int = 1000

    def __post_init__(self) -> None:
        within("length.epochs", self.epochs, 1, 1_000_000)
        within("length.steps", self.steps, 0, 1_000_000_000)
        within("length.constant_share", self.constant_share, 0.0, 1.0)
        for name in ("log_every", "sample_every", "save_every"):
            within(f"length.{name}", getattr(self, name), 1, 1_000_000_000)

    def schedule(self) -> LinearDecay:
        constant = round(self.steps * self.constant_share)
        return LinearDecay(constant, self.steps - constant)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a training depends on beside its images.

    `warm_start`: "camera" spends the first `warm_steps` steps on pairs that the camera model makes from day
    frames, in every direction that is trained, before the paper's own training begins. `warm_every`: from
    then on every so many steps one is spent on pairs again, as a guide; 0 for none.
    """

    seed: int = 0
    warm_start: Literal["none", "camera"] = "none"
    warm_steps: int = 600
    warm_every: int = 0
    data: Data = field(default_factory=Data)
    updates: Updates = field(default_factory=Updates)
    length: Length = field(default_factory=Length)

    def __post_init__(self) -> None:
        within("seed", self.seed, 0, 2**63 - 1)
        within("warm_steps", self.warm_steps, 0, 1_000_000_000)
        within("warm_every", self.warm_every, 0, 1_000_000_000)
        if self.data.batch_size % self.updates.accumulate:
            raise RecipeRejected(
                f"'updates.accumulate' is {self.updates.accumulate}.",
                f"It must divide 'data.batch_size', {self.data.batch_size}.",
            )

    def for_images(self, day: int, night: int, processes: int = 1) -> Self:
        """The recipe with its number of steps: an epoch sees every image of the larger side once.

        Args:
            day, night: how many images there are.
            processes: that take a batch each.
        """
        if self.length.steps:
            return self
        per_epoch = -(-max(day, night) // (self.data.batch_size * processes))
        return self.of_steps(self.length.epochs * per_epoch)

    def of_steps(self, steps: int) -> Self:
        return replace(self, length=replace(self.length, steps=steps))


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises:
    RecipeRejected: the value of the dotted key `name` lies outside.
    """
    # NaN is within nothing
    if not low <= value <= high:
        raise RecipeRejected(f"{name!r} in the recipe is {value}.", f"It must lie between {low} and {high}.")

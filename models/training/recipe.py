"""What can be chosen about the training of any paper; a paper's own recipe adds its networks and losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self

from models.losses.library import LOSSES, UnknownLoss
from models.training.errors import RecipeRejected
from models.training.schedule import Halved, LinearDecay

SMALLEST_CROP_PX = 32  # below, the discriminator's last normalisation has nothing to measure


@dataclass(frozen=True, slots=True)
class Data:
    """How a file becomes a square crop: resized, enlarged at random, cropped and mirrored at random.

    `resize`: "square" squeezes any image into `resize_px` x `resize_px`, as the original does;
    "shorter_side" keeps the shape; "none" crops from the full resolution. `zoom`: the resized image is
    enlarged by a factor from 1 to this. `batch_size`: of each process, if there are several. Colours and
    brightness are never touched: they are what tells day from night. `crop_px` 0: whole images, one a batch.
    """

    crop_px: int = 256
    resize: Literal["square", "shorter_side", "none"] = "square"
    resize_px: int = 286
    zoom: float = 1.0
    flip: bool = True
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.crop_px:
            within("data.crop_px", self.crop_px, SMALLEST_CROP_PX, 4096)
        if self.resize != "none":
            within("data.resize_px", self.resize_px, self.smallest_px, 8192)
        within("data.zoom", self.zoom, 1.0, 4.0)
        within("data.batch_size", self.batch_size, 1, 1024 if self.crop_px else 1)

    @property
    def smallest_px(self) -> int:
        """No image may be narrower or lower."""
        return self.crop_px or SMALLEST_CROP_PX


@dataclass(frozen=True, slots=True)
class Updates:
    """How the weights are changed.

    `accumulate`: in how many pieces a batch is computed, to fit into memory. `mixed_precision`: bfloat16
    where the device multiplies it itself. `ema`: the share of the past in the averaged generators that are
    exported, such as 0.999; 0 exports the trained ones. `weight_decay`: added to gradients as that share of
    the weights. `clip_norm`: gradients of an optimiser that are longer together are shortened to it; 0 for
    never.
    """

    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    accumulate: int = 1
    mixed_precision: bool = True
    ema: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        within("updates.learning_rate", self.learning_rate, 1e-8, 1.0)
        within("updates.beta1", self.beta1, 0.0, 0.999999)
        within("updates.beta2", self.beta2, 0.0, 0.999999)
        within("updates.accumulate", self.accumulate, 1, 1024)
        within("updates.ema", self.ema, 0.0, 0.999999)
        within("updates.weight_decay", self.weight_decay, 0.0, 1.0)
        within("updates.clip_norm", self.clip_norm, 0.0, 1e6)


@dataclass(frozen=True, slots=True)
class Length:
    """How long, and how often something is told, shown or saved.

    `steps`: updates of the weights; 0 for what `epochs` over the larger side come to. The learning rate is
    constant for `constant_share` of the steps; afterwards it falls linearly, or is halved once.
    """

    epochs: int = 200
    steps: int = 0
    constant_share: float = 0.5
    decay: Literal["linear", "halved"] = "linear"
    log_every: int = 50
    sample_every: int = 500
    save_every: int = 1000

    def __post_init__(self) -> None:
        within("length.epochs", self.epochs, 1, 1_000_000)
        within("length.steps", self.steps, 0, 1_000_000_000)
        within("length.constant_share", self.constant_share, 0.0, 1.0)
        for name in ("log_every", "sample_every", "save_every"):
            within(f"length.{name}", getattr(self, name), 1, 1_000_000_000)

    def schedule(self) -> LinearDecay | Halved:
        constant = round(self.steps * self.constant_share)
        return Halved(constant) if self.decay == "halved" else LinearDecay(constant, self.steps - constant)


@dataclass(frozen=True, slots=True)
class Perceptual:
    """What perceptual losses look through: the features of a backbone.

    `backbone`: "streetnet", which comes along; a classifier of torchvision by its name; or "vgg16-caffe", in
    the layout of EnlightenGAN's own file. The latter two need a file of weights, which is given beside the
    recipe. `layers`: whose outputs are compared, by their names in the network; none for the backbone's
    usual ones. `without`: layers that are left out on the way.
    """

    backbone: str = "streetnet"
    layers: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a training depends on beside its images.

    `warm_start`: "camera" spends the first `warm_steps` steps on pairs that the camera model makes from day
    frames, in every direction that is trained, before the paper's own training begins. `warm_every`: from
    then on every so many steps one is spent on pairs again, as a guide; 0 for none. `extra_losses`: of
    `models.losses.library`, each with its weight, beside the paper's own: on pairs they compare a translation
    with what it should be, else with the image it was made of.
    """

    stride_px: ClassVar[int] = 4  # of the generators; crops must be multiples of it
    learns_from: ClassVar[tuple[str, ...]] = ("day", "night")

    seed: int = 0
    warm_start: Literal["none", "camera"] = "none"
    warm_steps: int = 600
    warm_every: int = 0
    extra_losses: Mapping[str, float] = field(default_factory=dict)
    perceptual: Perceptual = field(default_factory=Perceptual)
    data: Data = field(default_factory=Data)
    updates: Updates = field(default_factory=Updates)
    length: Length = field(default_factory=Length)

    def __post_init__(self) -> None:
        within("seed", self.seed, 0, 2**63 - 1)
        within("warm_steps", self.warm_steps, 0, 1_000_000_000)
        within("warm_every", self.warm_every, 0, 1_000_000_000)
        crop_px = self.data.crop_px
        if crop_px % self.stride_px or not (crop_px or self.stride_px == 1):
            above = "" if crop_px else ", and not 0"
            raise RecipeRejected(
                f"'data.crop_px' is {crop_px}.", f"It must be a multiple of {self.stride_px}{above}."
            )
        for name, weight in self.extra_losses.items():
            if name not in LOSSES:
                raise _unknown_loss(name)
            within(f"extra_losses.{name}", weight, 0.0, 1e6)
            smallest_px = LOSSES[name].smallest_px
            if weight and self.data.smallest_px < smallest_px:
                raise RecipeRejected(
                    f"The loss {name!r} needs {smallest_px} px, and the recipe's crops may have fewer.",
                    f"Set 'data.crop_px' to at least {smallest_px}, or leave the loss out.",
                )
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

    def uses_features(self) -> bool:
        """Whether a loss looks through `perceptual`."""
        return any(weight and LOSSES[name].needs_features for name, weight in self.extra_losses.items())

    def is_paired(self, step: int) -> bool:
        """Whether that step, the first of which is 0, is spent on pairs."""
        if self.warm_start != "camera":
            return False
        return step < self.warm_steps or (self.warm_every > 0 and step % self.warm_every == 0)

    def of_steps(self, steps: int) -> Self:
        return replace(self, length=replace(self.length, steps=steps))


def _unknown_loss(name: str) -> RecipeRejected:
    error = UnknownLoss(name, LOSSES)
    return RecipeRejected(f"'extra_losses' in the recipe: {error.message}", error.cure)


def within(name: str, value: float, low: float, high: float) -> None:
    """Raises:
    RecipeRejected: the value of the dotted key `name` lies outside.
    """
    # NaN is within nothing
    if not low <= value <= high:
        raise RecipeRejected(f"{name!r} in the recipe is {value}.", f"It must lie between {low} and {high}.")

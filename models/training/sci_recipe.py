"""What can be chosen about a training of SCI (arXiv:2204.10137); the defaults are those of its code."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from models.training.recipe import Data, Length, Recipe, Updates, within


@dataclass(frozen=True, slots=True)
class SCISizes:
    """`channels`: of the block in use; `calibration_channels`: of its teacher."""

    channels: int = 3
    calibration_channels: int = 16

    def __post_init__(self) -> None:
        within("networks.channels", self.channels, 1, 64)
        within("networks.calibration_channels", self.calibration_channels, 1, 256)


@dataclass(frozen=True, slots=True)
class SCILosses:
    """Weights: of fidelity, the illumination beside what it was estimated from, and of its smoothness;
    `stages`: how often the block runs in training.
    """

    fidelity: float = 1.5
    smoothness: float = 1.0
    stages: int = 3

    def __post_init__(self) -> None:
        within("losses.fidelity", self.fidelity, 0.0, 1000.0)
        within("losses.smoothness", self.smoothness, 0.0, 1000.0)
        within("losses.stages", self.stages, 1, 16)


@dataclass(frozen=True, slots=True)
class SCIRecipe(Recipe):
    """A training on the night images alone: what SCI learns from has no other side."""

    stride_px: ClassVar[int] = 1
    learns_from: ClassVar[tuple[str, ...]] = ("night",)

    direction: Literal["night2day"] = "night2day"
    networks: SCISizes = field(default_factory=SCISizes)
    data: Data = field(default_factory=lambda: Data(crop_px=0, resize="none", flip=False))
    losses: SCILosses = field(default_factory=SCILosses)
    updates: Updates = field(
        default_factory=lambda: Updates(
            learning_rate=3e-4, beta1=0.9, weight_decay=3e-4, clip_norm=5.0, mixed_precision=False
        )
    )
    length: Length = field(default_factory=lambda: Length(epochs=1000, constant_share=1.0))

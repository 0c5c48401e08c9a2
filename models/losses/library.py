"""The losses that a recipe may add by name to the training of any generator."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from torch import nn

from models.errors import GeneratorError
from models.losses.perceptual import PerceptualLoss, SelfFeatureLoss
from models.losses.pixel import LogMSELoss
from models.losses.region import RegionLoss
from models.losses.retinex import GradientDifference
from models.losses.structure import (
    MULTI_SCALE_PX,
    WINDOW_PX,
    LaplacianLoss,
    MultiScaleSSIMLoss,
    SSIMLoss,
)
from models.losses.zero_reference import ColourConstancy, CurveSmoothness, Exposure, SpatialConsistency


class UnknownLoss(GeneratorError):
    """There is no loss of this name in the library."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        nearest = get_close_matches(name, names, n=1)
        cure = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(names)}."
        super().__init__(f"There is no loss {name!r}.", cure)
        self.name = name


class FeaturesMissing(GeneratorError):
    """A loss compares the features of a backbone, and there is none."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The loss {name!r} compares what a backbone sees in two images, and there is no backbone.",
            "Name one in 'perceptual.backbone', and give the file of its weights if it needs one.",
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class LossEntry:
    """A loss with its paper's settings, on RGB images (B, 3, H, W) in [0, 1].

    `compares` says what `forward` takes: a translation and its reference, or a translation alone. Those that
    need features take them as the one argument of `build`. `smallest_px`: images may not be smaller.
    """

    paper: str
    build: Callable[..., nn.Module]
    compares: bool
    needs_features: bool = False
    smallest_px: int = 1


# From here on torch's robust losses grow linearly. Images in [0, 1] never differ by more than its own default
# of 1: with that, both would be half of `l2`.
_ROBUST_FROM = 0.1

LOSSES: Mapping[str, LossEntry] = {
    "l1": LossEntry("Zhao et al. (arXiv:1511.08861)", nn.L1Loss, compares=True),
    "l2": LossEntry("Zhao et al. (arXiv:1511.08861)", nn.MSELoss, compares=True),
    "smooth-l1": LossEntry(
        "Fast R-CNN (arXiv:1504.08083)", partial(nn.SmoothL1Loss, beta=_ROBUST_FROM), compares=True
    ),
    "huber": LossEntry(
        "Huber (Annals of Mathematical Statistics 1964)",
        partial(nn.HuberLoss, delta=_ROBUST_FROM),
        compares=True,
    ),
    "log-mse": LossEntry("Eigen et al. (arXiv:1406.2283)", LogMSELoss, compares=True),
    "ssim": LossEntry("Wang et al. (IEEE TIP 2004)", SSIMLoss, compares=True, smallest_px=WINDOW_PX),
    "ms-ssim": LossEntry(
        "Wang et al. (Asilomar 2003)", MultiScaleSSIMLoss, compares=True, smallest_px=MULTI_SCALE_PX
    ),
    "laplacian": LossEntry("Bojanowski et al. (arXiv:1707.05776)", LaplacianLoss, compares=True),
    "perceptual": LossEntry(
        "Johnson et al. (arXiv:1603.08155)", PerceptualLoss, compares=True, needs_features=True
    ),
    "self-feature": LossEntry(
        "EnlightenGAN (arXiv:1906.06972)", SelfFeatureLoss, compares=True, needs_features=True
    ),
    "region": LossEntry("MBLLEN (BMVC 2018)", RegionLoss, compares=True),
    "gradient-difference": LossEntry("KinD (arXiv:1905.04161)", GradientDifference, compares=True),
    "spatial-consistency": LossEntry("Zero-DCE (arXiv:2001.06826)", SpatialConsistency, compares=True),
    "exposure": LossEntry("Zero-DCE (arXiv:2001.06826)", Exposure, compares=False),
    "colour-constancy": LossEntry("Zero-DCE (arXiv:2001.06826)", ColourConstancy, compares=False),
    "total-variation": LossEntry("Zero-DCE (arXiv:2001.06826)", CurveSmoothness, compares=False),
}


def build_loss(name: str, features: nn.Module | None = None) -> nn.Module:
    """Args:
        name: a key of `LOSSES`.
        features: what `PerceptualLoss` takes; losses that need none leave it alone.

    Raises:
        UnknownLoss: naming the nearest name there is.
        FeaturesMissing: the loss needs features and there are none.
    """
    if name not in LOSSES:
        raise UnknownLoss(name, LOSSES)
    entry = LOSSES[name]
    if not entry.needs_features:
        return entry.build()
    if features is None:
        raise FeaturesMissing(name)
    return entry.build(features)

"""A frame in, its numbers out."""

import math

import torch
from torch import Tensor

from models.device import exact_kernels
from models.metrics.backbone import Backbone
from models.metrics.brightness import brightness_counts
from models.metrics.frame import Boxes, FrameMeasurement, Image
from models.metrics.gradients import GradientSimilarity, gradient_similarity
from models.metrics.measurements import Yardstick
from models.metrics.niqe import NiqeModel
from models.metrics.noise import noise_level
from models.metrics.reference import bundled_niqe
from models.metrics.streetnet import StreetNetBackbone, load_streetnet
from models.metrics.working_size import luma, reduced


class FrameMeter:
    """Measures frames at their working size, see `working_size`; many threads may call it side by side.

    The same pixels give the same numbers on a CPU. Networks run on `device`, everything else on the CPU.

    Args:
        backbone: whose features KID and FID will compare; taken over: moved to the device. By default the
            bundled one.
        niqe: what pristine frames are like; by default the bundled night frames.
    """

    def __init__(
        self,
        backbone: Backbone | None = None,
        device: str | torch.device = "cpu",
        niqe: NiqeModel | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.niqe = niqe or bundled_niqe()
        judge = backbone if isinstance(backbone, StreetNetBackbone) else load_streetnet()
        self._judge = judge.to(self.device)
        self.backbone = (backbone or judge).to(self.device).eval()
        self.yardstick = Yardstick(
            self.backbone.name, self.backbone.sha256, self.backbone.dim, self.niqe.sha256
        )

    def measure(self, image: Image, source: Image | None = None, boxes: Boxes = ()) -> FrameMeasurement:
        """Args:
        image: RGB, uint8, (H, W, 3).
        source: the day frame that it was translated from, of the same shape.
        boxes: of objects, in pixels of the frame; used only with a source.
        """
        if image.ndim != 3 or image.shape[2] != 3 or str(image.dtype) != "uint8":
            raise ValueError(f"expected an RGB image of uint8, got {image.shape}, {image.dtype}")
        small = reduced(image)
        grey = luma(small)
        features, night = self._describe(small)
        similarity = _similarity(image, grey, source, boxes)
        return FrameMeasurement(
            features=features.numpy(),
            night=night,
            niqe=self.niqe.score(grey),
            noise=noise_level(grey),
            luma=float(grey.mean()),
            brightness=brightness_counts(grey),
            similarity_inside=similarity.inside,
            boxes=similarity.boxes,
            similarity_outside=similarity.outside,
        )

    def _describe(self, image: Image) -> tuple[Tensor, float]:
        """The backbone's features, (dim,) on the CPU, and how surely it is night."""
        with exact_kernels(self.device, "float32"):
            pixels = torch.tensor(image, device=self.device).permute(2, 0, 1)[None]
            images = pixels.to(torch.float32, memory_format=torch.channels_last).div_(255)
            features, night = self._judge.judge(images)
            if self.backbone is not self._judge:
                features = self.backbone.embed(images)
            return features[0].cpu(), float(night)


def _similarity(image: Image, grey: Image, source: Image | None, boxes: Boxes) -> GradientSimilarity:
    if source is None:
        return GradientSimilarity(inside=0.0, boxes=0, outside=math.nan)
    if source.shape != image.shape:
        raise ValueError(f"the source must be of the image's shape, {image.shape}, got {source.shape}")
    scale = grey.shape[1] / image.shape[1]
    scaled = [(x1 * scale, y1 * scale, x2 * scale, y2 * scale) for x1, y1, x2, y2 in boxes]
    return gradient_similarity(luma(reduced(source)), grey, scaled)

"""What perceptual losses look through: the inner layers of a network that was trained to see."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import vgg16
from torchvision.models.feature_extraction import create_feature_extractor

from models.checkpoint_files import read_checkpoint
from models.layouts import State
from models.metrics.errors import BackboneRejected, UnknownBackbone
from models.metrics.streetnet import STREETNET, load_streetnet
from models.metrics.torchvision_backbone import ALIASES, classifiers, read_classifier, reject_misfits
from models.training.errors import RecipeRejected
from models.training.recipe import Perceptual

VGG16_CAFFE = "vgg16-caffe"
# ReLUs before each pooling but the last, as Johnson et al. compare them (arXiv:1603.08155)
VGG16_LAYERS = ("features.3", "features.8", "features.15", "features.22")
USUAL_LAYERS: Mapping[str, tuple[str, ...]] = {
    STREETNET: ("layers.1", "layers.2", "layers.3"),
    "vgg16": VGG16_LAYERS,
    VGG16_CAFFE: VGG16_LAYERS,
}
# of EnlightenGAN's file, at the places torchvision gives them
CAFFE_CONVOLUTIONS: Mapping[str, int] = {
    "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12, "conv3_3": 14,
    "conv4_1": 17, "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26, "conv5_3": 28,
}  # fmt: skip


class Features(nn.Module):
    """Outputs of some layers of a network, which is never trained.

    Args:
        network: gives them by name.
        mean, deviation: by colour, of what the network was trained on, in [0, 1]; 1/255 is a deviation that
            scales to Caffe's values.
        is_bgr: it wants blue first.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        deviation: Sequence[float] = (1.0, 1.0, 1.0),
        is_bgr: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.is_bgr = is_bgr
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """RGB, (B, 3, H, W), values in [0, 1] -> a feature map (B, C, h, w) for each layer."""
        shown = images.flip(1) if self.is_bgr else images
        return list(self.network((shown - self.mean) / self.deviation).values())


def load_features(wanted: Perceptual, file: Path | None) -> Features:
    """The features a recipe names, on the CPU.

    Args:
        file: the backbone's weights: torchvision's own state_dict of a classifier, or EnlightenGAN's file.

    Raises:
        RecipeRejected: the backbone has no such layer, or the file is missing or superfluous.
        UnknownBackbone: naming the nearest there is.
        BackboneRejected: the file is another network's: naming the tensors that differ.
        CheckpointRejected: the file is damaged, or holds more than tensors.
    """
    name = ALIASES.get(wanted.backbone, wanted.backbone)
    known = [STREETNET, VGG16_CAFFE, *ALIASES, *classifiers()]
    if name not in known:
        raise UnknownBackbone(name, known)
    if (name == STREETNET) != (file is None):
        raise _file_mismatch(name)
    layers = wanted.layers or USUAL_LAYERS.get(name, ())
    if file is None:
        # which scales its images itself
        return Features(_cut(name, load_streetnet().network, layers, wanted.without))
    if name == VGG16_CAFFE:
        # without subtracting a mean, as EnlightenGAN uses it
        cut = _cut(name, _caffe_vgg16(file), layers, wanted.without)
        return Features(cut, deviation=(1 / 255,) * 3, is_bgr=True)
    network, _ = read_classifier(name, file)
    is_inception = name == "inception_v3"
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Features(
        _cut(name, network, layers, wanted.without),
        (0.5,) * 3 if is_inception else mean,
        (0.5,) * 3 if is_inception else deviation,
    )


def _file_mismatch(name: str) -> RecipeRejected:
    if name == STREETNET:
        return RecipeRejected(
            "A backbone's file was given, but the recipe looks through 'streetnet', which comes along.",
            "Leave the file out, or name its network in 'perceptual.backbone'.",
        )
    return RecipeRejected(
        f"The recipe looks through {name!r}, which needs a file of weights.",
        "Give it as the backbone's file, or set 'perceptual.backbone' to \"streetnet\", which comes along.",
    )


def _cut(name: str, network: nn.Module, layers: Sequence[str], without: Sequence[str]) -> nn.Module:
    """The network up to the last of the layers. `StreetNet`'s head, which mixes layers, is never wanted."""
    known = [path for path, _ in network.named_modules() if path]
    for layer in (*layers, *without):
        if layer not in known:
            nearest = get_close_matches(layer, known, n=1, cutoff=0.0)
            raise RecipeRejected(
                f"The backbone {name!r} has no layer {layer!r}.", f"The nearest is {nearest[0]!r}."
            )
    if not layers:
        raise RecipeRejected(
            f"The recipe does not say which layers of {name!r} to compare.",
            f"Name some in 'perceptual.layers', such as {known[len(known) // 2]!r}.",
        )
    for layer in without:
        network.set_submodule(layer, nn.Identity())
    for module in network.modules():
        if hasattr(module, "inplace"):
            # or an activation would overwrite the output of the layer before it
            module.inplace = False  # type: ignore[assignment]
    try:
        extractor: nn.Module = create_feature_extractor(network.eval(), list(layers))
    except ValueError as error:
        raise RecipeRejected(
            f"An image on its way through {name!r} does not pass all of these: {', '.join(layers)}.",
            "Name other layers in 'perceptual.layers'.",
        ) from error
    return extractor


class _VGG16(nn.Module):
    """Its convolutions, at the places they have in torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.features = vgg16(weights=None).features

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.features(images)
        return features


def _caffe_vgg16(file: Path) -> nn.Module:
    try:
        state, _ = read_checkpoint(file.read_bytes())
    except OSError as error:
        raise BackboneRejected(f"The weights of {VGG16_CAFFE!r} cannot be read: {error}.") from error
    network = _VGG16()
    renamed: State = {}
    for key, tensor in state.items():
        convolution, _, part = key.partition(".")
        place = CAFFE_CONVOLUTIONS.get(convolution)
        renamed[key if place is None else f"features.{place}.{part}"] = tensor
    reject_misfits(VGG16_CAFFE, renamed, network.state_dict())
    network.load_state_dict(renamed)
    return network

"""From what the user calls a backbone to the network."""

from pathlib import Path

from models.metrics.backbone import Backbone
from models.metrics.errors import UnknownBackbone
from models.metrics.streetnet import STREETNET, load_streetnet


def load_backbone(name: str = STREETNET) -> Backbone:
    """A backbone in eval mode on the CPU.

    Args:
        name: "streetnet", the bundled one; or a classifier of torchvision and the path of its weights, such
            as "inception:FILE" (torchvision's own inception_v3_google-*.pth) or "resnet18:FILE".

    Raises:
        UnknownBackbone: naming the nearest there is.
        BackboneRejected: the file is missing, or another network's: then naming the tensors that differ.
        CheckpointRejected: the file is damaged, or holds more than tensors.
    """
    kind, _, file = name.partition(":")
    if name == STREETNET:
        return load_streetnet()
    # takes a second to import, which every start of a worker would pay
    from models.metrics.torchvision_backbone import ALIASES, classifiers, load_torchvision  # noqa: PLC0415

    known = [*ALIASES, *classifiers()]
    if kind not in known:
        raise UnknownBackbone(kind, [STREETNET, *known])
    return load_torchvision(kind, Path(file))

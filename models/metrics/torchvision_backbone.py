"""Classifiers of torchvision as backbones, with weights that the user has."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import get_model, list_models

from models.checkpoint_files import listed, read_checkpoint
from models.layouts import State
from models.metrics.backbone import Backbone
from models.metrics.errors import BackboneRejected, UnknownBackbone

ALIASES = {"inception": "inception_v3"}


class TorchvisionBackbone(Backbone):
    """A classifier of torchvision without its last layer, on the image stretched to the size of its training.

    For "inception_v3" these are the 2048 features after pooling, at 299x299 px. They are not those of papers
    that use the weights of 2015 converted from TensorFlow: numbers of the two must not be mixed.
    """

    def __init__(self, name: str, sha256: str, network: nn.Module, dim: int) -> None:
        super().__init__(name, sha256, dim)
        self.network = network
        is_inception = name == "inception_v3"
        self.side_px = 299 if is_inception else 224
        mean = (0.5, 0.5, 0.5) if is_inception else (0.485, 0.456, 0.406)
        deviation = (0.5, 0.5, 0.5) if is_inception else (0.229, 0.224, 0.225)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1))

    def embed(self, images: Tensor) -> Tensor:
        side = (self.side_px, self.side_px)
        resized = interpolate(images, side, mode="bilinear", antialias=True)
        features: Tensor = self.network((resized - self.mean) / self.deviation)
        return features.float().flatten(1)


def classifiers() -> list[str]:
    """The names that torchvision has."""
    return list(list_models(module=torchvision.models))


def load_torchvision(name: str, path: Path) -> TorchvisionBackbone:
    """A classifier of torchvision, in eval mode on the CPU; arguments and errors are those of
    `read_classifier`.
    """
    name = ALIASES.get(name, name)
    network, sha256 = read_classifier(name, path)
    dim = _cut_last_layer(name, network)
    return TorchvisionBackbone(name, sha256, network, dim).eval().requires_grad_(False)


def read_classifier(name: str, path: Path) -> tuple[nn.Module, str]:
    """A classifier of torchvision with its weights, and the sha256 of their file.

    Args:
        name: as torchvision has it, or a key of `ALIASES`.
        path: its state_dict, as torchvision publishes it or as safetensors.

    Raises:
        UnknownBackbone: naming the nearest there is.
        BackboneRejected: the file is missing, or another network's: then naming the tensors that differ.
        CheckpointRejected: the file is damaged, or holds more than tensors.
    """
    name = ALIASES.get(name, name)
    known = classifiers()
    if name not in known:
        raise UnknownBackbone(name, [*ALIASES, *known])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackboneRejected(
            f"The weights of {name!r} cannot be read: {error}.", f"Name their file: '{name}:FILE'."
        ) from error
    state, _ = read_checkpoint(content)
    # without it, Inception's and GoogLeNet's constructors spend seconds on drawing numbers
    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    network = get_model(name, weights=None, **options)
    reject_misfits(name, state, network.state_dict())
    network.load_state_dict(state)
    return network, hashlib.sha256(content).hexdigest()


def reject_misfits(name: str, state: State, expected: State) -> None:
    """Raises:
    BackboneRejected: naming the tensors that differ.
    """
    faults: dict[str, Collection[str]] = {
        # counts of batches came later than some of the published files, and mean nothing here
        "missing": [key for key in expected.keys() - state.keys() if not key.endswith("num_batches_tracked")],
        "surplus": state.keys() - expected.keys(),
        "of another shape": [
            key for key, tensor in expected.items() if key in state and state[key].shape != tensor.shape
        ],
    }
    found = [f"{fault}: {listed(names)}" for fault, names in faults.items() if names]
    if found:
        raise BackboneRejected(
            f"The tensors do not fit {name!r}: {'; '.join(found)}.",
            "Use the file published for it; weights converted from another framework have another layout.",
        )


def _cut_last_layer(name: str, network: nn.Module) -> int:
    """Takes off the last linear layer, which names classes; returns how many features it was given."""
    linear = [(path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise BackboneRejected(f"{name!r} has no linear layer to take features before.", "Use another one.")
    path, layer = linear[-1]
    network.set_submodule(path, nn.Identity())
    return layer.in_features

"""StreetNet: a small network that describes street frames and tells night from day. It comes along, trained.

Its card, `models/bundled/streetnet.json`, says what it was trained on and what it can and cannot tell.
"""

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from models.metrics.backbone import Backbone

STREETNET = "streetnet"
DIM = 128
WEIGHTS = Path(__file__).parents[1] / "bundled" / "streetnet.safetensors"
WIDTHS = (16, 32, 64, 128)
LIMIT = 4.0  # of features, in deviations; no frame of the training lies beyond 3.8
SMALLEST_DEVIATION = 1e-3  # keeps the root's slope finite where a channel is the same everywhere


class StreetNet(nn.Module):
    """Five convolutions down to a sixteenth; means and deviations over the image; a linear layer.

    The deviations show how uneven an image is, and the means of the earlier layers its fine texture, which
    the last layer alone would have lost.
    """

    def __init__(self) -> None:
        super().__init__()
        befores = (3, *WIDTHS)
        downs = [_layer(before, after, stride=2) for before, after in zip(befores, WIDTHS, strict=False)]
        self.layers = nn.ModuleList([*downs, _layer(WIDTHS[-1], WIDTHS[-1], stride=1)])
        pooled = 2 * (sum(WIDTHS[1:]) + WIDTHS[-1])
        self.describe = nn.Linear(pooled, DIM)
        self.night = nn.Linear(DIM, 1)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(DIM))
        self.register_buffer("deviation", torch.ones(DIM))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Args:
            images: RGB, float, (B, 3, H, W), values in [0, 1].

        Returns:
            Features (B, 128), of mean 0 and deviation 1 on the frames of its training, not limited; and the
            logit of night, (B,).
        """
        hidden = images * 2 - 1
        statistics = []
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if number:
                statistics += [hidden.mean(dim=(2, 3)), _deviation(hidden)]
        features = (self.describe(torch.cat(statistics, dim=1)) - self.mean) / self.deviation
        return features, self.night(features).squeeze(1)


def _layer(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _deviation(hidden: Tensor) -> Tensor:
    """Over the image, (B, C)."""
    return hidden.var(dim=(2, 3), correction=0).add(SMALLEST_DEVIATION**2).sqrt()


class StreetNetBackbone(Backbone):
    """StreetNet's features, and its verdict on night, which is asked for whatever the backbone."""

    def __init__(self, network: StreetNet, sha256: str) -> None:
        super().__init__(STREETNET, sha256, DIM)
        self.network = network

    def embed(self, images: Tensor) -> Tensor:
        return self.judge(images)[0]

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 128), within ±4, and how surely each is night, (B,), in [0, 1].

        Without a limit a few broken frames, which lie dozens of deviations away, would make up all of KID.
        """
        features, logits = self.network(images)
        return LIMIT * torch.tanh(features / LIMIT), logits.sigmoid()


def load_streetnet(path: Path = WEIGHTS) -> StreetNetBackbone:
    """The bundled network, in eval mode on the CPU."""
    content = path.read_bytes()
    network = StreetNet()
    network.load_state_dict(safetensors.torch.load(content))
    backbone = StreetNetBackbone(network, hashlib.sha256(content).hexdigest())
    return backbone.eval().requires_grad_(False)


def save_streetnet(network: StreetNet, path: Path) -> str:
    """In half precision; returns the file's sha256."""
    state = {key: _half(tensor) for key, tensor in network.state_dict().items()}
    content = safetensors.torch.save(state)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _half(tensor: Tensor) -> Tensor:
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()

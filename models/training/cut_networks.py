"""The three networks of CUT as a training begins with them: sizes, first weights, patches as vectors."""

from collections.abc import Iterable, Sequence
from typing import cast

from torch import Generator, Tensor, nn

from models.generators.cut import CUT
from models.layers.discriminators import AntialiasedPatchGAN
from models.training.cut_recipe import CUTSizes


class PatchVectors(nn.ModuleDict):
    """Patches of features as vectors that can be compared: two layers for each feature, length 1.

    The weights lie at `mlp_0.0`, `mlp_0.2` and so on, as in the original's F.

    Args:
        widths: channels of each feature.
        channels: of the vectors.
    """

    def __init__(self, widths: Iterable[int], channels: int) -> None:
        super().__init__(
            {
                f"mlp_{number}": nn.Sequential(
                    nn.Linear(width, channels), nn.ReLU(), nn.Linear(channels, channels)
                )
                for number, width in enumerate(widths)
            }
        )

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Args:
            features: each (B, width, h, w).
            places: for each feature, the patches to take: int64, each within h * w, row by row.

        Returns:
            For each feature (B, patches, channels), float32.
        """
        vectors = []
        for mlp, feature, chosen in zip(self.values(), features, places, strict=True):
            # (B, width, h, w) -> (B, patches, width)
            patches = mlp(feature.flatten(2).index_select(2, chosen).transpose(1, 2)).float()
            vectors.append(patches / (patches.norm(dim=-1, keepdim=True) + 1e-7))
        return vectors


class CUTNetworks(nn.ModuleDict):
    """G translates, D judges what it makes, F makes vectors of patches of what G's encoder sees."""

    def __init__(self, sizes: CUTSizes, seed: int) -> None:
        generator = CUT(sizes.generator_channels, sizes.generator_blocks, sizes.generator_padding)
        super().__init__(
            {
                "G": generator,
                "F": PatchVectors(generator.encoded.values(), sizes.patch_channels),
                "D": AntialiasedPatchGAN(sizes.discriminator_channels, sizes.discriminator_padding),
            }
        )
        initialise(self, seed)

    @property
    def generator(self) -> CUT:
        return cast(CUT, self["G"])

    def judge(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, 1, h, w), one verdict a patch."""
        verdicts: Tensor = self["D"](images)
        return verdicts

    def vectors(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Of patches, as `PatchVectors` describes."""
        vectors: list[Tensor] = self["F"](features, places)
        return vectors


def initialise(networks: nn.Module, seed: int) -> None:
    """Xavier's normal weights times 0.02, biases 0, as the original begins; the same from the same seed."""
    dice = Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.xavier_normal_(module.weight, 0.02, generator=dice)
            nn.init.zeros_(module.bias)

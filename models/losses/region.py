"""What has some parts of an image count more than others."""

from torch import Tensor, nn

from models.layers.tone import luma


class RegionLoss(nn.Module):
    """Mean absolute difference over the darkest pixels and over the others, weighted and added.

    MBLLEN (Lv et al., BMVC 2018): `dark_weight` * mean over the dark pixels + `bright_weight` * mean over the
    rest. Dark are those whose luma in `reference` is lowest, in each image by itself; of equally dark ones
    those come first that lie further up, then further left.

    Args:
        dark_share: of the pixels of each image, in (0, 1).
        dark_weight, bright_weight: with the paper's values the result lies in [0, 5].
    """

    def __init__(self, dark_share: float = 0.4, dark_weight: float = 4.0, bright_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 < dark_share < 1:
            raise ValueError(f"the dark share lies between 0 and 1, got {dark_share}")
        self._dark_share = dark_share
        self._dark_weight = dark_weight
        self._bright_weight = bright_weight

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both RGB, (B, 3, H, W), at least 2 pixels, values in [0, 1]. No gradient reaches the reference."""
        wanted = reference.detach().float()
        differences = (translated.float() - wanted).abs().mean(dim=1).flatten(1)  # (B, H * W)
        # sorted stably: which of many black pixels are chosen must not depend on the device
        from_dark = luma(wanted).flatten(1).argsort(dim=1, stable=True)
        pixels = differences.shape[1]
        dark = min(max(round(self._dark_share * pixels), 1), pixels - 1)
        ordered = differences.gather(1, from_dark)
        return self._dark_weight * ordered[:, :dark].mean() + self._bright_weight * ordered[:, dark:].mean()

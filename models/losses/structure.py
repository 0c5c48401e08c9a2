"""What compares images by their structure: windows and scales instead of single pixels."""

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW_PX = 11  # of a Gaussian of sigma 1.5
# How much each scale counts, from fine to coarse: Wang et al. (Asilomar 2003).
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# a window has to fit into the coarsest scale
MULTI_SCALE_PX = WINDOW_PX * 2 ** (len(SCALES) - 1)
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


class SSIMLoss(nn.Module):
    """1 - SSIM, so in [0, 2] and 0 for equal images. Wang et al. (IEEE TIP 2004); torchmetrics' computation.

    Gaussian windows of 11 x 11 pixels and sigma 1.5, mean over channels.
    """

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both (B, channels, H, W), values in [0, 1]. No gradient reaches the reference.

        Raises:
            ValueError: a side is smaller than the window.
        """
        _check_size(translated, WINDOW_PX, "SSIM")
        similarity, _ = _similarity_and_contrast(translated.float(), reference.detach().float())
        return 1 - similarity.mean()


class MultiScaleSSIMLoss(nn.Module):
    """1 - MS-SSIM, so in [0, 1] and 0 for equal images. Wang et al. (Asilomar 2003).

    Five scales with their weights. Images are halved four times and a window has to fit at the end: sides are
    at least 176 px.
    """

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both (B, channels, H, W), values in [0, 1]. No gradient reaches the reference.

        Raises:
            ValueError: a side is too small for the coarsest scale.
        """
        _check_size(translated, MULTI_SCALE_PX, "MS-SSIM")
        images, wanted = translated.float(), reference.detach().float()
        product = images.new_ones(len(images))
        for scale, weight in enumerate(SCALES):
            similarity, contrast = _similarity_and_contrast(images, wanted)
            is_coarsest = scale == len(SCALES) - 1
            # Unlike images may be below 0, where a power is not defined. A floor of 0, as torchmetrics has,
            # makes the whole product 0: one such scale would take the gradient from all the others.
            product = product * (similarity if is_coarsest else contrast).clamp(min=1e-6) ** weight
            images, wanted = functional.avg_pool2d(images, 2), functional.avg_pool2d(wanted, 2)
        return 1 - product.mean()


class LaplacianLoss(nn.Module):
    """The sum over the levels of a Laplacian pyramid of the mean absolute difference of the two bands.

    Bojanowski et al. (arXiv:1707.05776) sum 2^(2j) |L_j(x) - L_j(x')|_1 over the levels j. Their norm adds up
    pixels, of which level j has 4^j times fewer than the image: divided by the pixels of the image, that is
    the sum of the bands' means. The pyramid is Burt and Adelson's (IEEE Transactions on Communications 1983),
    blurred by 1-4-6-4-1; borders are repeated outwards, and odd sides round up when they are halved.

    Args:
        levels: of the pyramid; the last is what remains after all the halving, so that 1 is a plain L1.
    """

    def __init__(self, levels: int = 5) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"a pyramid has at least one level, got {levels}")
        self._levels = levels

    def forward(self, translated: Tensor, reference: Tensor) -> Tensor:
        """Both (B, channels, H, W) of any size, values in [0, 1]. No gradient reaches the reference."""
        # The pyramid is linear: that of the difference is the difference of the two.
        difference = translated.float() - reference.detach().float()
        return torch.stack([band.abs().mean() for band in laplacian_pyramid(difference, self._levels)]).sum()


def laplacian_pyramid(image: Tensor, levels: int) -> list[Tensor]:
    """The bands of a float32 image (B, channels, H, W), from fine to coarse; the last is the blurred rest."""
    line = image.new_tensor(_BINOMIAL) / 16
    kernel = torch.outer(line, line).expand(image.shape[1], 1, 5, 5)
    bands = []
    # autocast would run the convolutions in half precision
    with torch.autocast(image.device.type, enabled=False):
        for _ in range(levels - 1):
            smaller = _halve(image, kernel)
            bands.append(image - _double(smaller, kernel, image.shape[-2], image.shape[-1]))
            image = smaller
    return [*bands, image]


def _halve(image: Tensor, kernel: Tensor) -> Tensor:
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(padded, kernel, stride=2, groups=len(kernel))


def _double(image: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
    """To the size that was halved, 2n or 2n - 1 a side."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    # each output pixel is reached by a quarter of the weights
    return functional.conv_transpose2d(
        padded,
        4 * kernel,
        stride=2,
        padding=4,
        output_padding=(1 - height % 2, 1 - width % 2),
        groups=len(kernel),
    )


def _similarity_and_contrast(translated: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM, and its contrast and structure terms alone, of each image: (B,) and (B,)."""
    # takes a second to import, which every start of a worker would pay
    from torchmetrics.functional.image import structural_similarity_index_measure  # noqa: PLC0415

    with torch.autocast(translated.device.type, enabled=False):
        similarity, contrast = structural_similarity_index_measure(
            translated, reference, data_range=1.0, reduction="none", return_contrast_sensitivity=True
        )
    return similarity, contrast


def _check_size(image: Tensor, smallest_px: int, name: str) -> None:
    height, width = image.shape[-2:]
    if min(height, width) < smallest_px:
        raise ValueError(
            f"{name} needs images of at least {smallest_px}x{smallest_px} px, got {width}x{height}"
        )

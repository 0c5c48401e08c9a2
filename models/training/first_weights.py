"""The weights a training begins with."""

from torch import Generator, nn

DEVIATION = 0.02


def draw_weights(networks: nn.Module, seed: int) -> None:
    """Convolutions from N(0, 0.02), batch norms from N(1, 0.02), biases 0, as CycleGAN, EnlightenGAN, SCI and
    Zero-DCE begin; the same from the same seed.
    """
    dice = Generator().manual_seed(seed)
    for module in networks.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
            nn.init.normal_(module.weight, 0.0, DEVIATION, generator=dice)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, DEVIATION, generator=dice)
            nn.init.zeros_(module.bias)

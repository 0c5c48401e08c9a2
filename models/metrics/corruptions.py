"""What translations go wrong by, at a strength from 0 to 1: what StreetNet learns to see."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from models.metrics.frame import Image as Pixels

Dice = np.random.Generator
Corruption = Callable[[Pixels, float, Dice], Pixels]
PATCH_PX = 32


def blur(image: Pixels, strength: float, _: Dice) -> Pixels:
    """Gaussian, of a sigma up to 3 px."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(3 * strength)))


def noise(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """Gaussian, of up to 25 levels."""
    drawn = dice.standard_normal(image.shape, dtype=np.float32)
    return _to_pixels(image + 25 * strength * drawn)


def jpeg(image: Pixels, strength: float, _: Dice) -> Pixels:
    """Of a quality from 50 down to 3."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=round(50 - 47 * strength))
    return np.asarray(Image.open(buffer).convert("RGB"))


def streaks(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """A border, up to a quarter of the image wide, in which the pixels beside it are drawn out."""
    turns = int(dice.integers(4))
    turned = np.rot90(image, turns).copy()
    width_px = max(1, round(strength * turned.shape[1] / 4))
    turned[:, :width_px] = turned[:, width_px : width_px + 1]
    return np.rot90(turned, -turns).copy()


def checkerboard(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """The grid that transposed convolutions leave: of 2 or 4 px, up to 16 levels."""
    side_px = int(dice.integers(1, 3))
    rows, columns = (np.arange(side) // side_px for side in image.shape[:2])
    sign = 1 - 2 * ((rows[:, None] + columns) % 2).astype(np.float32)
    return _to_pixels(image + 16 * strength * sign[..., None])


def flat_patches(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """Up to half of the image's squares of 32 px lose their texture."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((-(-width // 8), -(-height // 8)), Image.Resampling.BOX)
    flat = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    is_hit = dice.random((-(-height // PATCH_PX), -(-width // PATCH_PX))) < strength / 2
    mask = is_hit.repeat(PATCH_PX, axis=0).repeat(PATCH_PX, axis=1)[:height, :width, None]
    return np.where(mask, flat, image)


def colour_cast(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """Red and blue gain or lose up to 40 %."""
    gain = np.ones(3, np.float32)
    gain[[0, 2]] += 0.4 * strength * dice.choice((-1, 1), 2)
    return _to_pixels(image * gain)


def posterise(image: Pixels, strength: float, _: Dice) -> Pixels:
    """Steps of up to 48 levels."""
    step = 1 + 47 * strength
    return _to_pixels((image / step).round() * step)


def exposure(image: Pixels, strength: float, dice: Dice) -> Pixels:
    """Up to one and a half stops brighter or darker, in linear light, roughly."""
    stops = 1.5 * strength * dice.choice((-1, 1))
    return _to_pixels(image * np.float32(2 ** (stops / 2.2)))


CORRUPTIONS: Mapping[str, Corruption] = {
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "streaks": streaks,
    "checkerboard": checkerboard,
    "flat patches": flat_patches,
    "colour cast": colour_cast,
    "posterise": posterise,
    "exposure": exposure,
}


def _to_pixels(levels: NDArray[np.floating]) -> Pixels:
    return levels.round().clip(0, 255).astype(np.uint8)

"""Image bytes to pixels and back. What a user uploads is brought to plain 8-bit RGB once, at ingest."""

import io
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from workers.image_files import Parts, other_format, parts_of

Pixels = NDArray[np.uint8]  # RGB, shape (H, W, 3)

MAX_PIXELS = 50_000_000
MAX_SIDE_PX = 16_384
MIN_SIDE_PX = 32  # the stride of a detector: what is smaller has no cell to be found in
MAX_ASPECT = 10
# 8-bit RGBA of as many pixels as are allowed, not compressed at all.
MAX_FILE_BYTES = 200_000_000
REENCODED_QUALITY = 95
SMALL_WIDTH_PX = 160
# Modes that hold more than 8 bits a channel: converting them clips without a word.
DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}


class ImageRejected(Exception):
    """An image that cannot be used; `code` is what the report says."""

    def __init__(self, code: str, message: str, cure: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cure = cure


@dataclass(frozen=True, slots=True)
class PlainImage:
    """8-bit RGB as it is stored: the source's own compressed pixels where they are plain already.

    No metadata is kept, nor anything behind the picture: neither where a photo was taken nor a second file.
    `notes` are (code, message) pairs about what was changed; `small` is a thumbnail of about 160 px width.
    """

    data: bytes
    suffix: str
    width_px: int
    height_px: int
    small: Pixels
    notes: tuple[tuple[str, str], ...] = ()


def decode(data: bytes) -> Pixels:
    """Pixels of a stored image (one that `make_plain` has seen)."""
    if simplejpeg.is_jpeg(data):
        try:
            return _as_pixels(simplejpeg.decode_jpeg(data, colorspace="RGB"))
        except ValueError:
            # libjpeg warned of something that Pillow reads over; ingest has reported it.
            pass
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as image:
        return _as_pixels(np.asarray(image.convert("RGB")))


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels), quality=quality, colorspace="RGB", colorsubsampling="420"
        )
    )


def make_plain(data: bytes) -> PlainImage:
    """Check an image by decoding all of it, and bring it to plain 8-bit RGB.

    Raises:
        ImageRejected: not a JPEG or PNG, cut off, animated, too large, or of more than 8 bits.
    """
    if not data:
        raise ImageRejected("not-an-image", "The file is empty.", "Export the image again.")
    parts = parts_of(data)
    try:
        with Image.open(io.BytesIO(parts.to_read if parts else data), formats=["JPEG", "PNG"]) as image:
            _refuse_unusable(image)
            plain = _make_plain(image, parts)
    except UnidentifiedImageError:
        raise _no_image(data) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("far too many pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageRejected(
            "truncated-image",
            f"The image cannot be decoded: {error}.",
            "Export or copy it again; it is cut off or damaged.",
        ) from None
    return replace(plain, notes=(*plain.notes, *_behind(parts)))


def refuse_size(width_px: int, height_px: int) -> None:
    """Raises ImageRejected for an image, as displayed, that no detector could learn from."""
    if min(width_px, height_px) < MIN_SIDE_PX:
        raise ImageRejected(
            "image-too-small",
            f"The image has {width_px} x {height_px} pixels; the least is {MIN_SIDE_PX} on a side.",
            "Leave it out, or use the image it was cut from.",
        )
    if max(width_px, height_px) > MAX_ASPECT * min(width_px, height_px):
        raise ImageRejected(
            "aspect",
            f"One side of the image ({width_px} x {height_px}) is more than {MAX_ASPECT} times the other.",
            "Cut it into frames, and its boxes with it.",
        )


def too_many_bytes(size_bytes: int) -> ImageRejected:
    return ImageRejected(
        "image-too-large",
        f"The image file has {size_bytes:,} bytes; the limit is {MAX_FILE_BYTES:,}.",
        "Save it as JPEG, or reduce it, and its boxes with it.",
    )


def shrink(pixels: Pixels, width_px: int = SMALL_WIDTH_PX) -> Pixels:
    """A reduced copy by taking every n-th pixel of a box-filtered image; never larger than the source."""
    image = Image.fromarray(pixels)
    factor = max(1, image.width // width_px)
    return _as_pixels(np.asarray(image.reduce(factor)))


def _refuse_unusable(image: Image.Image) -> None:
    if getattr(image, "n_frames", 1) > 1:
        raise ImageRejected("animated-image", "The image has several frames.", "Export one frame of it.")
    if image.mode in DEEP_MODES or image.info.get("bitdepth") == 16 or _is_deep_png(image):
        raise ImageRejected(
            "bit-depth",
            "The image has more than 8 bits a channel.",
            "Convert it to 8 bits yourself: how to scale it is your choice.",
        )
    width_px, height_px = image.size
    if width_px * height_px > MAX_PIXELS or max(width_px, height_px) > MAX_SIDE_PX:
        raise _too_large(f"{width_px} x {height_px} pixels")


def _is_deep_png(image: Image.Image) -> bool:
    """Pillow opens 16-bit RGB PNGs as plain RGB, cutting each value: the raw mode tells."""
    tiles = getattr(image, "tile", ())
    return image.format == "PNG" and any("16" in str(tile[3]) for tile in tiles)


def _make_plain(image: Image.Image, parts: Parts | None) -> PlainImage:
    suffix = SUFFIXES[str(image.format)]
    is_turned = _orientation(image) in range(2, 9)
    # What is not plain, or too broken to take apart, is stored as its pixels, encoded anew.
    if image.mode == "RGB" and not is_turned and "transparency" not in image.info and parts:
        return _keep(image, parts.to_store, suffix)
    return _convert(image, suffix, is_turned)


def _behind(parts: Parts | None) -> tuple[tuple[str, str], ...]:
    if parts is None or not parts.behind:
        return ()
    what = f"{parts.behind:,} bytes behind the picture"
    return (("trailing-data", f"{what} (a second picture, a video, an archive) are left out."),)


def _no_image(data: bytes) -> ImageRejected:
    cure = "Convert it to JPEG or PNG."
    if name := other_format(data):
        return ImageRejected("unsupported-format", f"The image is a {name}; JPEG and PNG are read.", cure)
    return ImageRejected("not-an-image", "The file is neither a JPEG nor a PNG image.", cure)


def _orientation(image: Image.Image) -> object:
    """What the EXIF says, if anything; EXIF that cannot be read is no fault of the pixels."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError):
        return None


def _keep(image: Image.Image, data: bytes, suffix: str) -> PlainImage:
    notes: tuple[tuple[str, str], ...] = ()
    if suffix == ".jpg":
        try:
            pixels = _as_pixels(simplejpeg.decode_jpeg(data, colorspace="RGB"))
        except ValueError as error:
            image.load()  # raises when it is cut off; a lesser fault is only reported
            pixels = _as_pixels(np.asarray(image))
            notes = (("image-damaged", f"The image decodes, but not cleanly ({error})."),)
    else:
        pixels = _as_pixels(np.asarray(image))
    return PlainImage(data, suffix, image.width, image.height, shrink(pixels), notes)


def _convert(image: Image.Image, suffix: str, is_turned: bool) -> PlainImage:
    notes: list[tuple[str, str]] = []
    if image.mode != "RGB" or "transparency" in image.info:
        code = "converted-cmyk" if image.mode == "CMYK" else "converted-to-rgb"
        notes.append((code, f"The image was of mode {image.mode}; it is stored as 8-bit RGB."))
    if is_turned:
        notes.append(
            (
                "orientation-applied",
                "The EXIF orientation was applied; boxes are taken to fit the image as displayed.",
            )
        )
    turned = ImageOps.exif_transpose(image) if is_turned else image
    pixels = _as_pixels(np.asarray(_on_black(turned)))
    plain = PlainImage(b"", suffix, pixels.shape[1], pixels.shape[0], shrink(pixels), tuple(notes))
    if suffix == ".jpg":
        return replace(plain, data=encode_jpeg(pixels, REENCODED_QUALITY))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return replace(plain, data=buffer.getvalue())


def _on_black(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return _from_ink(image) if image.mode == "CMYK" else image.convert("RGB")


def _from_ink(image: Image.Image) -> Image.Image:
    """By the file's own profile, as printers see it, where it has one that can be read."""
    if profile := image.info.get("icc_profile"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            screen = ImageCms.createProfile("sRGB")
            if converted := ImageCms.profileToProfile(image, source, screen, outputMode="RGB"):
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")


def _too_large(what: str) -> ImageRejected:
    return ImageRejected(
        "image-too-large",
        f"The image has {what}; the limit is {MAX_PIXELS:,} pixels and {MAX_SIDE_PX:,} on a side.",
        "Reduce it, and its boxes with it.",
    )


def _as_pixels(array: NDArray[np.generic]) -> Pixels:
    return np.asarray(array, dtype=np.uint8)

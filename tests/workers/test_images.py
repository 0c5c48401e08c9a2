"""Whatever is uploaded is stored as plain 8-bit RGB that decodes, or refused with a reason."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workers.images import MAX_SIDE_PX, ImageRejected, Pixels, decode, encode_jpeg, make_plain, shrink

REAL = Path(__file__).parents[3] / "shared" / "data"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6  # PNG's colour types
CHANNELS = {GREY: 1, RGB: 3, GREY_ALPHA: 2, RGB_ALPHA: 4}
ORIENTATION = 274
# What a viewer does with each EXIF orientation.
AS_DISPLAYED = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png_header(width: int, height: int, bits: int = 8, colour: int = RGB) -> bytes:
    return PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def hand_made_png(width: int, height: int, bits: int, colour: int, extra: bytes = b"") -> bytes:
    row = b"\0" + bytes(value % 256 for value in range(width * CHANNELS[colour] * bits // 8))
    pixels = chunk(b"IDAT", zlib.compress(row * height))
    return png_header(width, height, bits, colour) + extra + pixels + chunk(b"IEND", b"")


def opened(data: bytes) -> Pixels:
    """The pixels as Pillow reads them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def difference(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


def noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def codes(plain: Any) -> list[str]:
    return [code for code, _ in plain.notes]


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return exif


@pytest.mark.parametrize(
    ("form", "options", "suffix"),
    [
        ("JPEG", {"quality": 50}, ".jpg"),
        ("JPEG", {"progressive": True}, ".jpg"),
        ("JPEG", {"subsampling": 0, "optimize": True}, ".jpg"),
        ("PNG", {}, ".png"),
        ("PNG", {"compress_level": 0}, ".png"),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (37, 23)])
def test_a_plain_image_keeps_its_own_bytes(
    kit: Any, form: str, options: dict[str, Any], suffix: str, size: tuple[int, int]
) -> None:
    data = kit.encoded(kit.smooth_pixels(*size), form, **options)
    plain = make_plain(data)
    assert plain.data == data
    assert (plain.suffix, plain.width_px, plain.height_px, plain.notes) == (suffix, *size, ())
    assert np.array_equal(plain.small, opened(data))


@pytest.mark.parametrize(
    ("form", "extras"),
    [
        ("JPEG", {"comment": b"hello", "exif": oriented(1), "icc_profile": b"x" * 70_000}),
        ("PNG", {"dpi": (72, 72), "exif": oriented(1), "icc_profile": b"x" * 50}),
    ],
)
def test_metadata_is_left_away_and_the_compressed_pixels_stay_as_they_are(
    kit: Any, form: str, extras: dict[str, Any]
) -> None:
    pixels = kit.smooth_pixels(37, 23)
    bare = kit.encoded(pixels, form)
    plain = make_plain(kit.encoded(pixels, form, **extras))
    assert plain.data == bare
    assert plain.notes == ()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_what_lies_behind_a_picture_is_left_away_with_a_note(kit: Any, form: str) -> None:
    bare = kit.picture(form=form)
    plain = make_plain(bare + kit.zipped({"evil.sh": "rm"}))
    assert plain.data == bare
    assert codes(plain) == ["trailing-data"]


@pytest.mark.parametrize("orientation", sorted(AS_DISPLAYED))
@pytest.mark.parametrize(("form", "most"), [("PNG", 0.0), ("JPEG", 2.0)])
def test_exif_orientation_is_applied_to_size_and_pixels(
    kit: Any, form: str, most: float, orientation: int
) -> None:
    pixels = kit.smooth_pixels(40, 24)
    data = kit.encoded(
        pixels, form, exif=oriented(orientation), **({"quality": 98} if form == "JPEG" else {})
    )
    plain = make_plain(data)
    expected = AS_DISPLAYED[orientation](pixels)
    stored = decode(plain.data)
    assert (plain.height_px, plain.width_px) == stored.shape[:2] == expected.shape[:2]
    assert difference(stored, expected) <= most
    assert codes(plain) == ["orientation-applied"]
    with Image.open(io.BytesIO(plain.data)) as image:
        assert ORIENTATION not in image.getexif(), "a viewer would turn it once more"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0neither of the two byte orders",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0",  # orientation 9
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0",
    ],
)
def test_exif_that_makes_no_sense_changes_nothing(kit: Any, form: str, exif: bytes) -> None:
    plain = make_plain(kit.encoded(kit.smooth_pixels(16, 8), form, exif=exif))
    assert plain.data == kit.encoded(kit.smooth_pixels(16, 8), form)
    assert plain.notes == ()


@pytest.mark.parametrize(
    ("mode", "form", "code"),
    [
        ("1", "PNG", "converted-to-rgb"),
        ("L", "PNG", "converted-to-rgb"),
        ("L", "JPEG", "converted-to-rgb"),
        ("P", "PNG", "converted-to-rgb"),
        ("LA", "PNG", "converted-to-rgb"),
        ("RGBA", "PNG", "converted-to-rgb"),
        ("CMYK", "JPEG", "converted-cmyk"),
    ],
)
def test_every_other_mode_becomes_rgb_and_is_noted(kit: Any, mode: str, form: str, code: str) -> None:
    source = Image.fromarray(kit.smooth_pixels(40, 24)).convert(mode)
    plain = make_plain(kit.encoded(source, form))
    assert codes(plain) == [code]
    assert mode in plain.notes[0][1]
    assert plain.suffix == (".png" if form == "PNG" else ".jpg")
    with Image.open(io.BytesIO(plain.data)) as stored:
        assert (stored.mode, stored.format, stored.size) == ("RGB", form, (40, 24))
        assert "transparency" not in stored.info
    assert difference(decode(plain.data), np.asarray(source.convert("RGB"))) <= (0 if form == "PNG" else 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_black(kit: Any, mode: str) -> None:
    image = Image.new(mode, (3, 1))
    for x, alpha in enumerate((255, 51, 0)):
        image.putpixel((x, 0), (200, 100, 50, alpha) if mode == "RGBA" else (200, alpha))
    stored = decode(make_plain(kit.encoded(image, "PNG")).data)
    opaque = [200, 100, 50] if mode == "RGBA" else [200, 200, 200]
    expected = [[opaque, [value // 5 for value in opaque], [0, 0, 0]]]
    assert np.array_equal(stored, expected)


@pytest.mark.parametrize(
    ("colour", "transparent", "first"),
    [(RGB, struct.pack(">HHH", 0, 1, 2), [0, 0, 0]), (GREY, struct.pack(">H", 1), [0, 0, 0])],
)
def test_a_colour_declared_transparent_becomes_black(
    colour: int, transparent: bytes, first: list[int]
) -> None:
    plain = make_plain(hand_made_png(4, 2, 8, colour, chunk(b"tRNS", transparent)))
    stored = decode(plain.data)
    assert codes(plain) == ["converted-to-rgb"]
    assert stored[0, 0].tolist() == first
    second = [3, 4, 5] if colour == RGB else [0, 0, 0]  # of the greys it is the second value, 1, that is
    assert stored[0, 1].tolist() == second


def test_a_palette_with_transparency_and_orientation_gets_both_notes(kit: Any) -> None:
    palette = Image.fromarray(kit.smooth_pixels(40, 24)).quantize(16)
    plain = make_plain(kit.encoded(palette, "PNG", transparency=0, exif=oriented(6)))
    assert codes(plain) == ["converted-to-rgb", "orientation-applied"]
    assert (plain.width_px, plain.height_px) == (24, 40)


@pytest.mark.parametrize("colour", list(CHANNELS))
def test_sixteen_bits_a_channel_are_refused(colour: int) -> None:
    assert make_plain(hand_made_png(4, 3, 8, colour)).width_px == 4
    with pytest.raises(ImageRejected) as refusal:
        make_plain(hand_made_png(4, 3, 16, colour))
    assert refusal.value.code == "bit-depth"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("width", "height"),
    [(60_000, 60_000), (MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (10_000, 5_001), (9_000, 10_000)],
)
def test_a_header_that_claims_too_much_is_refused_before_decoding(width: int, height: int) -> None:
    little = chunk(b"IDAT", zlib.compress(bytes(100)))
    with pytest.raises(ImageRejected, match="limit is 50,000,000") as refusal:
        make_plain(png_header(width, height) + little + chunk(b"IEND", b""))
    assert refusal.value.code == "image-too-large"


def test_the_longest_side_is_still_taken() -> None:
    assert make_plain(hand_made_png(MAX_SIDE_PX, 1, 8, RGB)).width_px == MAX_SIDE_PX


def test_an_animation_is_refused(kit: Any) -> None:
    first = Image.fromarray(kit.smooth_pixels(40, 24))
    with pytest.raises(ImageRejected) as refusal:
        make_plain(kit.encoded(first, "PNG", save_all=True, append_images=[first.rotate(180)]))
    assert refusal.value.code == "animated-image"


def test_of_a_phones_picture_with_a_second_one_behind_it_the_first_is_kept(kit: Any) -> None:
    first = Image.fromarray(kit.smooth_pixels(40, 24))
    plain = make_plain(kit.encoded(first, "MPO", save_all=True, append_images=[first.rotate(180)]))
    assert plain.data == kit.encoded(first)
    assert codes(plain) == ["trailing-data"]


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_image_formats_are_refused_with_the_cure(kit: Any, form: str) -> None:
    with pytest.raises(ImageRejected) as refusal:
        make_plain(kit.encoded(kit.smooth_pixels(40, 24), form))
    assert refusal.value.code == "unsupported-format"
    assert "Convert it" in refusal.value.cure


@pytest.mark.parametrize(
    "data", [b"", b"dear reader, this is no picture\n" * 50, b"\xff\xd8\xff", PNG_SIGNATURE, bytes(4096)]
)
def test_what_is_no_image_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(ImageRejected) as refusal:
        make_plain(data)
    assert refusal.value.code in ("not-an-image", "truncated-image")
    assert refusal.value.message.endswith(".")
    assert refusal.value.cure


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": oriented(6)}])
def test_a_jpeg_cut_off_anywhere_is_refused(kit: Any, options: dict[str, Any]) -> None:
    data = kit.encoded(kit.smooth_pixels(40, 24), **options)
    passed = []
    for cut in range(len(data)):
        try:
            make_plain(data[:cut])
        except ImageRejected as refusal:
            assert refusal.code in ("not-an-image", "truncated-image")  # noqa: PT017 - hundreds of cuts
        else:
            passed.append(cut)
    assert passed == []


@pytest.mark.parametrize("cut", [10, 100, 700, 12_000, 25_000, -200, -2, -1])
def test_a_larger_jpeg_that_is_cut_off_is_called_truncated(kit: Any, cut: int) -> None:
    with pytest.raises(ImageRejected) as refusal:
        make_plain(kit.encoded(noise(320, 240), quality=80)[:cut])
    assert refusal.value.code == "truncated-image"


def test_a_png_cut_off_before_its_last_pixel_is_refused(kit: Any) -> None:
    pixels = noise(40, 24)
    data = kit.encoded(pixels, "PNG")
    passed = []
    for cut in range(len(data)):
        try:
            plain = make_plain(data[:cut])
        except ImageRejected:
            continue
        passed.append(cut)
        assert np.array_equal(decode(plain.data), pixels)
    assert all(cut > len(data) - 24 for cut in passed), "only the end mark and a checksum may be missing"


@pytest.mark.parametrize("place", range(700, 12_000, 900))
def test_a_slightly_damaged_jpeg_is_kept_with_a_note(kit: Any, place: int) -> None:
    data = bytearray(kit.encoded(noise(200, 160), quality=80))
    data[place : place + 8] = b"\xff\xd7" * 4  # a restart mark where none belongs
    plain = make_plain(bytes(data))
    assert codes(plain) == ["image-damaged"]
    assert plain.data == data
    assert decode(plain.data).shape == (160, 200, 3)
    assert plain.small.shape == (160, 200, 3)


@pytest.fixture(scope="session")
def seeds(kit: Any) -> list[bytes]:
    """Files to damage: baseline, progressive and turned JPEGs, a plain PNG and one with every extra."""
    pixels = kit.smooth_pixels(40, 24)
    palette = Image.fromarray(pixels).quantize(16)
    extras = {"transparency": 3, "exif": oriented(8), "dpi": (72, 72), "icc_profile": b"x" * 50}
    return [
        kit.encoded(pixels),
        kit.encoded(pixels, progressive=True),
        kit.encoded(pixels, exif=oriented(6)),
        kit.encoded(pixels, "PNG"),
        kit.encoded(palette, "PNG", **extras),
    ]


@pytest.mark.filterwarnings("ignore")  # Pillow warns of odd EXIF and of many pixels
@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, 4),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), max_size=4),
    cut=st.floats(0.5, 1),
)
def test_a_damaged_file_is_stored_decodable_or_refused_and_nothing_else(
    seeds: list[bytes], which: int, edits: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray(seeds[which])
    for place, content in edits:
        start = int(place * len(data))
        data[start : start + len(content)] = content
    try:
        plain = make_plain(bytes(data[: round(cut * len(data))]))
    except ImageRejected as refusal:
        assert refusal.code in (  # noqa: PT017 - either outcome is right
            "not-an-image", "truncated-image", "image-too-large", "animated-image", "bit-depth",
        )  # fmt: skip
        return
    assert decode(plain.data).shape == (plain.height_px, plain.width_px, 3)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_encoding_keeps_every_size_and_an_even_colour(
    width: int, height: int, colour: tuple[int, int, int]
) -> None:
    pixels = np.full((height, width, 3), colour, np.uint8)
    data = encode_jpeg(pixels, 95)
    assert int(np.abs(decode(data).astype(int) - pixels).max()) <= 5
    assert encode_jpeg(pixels.copy(), 95) == data
    assert make_plain(data).data == data, "what we write is plain ourselves"


def test_encoding_nearly_keeps_gradients(kit: Any) -> None:
    pixels = kit.smooth_pixels(161, 95)
    assert difference(decode(encode_jpeg(pixels, 95)), pixels) < 1.5


def test_pixels_that_do_not_lie_side_by_side_are_encoded_all_the_same(kit: Any) -> None:
    wide = kit.smooth_pixels(80, 24)
    assert encode_jpeg(wide[:, ::2], 95) == encode_jpeg(wide[:, ::2].copy(), 95)


def test_a_lower_quality_takes_fewer_bytes() -> None:
    assert len(encode_jpeg(noise(64, 64), 50)) < len(encode_jpeg(noise(64, 64), 95))


def test_a_stored_png_is_decoded_exactly(kit: Any) -> None:
    pixels = noise(33, 17)
    assert np.array_equal(decode(kit.encoded(pixels, "PNG")), pixels)


@pytest.mark.parametrize(
    ("size", "reduced"),
    [((640, 320), (160, 80)), ((1280, 720), (160, 90)), ((479, 12), (240, 6)), ((100, 900), (100, 900))],
)
def test_the_reduced_copy_is_about_160_px_wide_and_never_larger(
    kit: Any, size: tuple[int, int], reduced: tuple[int, int]
) -> None:
    pixels = kit.smooth_pixels(*size)
    small = shrink(pixels)
    assert (small.shape[1], small.shape[0]) == reduced
    assert abs(float(small.mean()) - float(pixels.mean())) < 1.5


def test_the_reduced_copy_is_taken_of_the_image_as_displayed(kit: Any) -> None:
    plain = make_plain(kit.encoded(kit.smooth_pixels(320, 640), "PNG", exif=oriented(6)))
    assert plain.small.shape == (80, 160, 3)


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared development data is not beside this checkout")
@pytest.mark.parametrize("folder", ["street/images/day_val", "motorway/images/day_val", "dashcam/day"])
def test_real_frames_are_kept_as_they_are(folder: str) -> None:
    for path in sorted((REAL / folder).iterdir())[:5]:
        plain = make_plain(path.read_bytes())
        assert plain.data == path.read_bytes()
        assert set(codes(plain)) <= {"image-damaged"}
        assert decode(plain.data).shape == (plain.height_px, plain.width_px, 3)

"""Thumbnails are smaller pictures of the same thing, whatever the size of the image."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageStat

from service.thumbnails.maker import MAX_HEIGHT_PX, WIDTH_PX, answer, thumbnail


def encoded(width: int, height: int, form: str = "JPEG", mode: str = "RGB") -> bytes:
    """Dark to the left, bright to the right."""
    buffer = io.BytesIO()
    picture = Image.linear_gradient("L").rotate(90).resize((width, height))
    picture.convert(mode).save(buffer, form)
    return buffer.getvalue()


@given(width=st.integers(1, 1500), height=st.integers(1, 1500), form=st.sampled_from(["JPEG", "PNG"]))
@settings(max_examples=40, deadline=None)
def test_a_thumbnail_is_never_larger_than_the_image_and_of_its_shape(
    width: int, height: int, form: str
) -> None:
    made = Image.open(io.BytesIO(thumbnail(encoded(width, height, form))))
    assert (made.format, made.mode) == ("JPEG", "RGB")
    scale = min(1, WIDTH_PX / width, MAX_HEIGHT_PX / height)
    assert abs(made.width - scale * width) <= 1
    assert abs(made.height - scale * height) <= 1
    if width <= WIDTH_PX and height <= MAX_HEIGHT_PX:
        assert made.size == (width, height)


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P")]
)
def test_it_shows_the_same(form: str, mode: str) -> None:
    image = Image.open(io.BytesIO(encoded(1280, 720, form, mode))).convert("RGB")
    made = Image.open(io.BytesIO(thumbnail(encoded(1280, 720, form, mode))))
    for left in (0.0, 0.75):
        stripes = [
            ImageStat.Stat(
                each.crop((int(left * each.width), 0, int((left + 0.25) * each.width), each.height))
            )
            for each in (image, made)
        ]
        assert stripes[0].mean == pytest.approx(stripes[1].mean, abs=3)


@pytest.mark.parametrize("data", [b"", b"no image", encoded(64, 48)[:100], encoded(64, 48, "GIF")])
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    assert answer(data).facts["refused"][0] == "unreadable-image"

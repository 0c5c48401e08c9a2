"""JSON streams: one pass, any cut, faults with a place."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets import streams
from service.errors import LabelUnreadable


class Dripping(io.BytesIO):
    """A stream that gives a few bytes at a time, as sockets do."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(5, size or 5))


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(-9, 9) | st.text(max_size=9)), max_size=4))
def test_the_pieces_that_a_stream_comes_in_do_not_matter(values: list[Any]) -> None:
    text = json.dumps({"a": values, "b": values}, ensure_ascii=False).encode("utf-8", "replace")
    found = list(streams.items(streams.pieces(Dripping(text)), "b.item", "a.item"))
    expected = json.loads(text)["a"]
    assert [item for kind, item in found if kind == 0] == expected
    assert [item for kind, item in found if kind == 1] == expected


def test_whole_numbers_stay_whole() -> None:
    source = streams.pieces(io.BytesIO(b"[1, 1.0, 1e2, true]"))
    assert [(type(item), item) for _, item in streams.items(source, "item")] == [
        (int, 1),
        (float, 1.0),
        (float, 100.0),
        (bool, True),
    ]


@pytest.mark.parametrize("odd", [b"NaN", b"-Infinity", b"1e999", b"-1.5E+400"])
@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
def test_numbers_that_json_does_not_have_are_read_as_none(odd: bytes, stream: type[io.BytesIO]) -> None:
    text = b'["' + odd + b'", ' + odd + b', 1e99, "\\"' + odd + b'", 2]'
    found = [item for _, item in streams.items(streams.pieces(stream(text)), "item")]
    name = odd.decode()
    assert found == [name, None, 1e99, f'"{name}', 2]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 33, "label-limits"),
        ('["' + "[" * 40 + '", ' + "[" * 31 + "]" * 32, None),
        ('["' + "x" * 65_536 + '"]', None),
        ('["' + "x" * 65_537 + '"]', "label-limits"),
        ("[" + "1" * 65 + "]", "label-limits"),
        ("[0." + "1" * 64 + "]", None),
        ('["' + "1" * 65 + '"]', None),
        ('{"a": 1, "b": {"a": 2}, "a": 3}', "duplicate-key"),
        ('{"a": [{"b": 1, "b": 2}]}', "duplicate-key"),
        ('{"a": [{"b": 1}, {"b": 2}], "b": "a"}', None),
    ],
)
@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
def test_json_is_bounded_before_it_is_parsed(text: str, code: str | None, stream: type[io.BytesIO]) -> None:
    def read() -> None:
        list(streams.items(streams.pieces(stream(text.encode())), "a.item", "item"))

    if code is None:
        read()
    else:
        with pytest.raises(LabelUnreadable) as caught:
            read()
        assert caught.value.code == code


@given(st.recursive(st.none() | st.text() | st.integers(-9, 9), st.lists, max_leaves=20))
def test_the_guard_passes_what_is_sound_unchanged(value: Any) -> None:
    text = json.dumps([value], ensure_ascii=False).encode("utf-8", "replace")
    assert b"".join(streams.pieces(Dripping(text))) == text


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (b"[123456789012345678901234567890]", "too large"),
        (b"[1", "ends too early"),
        (b"[1] [2]", "Mend the file"),
        (b'["\\udc00"]', "Mend the file"),
    ],
)
def test_the_cure_fits_the_fault(text: bytes, cure: str) -> None:
    with pytest.raises(LabelUnreadable) as caught:
        list(streams.items(streams.pieces(io.BytesIO(text)), "item"))
    assert cure in caught.value.cure


def test_small_texts_are_decoded_or_the_bad_byte_is_named() -> None:
    assert streams.decode_text(b"\xef\xbb\xbf0 1\n", "a.txt") == "0 1\n"
    with pytest.raises(LabelUnreadable, match=r"a\.txt, byte 2") as caught:
        streams.decode_text(b"0 \xff", "a.txt")
    assert caught.value.code == "label-encoding"

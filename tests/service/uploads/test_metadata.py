"""What a client says about an upload is understood, or refused: never cleaned up."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.uploads.metadata import DEFAULT_FILENAME, parse_metadata
from service.uploads.refusals import InvalidUpload


def encoded(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


@given(st.text(min_size=1, max_size=60).filter(str.isprintable), st.binary(min_size=32, max_size=32))
def test_a_name_and_a_digest_come_back_as_they_were_sent(name: str, digest: bytes) -> None:
    text = encoded(filename=name, filetype="application/zip", sha256=digest.hex().upper())
    metadata = parse_metadata(text)
    assert (metadata.text, metadata.filename, metadata.sha256) == (text, name, digest.hex())


@pytest.mark.parametrize("text", ["", " ", "is_confidential", "is_confidential ,relativePath bnVsbA=="])
def test_without_a_name_there_is_one_all_the_same(text: str) -> None:
    assert parse_metadata(text).filename == DEFAULT_FILENAME


@pytest.mark.parametrize(
    "text",
    [
        "filename not-base64!",
        "filename Zm9v Zm9v",
        "filename Zm9v,filename YmFy",
        "filename Zm9v,,a YmFy",
        "nämé Zm9v",
        " ,",
        encoded(filename="a\x00b"),
        encoded(filename="a\nb"),
        encoded(filename="\u202egpj.exe"),
        encoded(filename="a" * 201),
        f"filename {base64.b64encode(bytes([0xFF, 0xFE])).decode()}",
        encoded(sha256="12"),
        encoded(sha256="z" * 64),
        "a" * 5000,
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(InvalidUpload):
        parse_metadata(text)

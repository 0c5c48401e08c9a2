"""Rows B60 to B74, B23 and B115: files that are no image, and images made to hurt what decodes them."""

import io
import os
import signal
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.storage.archives import Archive
from workers.decoder_process import DecoderProcess, Decoders
from workers.images import ImageRejected

ODD = "set/images/train/a.jpg"
FOLDER = Path(__file__).parent
HOSTILE = (str(FOLDER / "hostile_decoder.py"),)
ORIENTATION, GPS = 0x0112, 0x8825


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(64 * (1 + 64 * 8))))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def blank(mode: str, width: int = 64, height: int = 48) -> Image.Image:
    return Image.new(mode, (width, height), 1 if mode in ("1", "F", "I", "I;16") else 0)


def animated(kit: Any, form: str) -> bytes:
    first = Image.fromarray(kit.smooth_pixels(64, 48))
    return kit.encoded(first, form, save_all=True, append_images=[first.rotate(90)])  # type: ignore[no-any-return]


def with_orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    exif[GPS] = {1: "N", 2: (48.0, 8.0, 0.0)}
    return exif


def with_segment(jpeg: bytes, code: int, content: bytes, times: int = 1) -> bytes:
    segment = b"\xff" + bytes([code]) + struct.pack(">H", len(content) + 2) + content
    return jpeg[:2] + segment * times + jpeg[2:]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(lambda _: b"", "not-an-image", id="B60-empty"),
        pytest.param(lambda _: b"no picture\n" * 99, "not-an-image", id="B60-text"),
        pytest.param(lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image", id="B60-svg"),
        pytest.param(lambda _: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not-an-image", id="B60-pdf"),
        pytest.param(lambda _: b"<!doctype html><script>alert(1)</script>", "not-an-image", id="B60-html"),
        pytest.param(lambda kit: kit.picture()[:600], "truncated-image", id="B61-jpeg"),
        pytest.param(lambda kit: kit.picture()[:-2], "truncated-image", id="B61-last-bytes"),
        pytest.param(lambda kit: kit.picture(form="PNG")[:150], "truncated-image", id="B61-png"),
        pytest.param(lambda kit: animated(kit, "PNG"), "animated-image", id="B63-apng"),
        pytest.param(lambda kit: animated(kit, "GIF"), "unsupported-format", id="B63-gif"),
        pytest.param(lambda kit: animated(kit, "TIFF"), "unsupported-format", id="B63-tiff"),
        pytest.param(lambda kit: animated(kit, "WEBP"), "unsupported-format", id="B63-webp"),
        pytest.param(lambda kit: kit.picture(form="BMP"), "unsupported-format", id="B63-bmp"),
        pytest.param(lambda _: png(60_000, 60_000), "image-too-large", id="B64-header"),
        pytest.param(lambda _: png(10_000, 5_001), "image-too-large", id="B64-megapixels"),
        pytest.param(lambda _: png(16_385, 64), "image-too-large", id="B64-side"),
        pytest.param(lambda kit: kit.picture(1, 1), "image-too-small", id="B65-dot"),
        # The table says 64 px; people do have cut-outs of that size, and a detector's stride is 32.
        pytest.param(lambda kit: kit.picture(31, 200), "image-too-small", id="B65-small"),
        pytest.param(lambda kit: kit.picture(400, 39), "aspect", id="B65-aspect"),
        # There is no option that scales 16 bits: how to is the user's choice, and the cure says so.
        pytest.param(lambda kit: kit.encoded(blank("I;16"), "PNG"), "bit-depth", id="B67-grey"),
        pytest.param(lambda _: png(64, 64, bits=16), "bit-depth", id="B67-rgb"),
        pytest.param(lambda kit: kit.encoded(blank("F"), "TIFF"), "unsupported-format", id="B67-float"),
        # What lies in a dataset under an image's name is looked at as an image, never loaded as a model.
        pytest.param(lambda _: b"PK\3\4" + bytes(40) + b"archive/data.pkl", "not-an-image", id="B115-pt"),
        pytest.param(lambda _: b"\x80\4\x95cos\nsystem\n(S'rm'\ntR.", "not-an-image", id="B115-pickle"),
        pytest.param(lambda _: struct.pack("<Q", 2) + b"{}", "not-an-image", id="B115-safetensors"),
    ],
)
def test_a_file_that_cannot_be_used_costs_its_own_frame(gate: Any, kit: Any, make: Any, code: str) -> None:
    done = gate.takes(kit.upload("yolo") | {ODD: make(kit)})
    assert [entry.frame.name for entry in done.entries] == ["b.png", "c.jpg"]
    [finding] = gate.findings(done)[code]
    assert (finding["path"], finding["severity"]) == (ODD, "error")
    assert finding["cure"]


@pytest.mark.parametrize(
    ("make", "code", "severity"),
    [
        pytest.param(lambda kit: kit.picture(64, 48, form="PNG"), "extension-mismatch", "warning", id="B62"),
        pytest.param(lambda kit: kit.encoded(blank("CMYK")), "converted-cmyk", "warning", id="B66"),
        pytest.param(
            lambda kit: kit.encoded(blank("CMYK"), icc_profile=b"no profile" * 99),
            "converted-cmyk",
            "warning",
            id="B66-broken-profile",
        ),
        # Nothing to look at where the picture is the same to the eye: these are notes.
        pytest.param(lambda kit: kit.encoded(blank("L")), "converted-to-rgb", "note", id="B68-grey"),
        pytest.param(
            lambda kit: kit.encoded(blank("P"), "PNG"), "converted-to-rgb", "note", id="B68-palette"
        ),
        pytest.param(
            lambda kit: kit.encoded(blank("RGBA"), "PNG"), "converted-to-rgb", "note", id="B68-alpha"
        ),
        pytest.param(lambda kit: kit.encoded(blank("1"), "PNG"), "converted-to-rgb", "note", id="B68-1-bit"),
        # Phones put a second view or a gain map behind the picture. The first is what a viewer shows.
        pytest.param(lambda kit: animated(kit, "MPO"), "trailing-data", "note", id="B63-mpo"),
        pytest.param(
            lambda kit: kit.picture(64, 48) + kit.zipped({"evil.sh": "rm -rf /"}),
            "trailing-data",
            "note",
            id="B72-zip",
        ),
        pytest.param(lambda kit: kit.picture(64, 48) + b"<script>", "trailing-data", "note", id="B72-script"),
    ],
)
def test_an_odd_image_is_stored_plain_and_noted(
    gate: Any, kit: Any, make: Any, code: str, severity: str
) -> None:
    done = gate.takes(kit.upload("yolo") | {ODD: make(kit)})
    assert len(done.entries) == 3
    [finding] = gate.findings(done)[code]
    assert (finding["path"], finding["severity"]) == (ODD, severity)
    data = done.read(done.entries[0].image)
    assert b"evil.sh" not in data
    assert b"<script>" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert getattr(image, "n_frames", 1) == 1
        assert done.entries[0].image.endswith(".png" if image.format == "PNG" else ".jpg")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda kit: with_segment(kit.picture(64, 48), 0xE1, b"http://ns" * 99, 900), id="B69-exif"
        ),
        pytest.param(
            lambda kit: with_segment(kit.picture(64, 48), 0xE2, b"ICC_PROFILE\0\1\1" + b"x" * 65_000, 99),
            id="B69-icc",
        ),
        pytest.param(lambda kit: with_segment(kit.picture(64, 48), 0xFE, b"<?php ?>" * 99), id="B69-comment"),
        pytest.param(
            lambda _: png(64, 64, extra=chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(80_000_000)))),
            id="B69-ztxt",
        ),
        pytest.param(
            lambda _: png(64, 64, extra=chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(80_000_000)))),
            id="B69-iccp",
        ),
        pytest.param(lambda _: png(64, 64, extra=chunk(b"eXIf", b"II*\0" * 2_500_000)), id="B69-10-mb"),
    ],
)
def test_metadata_is_dropped_unread_however_huge(gate: Any, kit: Any, make: Any) -> None:
    data = make(kit)
    done = gate.takes(kit.upload("yolo") | {ODD: data})
    assert set(gate.findings(done)) <= {"extension-mismatch"}
    assert len(done.read(done.entries[0].image)) < 3_000


@pytest.mark.parametrize("form", [pytest.param("JPEG", id="B23-jpeg"), pytest.param("PNG", id="B23-png")])
def test_orientation_is_applied_and_says_where_it_was_taken_to_nobody(gate: Any, kit: Any, form: str) -> None:
    pixels = kit.smooth_pixels(64, 48)
    upload = kit.upload("yolo") | {ODD: kit.encoded(pixels, form, exif=with_orientation(6))}
    done = gate.takes(upload)
    assert "orientation-applied" in gate.findings(done)
    with Image.open(io.BytesIO(done.read(done.entries[0].image))) as image:
        assert image.size == (48, 64)
        assert not image.getexif()
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown - np.rot90(pixels, -1)).mean() < 3


@pytest.mark.parametrize("orientation", [pytest.param(1, id="B23-plain"), pytest.param(0, id="B23-unknown")])
def test_exif_of_a_plain_image_is_dropped_too(gate: Any, kit: Any, orientation: int) -> None:
    pixels = kit.smooth_pixels(64, 48)
    done = gate.takes(kit.upload("yolo") | {ODD: kit.encoded(pixels, exif=with_orientation(orientation))})
    assert done.read(done.entries[0].image) == kit.encoded(pixels)


@pytest.mark.parametrize("row", [pytest.param("labels", id="B23-ambiguous")])
def test_labels_for_the_picture_before_it_was_turned_are_questioned(gate: Any, kit: Any, row: str) -> None:
    # A warning, where the table leaves the image out: the boxes may well fit, and somebody has to look.
    upload = kit.upload("coco")
    upload["train/a.jpg"] = kit.encoded(kit.smooth_pixels(48, 32), exif=with_orientation(6))
    done = gate.takes(upload)
    [finding] = gate.findings(done)["orientation-ambiguous"]
    assert (finding["path"], finding["severity"]) == ("train/a.jpg", "warning")
    assert len(done.entries) == 2


@pytest.mark.parametrize("row", [pytest.param("twins", id="B73")])
def test_equal_images_of_different_names_are_both_kept_with_their_own_labels(
    gate: Any, kit: Any, row: str
) -> None:
    # Each lies under its own name: a stored dataset is a YOLO dataset as it is, without links.
    upload = kit.upload("yolo")
    upload["set/images/val/c.jpg"] = upload[ODD]
    done = gate.takes(upload)
    first, *_, last = done.entries
    assert first.sha256 == last.sha256
    assert first.frame.boxes != last.frame.boxes
    assert done.report["findings"] == []


@pytest.mark.parametrize("row", [pytest.param("audit", id="B74")])
def test_a_night_image_in_a_day_set_is_pointed_out(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    monkeypatch.setattr("workers.stages.ingest.looks_like_night", lambda _: 1.0)
    done = gate.takes(kit.upload("bdd100k"))
    assert [finding["severity"] for finding in gate.findings(done)["not-daytime"]] == ["warning"] * 5
    assert len(done.entries) == 5


@pytest.mark.parametrize(
    "name",
    [pytest.param(f"set/best.{suffix}", id=f"B115-{suffix}") for suffix in ("pt", "pth", "pkl", "onnx")],
)
def test_a_model_in_a_dataset_is_passed_over_and_never_opened(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    opened: list[str] = []
    honest = Archive.open

    def noting(archive: Archive, member: str) -> Any:
        opened.append(member)
        return honest(archive, member)

    monkeypatch.setattr(Archive, "open", noting)
    done = gate.takes(kit.upload("yolo") | {name: b"\x80\4cposix\nsystem\n"})
    assert len(done.entries) == 3
    assert [finding["code"] for finding in done.report["findings"]] == ["ignored-file"]
    assert opened
    assert name not in opened


def many_scans(kit: Any, scans: int) -> bytes:
    """A progressive JPEG that sends one of its scans again and again: each is a pass over every pixel."""
    data: bytes = kit.encoded(np.zeros((1500, 1500, 3), np.uint8), progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


@pytest.mark.slow
@pytest.mark.parametrize("row", [pytest.param("scans", id="B70")])
def test_an_image_that_takes_too_long_is_named_and_the_others_finish(
    gate: Any, kit: Any, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    hasty = Decoders(lambda: DecoderProcess((*HOSTILE, "--seconds=1")))
    monkeypatch.setattr("workers.stages.ingest.decoders_of", lambda _: hasty)
    try:
        done = gate.takes(kit.upload("yolo") | {ODD: many_scans(kit, 10_000)})
    finally:
        hasty.close()
    assert [entry.frame.name for entry in done.entries] == ["b.png", "c.jpg"]
    [finding] = gate.findings(done)["decode-timeout"]
    assert (finding["path"], finding["severity"]) == (ODD, "error")


@pytest.fixture(scope="module")
def hostile() -> Any:
    """Decoders that do what an image tells them: as if one had taken them over."""
    decoders = Decoders(lambda: DecoderProcess(HOSTILE))
    yield decoders
    decoders.close()


def code_of(decoders: Decoders, order: str) -> str:
    with pytest.raises(ImageRejected) as refusal:
        decoders.make_plain(b"RUN " + order.encode())
    assert refusal.value.cure
    return refusal.value.code


@pytest.mark.parametrize("order", [pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", id="B71-segfault")])
def test_an_image_that_ends_its_decoder_twice_is_named_and_the_others_finish(
    gate: Any, kit: Any, hostile: Decoders, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr("workers.stages.ingest.decoders_of", lambda _: hostile)
    done = gate.takes(kit.upload("yolo") | {ODD: b"RUN " + order.encode()})
    assert [entry.frame.name for entry in done.entries] == ["b.png", "c.jpg"]
    [finding] = gate.findings(done)["decoder-crash"]
    assert (finding["path"], finding["severity"]) == (ODD, "error")
    assert "2 times" in finding["message"]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("os.close(0); time.sleep(60)", id="B71-silence"),
        pytest.param("os.write(0, bytes(24)); os._exit(1)", id="B71-nonsense"),
        pytest.param("os.write(0, b'\\xff' * 24)", id="B71-boast"),
        pytest.param("os.write(0, struct.pack('>QQQ', 2, 0, 0) + b'[]')", id="B71-no-facts"),
    ],
)
def test_a_decoder_is_not_believed(hostile: Decoders, order: str) -> None:
    assert code_of(hostile, order) == "decoder-crash"


@pytest.mark.parametrize("row", [pytest.param("memory", id="B71-memory")])
def test_an_image_that_takes_too_much_memory_is_refused_by_its_decoder(hostile: Decoders, row: str) -> None:
    assert code_of(hostile, "bytearray(2 << 30)") == "image-too-large"


@pytest.mark.parametrize("row", [pytest.param("chance", id="B71-by-chance")])
def test_one_death_is_no_evidence(kit: Any, row: str) -> None:
    """A decoder that somebody else killed: the image gets its second trial, and passes."""
    started: list[DecoderProcess] = []

    class Unlucky(DecoderProcess):
        def check(self, data: bytes) -> Any:
            if self is started[0]:
                os.kill(self.pid, signal.SIGKILL)
            return super().check(data)

    def start() -> DecoderProcess:
        started.append(Unlucky())
        return started[-1]

    decoders = Decoders(start)
    assert decoders.make_plain(kit.picture()).data == kit.picture()
    assert len(started) == 2
    decoders.close()


FORBIDDEN = {
    "socket": "import socket; socket.socket()",
    "read": "open('/etc/passwd')",
    "write": "open('/tmp/escape', 'w')",
    "parent": "open(f'/proc/{os.getppid()}/environ')",
    "fork": "os.fork()",
    "thread": "import _thread; _thread.start_new_thread(print, ())",
    "exec": "os.posix_spawn('/bin/true', ['true'], {})",
    "pipe": "os.pipe()",
    "after-closing": "os.close(1); os.close(2); open('/etc/passwd')",
    "limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "memory": "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
    "root": "os.setuid(0)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel has fewer limits")
@pytest.mark.parametrize(
    "order", [pytest.param(text, id=f"B71-no-{name}") for name, text in FORBIDDEN.items()]
)
def test_what_has_taken_a_decoder_over_can_do_nothing_with_it(hostile: Decoders, order: str) -> None:
    with pytest.raises(ImageRejected) as refusal:
        hostile.make_plain(b"TRY " + order.encode())
    assert (refusal.value.code, refusal.value.message) in (("failed", "OSError"), ("failed", "ValueError"))


@pytest.mark.parametrize("row", [pytest.param("environment", id="B71-environment")])
def test_a_decoder_knows_no_secret(monkeypatch: pytest.MonkeyPatch, row: str) -> None:
    monkeypatch.setenv("NIGHTSHIFT_S3_SECRET", "hush")
    decoder = DecoderProcess(HOSTILE)
    with pytest.raises(ImageRejected) as refusal:
        decoder.check(b"TRY raise KeyError([name for name in os.environ if name.startswith('NIGHTSHIFT')])")
    assert refusal.value.cure == "[]"
    decoder.close()

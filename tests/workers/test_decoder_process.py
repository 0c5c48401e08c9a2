"""Decoders do what `make_plain` does, elsewhere; how they withstand hostile images is in tests/bad_input."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.confined import process
from workers.decoder_process import DecoderProcess, Decoders, close_decoders, decoders_of
from workers.images import ImageRejected, make_plain


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders()
    yield made
    made.close()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_image_comes_back_as_it_would_here(kit: Any, decoders: Decoders, form: str, mode: str) -> None:
    pixels = kit.smooth_pixels(333, 222)
    data = kit.encoded(pixels if mode == "RGB" else pixels[:, :, 0], form)
    there, here = decoders.make_plain(data), make_plain(data)
    assert np.array_equal(there.small, here.small)
    assert (there.data, there.suffix, there.notes) == (here.data, here.suffix, here.notes)
    assert (there.width_px, there.height_px) == (333, 222)


def test_a_refusal_comes_back_as_it_would_here(decoders: Decoders) -> None:
    with pytest.raises(ImageRejected) as there:
        decoders.make_plain(b"no image")
    with pytest.raises(ImageRejected) as here:
        make_plain(b"no image")
    told, known = there.value, here.value
    assert (told.code, told.message, told.cure) == (known.code, known.message, known.cure)


def test_a_decoder_serves_many_images_and_then_gives_way(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_REQUESTS", 3)
    started: list[DecoderProcess] = []

    def start() -> DecoderProcess:
        started.append(DecoderProcess())
        return started[-1]

    decoders = Decoders(start)
    for _ in range(4):
        decoders.make_plain(kit.picture())
    assert [decoder.is_fit for decoder in started] == [False, True]
    decoders.close()


def test_a_decoder_that_cannot_start_is_nobodys_fault(kit: Any) -> None:
    decoders = Decoders(lambda: DecoderProcess(("-c", "raise SystemExit(3)")))
    with pytest.raises(RuntimeError, match="does not start"):
        decoders.make_plain(kit.picture())


def test_another_job_gets_other_decoders() -> None:
    one = decoders_of("job-1")
    assert decoders_of("job-1") is one
    assert decoders_of("job-2") is not one
    close_decoders()


@pytest.mark.skipif(sys.platform != "linux", reason="pidfd is Linux's")
def test_a_decoder_ends_with_the_process_that_asked_it() -> None:
    code = (
        "import time; from workers.decoder_process import DecoderProcess;"
        "decoder = DecoderProcess(); print(decoder.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        decoder = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([decoder], [], [], 30)
    os.close(decoder)
    assert ended

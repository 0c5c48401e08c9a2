"""The handle on a detector's process: Ultralytics never runs in ours.

Ultralytics writes settings, asks the network for fonts, weights and packages, and reports its use, unless it
is told not to; each thing is told here.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from models.detection.orders import Order, order_to_json
from models.errors import GeneratorError


class DetectorMissing(GeneratorError):
    """The optional package that trains detectors is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "This worker cannot train detectors: Ultralytics is not installed.",
            "Install Nightshift with its extra 'detector' (AGPL-3.0; see the README on licences).",
        )


class DetectorRefused(GeneratorError):
    """The detector's process says why it cannot carry out an order."""


class DetectorDied(Exception):
    """The process ended before its order was carried out."""

    def __init__(self, status: int, log: str) -> None:
        words = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
        reason = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}: {words}"
        super().__init__(f"the detector's process {reason}")


def check_installed() -> None:
    """Raises:
    DetectorMissing: Ultralytics is not installed.
    """
    if find_spec("ultralytics") is None:
        raise DetectorMissing


class DetectorProcess:
    """One process, with a configuration folder of its own in `room`. Use it in a `with` block.

    Raises:
        DetectorMissing: Ultralytics is not installed.
    """

    def __init__(self, room: Path, threads: int = 0) -> None:
        check_installed()
        self._log = room / "detector.log"
        self.environment = _environment(_configuration(room), threads)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "models.detection.yolo"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=room,
                env=self.environment,
            )

        assert self._process.stdin is not None  # noqa: S101 - we asked for pipes
        assert self._process.stdout is not None  # noqa: S101
        self._orders, self._events = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._orders, self._events):
            with suppress(BrokenPipeError):  # an order that nobody read
                pipe.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def carry_out(self, order: Order, last_event: str) -> Iterator[dict[str, Any]]:
        """The events of an order as they come, up to and with the one that ends it.

        Raises:
            DetectorRefused: with the reason and the cure.
            DetectorDied: it was killed, or met an error that nobody foresaw.
        """
        try:
            self._orders.write(json.dumps(order_to_json(order)).encode() + b"\n")
            self._orders.flush()
        except BrokenPipeError:
            raise self._death() from None
        for line in self._events:
            event = json.loads(line)
            if event["event"] == "refused":
                raise DetectorRefused(event["message"], event["cure"])
            yield event
            if event["event"] == last_event:
                return
        raise self._death()

    def _death(self) -> DetectorDied:
        return DetectorDied(self._process.wait(), self._log.read_text(errors="replace"))


def _configuration(room: Path) -> Path:
    """Ultralytics asks the network for a font named Arial unless one lies here."""
    import matplotlib  # noqa: PLC0415 - only for its font: no worker should wait for it at its start

    folder = room / "configuration"
    fonts = folder / "Ultralytics"
    fonts.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", fonts / "Arial.ttf")
    return folder


def _environment(configuration: Path, threads: int) -> dict[str, str]:
    """`PYTHONPATH`: the process starts in its room, and must find what we found."""
    return {
        **os.environ,
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(configuration),
        "YOLO_VERBOSE": "false",
        "MPLCONFIGDIR": str(configuration),
        # it would set one thread itself, at import
        "OMP_NUM_THREADS": str(threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry),
    }

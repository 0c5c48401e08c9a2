"""Measure real night frames as the bundled reference: folders in, `street_night*.safetensors` out.

    python -m models.metrics.measure_reference --night DIR... --without FILE --name TEXT --out DIR

First the pristine model of NIQE is fitted to the frames, then each is measured, by that model too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.metrics.frame import Image
from models.metrics.measurements import Measurements
from models.metrics.meter import FrameMeter
from models.metrics.niqe import NiqeModel
from models.metrics.reference import FRAMES, PRISTINE
from models.metrics.train_streetnet import read_frames
from models.metrics.working_size import luma


def measure_reference(frames: Sequence[Image], name: str) -> tuple[Measurements, NiqeModel]:
    """Args:
    frames: RGB, uint8, (H, W, 3), at their working size.
    """
    niqe = NiqeModel.fit(luma(frame) for frame in frames)
    meter = FrameMeter(niqe=niqe)
    measurements = Measurements(meter.yardstick, name)
    for number, frame in enumerate(frames):
        measurements.add(number, meter.measure(frame))
    return measurements, niqe


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure real night frames as the bundled reference.")
    parser.add_argument("--night", nargs="+", type=Path, required=True)
    parser.add_argument("--without", type=Path, help="a file of image names to leave out, one a line")
    parser.add_argument("--name", required=True, help="what reports call the reference")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    without = frozenset(given.without.read_text().split() if given.without else ())
    measurements, niqe = measure_reference(read_frames(given.night, without), given.name)
    (given.out / FRAMES.name).write_bytes(measurements.to_bytes())
    (given.out / PRISTINE.name).write_bytes(niqe.to_bytes())


if __name__ == "__main__":
    main()

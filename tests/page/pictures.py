"""The page's pictures in the README: `make pictures`. Made of what the tests of the page leave to look at."""

from pathlib import Path

from PIL import Image

from tests.page.conftest import SCREENSHOTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
# By the name of the screenshot: the name in docs, and how much of the page is shown, from the top.
SHOWN = {
    "result": ("page-result.png", 1000),
    "dataset": ("page-dataset.png", 900),
    "translation-preview": ("page-preview.png", 2200),
    "job-running": ("page-job.png", 860),
    "experiment-done": ("page-experiment.png", 1120),
}
WIDTH_PX, MOST_COLOURS = 960, 128


def main() -> None:
    for name, (shown_as, height_px) in SHOWN.items():
        with Image.open(SCREENSHOTS / f"{name}.png") as shot:
            top = shot.convert("RGB").crop((0, 0, shot.width, min(height_px, shot.height)))
        height = round(top.height * WIDTH_PX / top.width)
        small = top.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        small.quantize(MOST_COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(DOCS / shown_as, optimize=True)


if __name__ == "__main__":
    main()

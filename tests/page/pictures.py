"""The page's pictures in the README: `make pictures`. Made of what the tests of the page leave to look at."""

from pathlib import Path

from PIL import Image

from tests.page.conftest import SCREENSHOTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
# By the name of the screenshot: the name in docs, and from where to where it is shown.
SHOWN = {
    "result": ("page-result.jpg", 0, 1100),
    "dataset": ("page-dataset.jpg", 0, 900),
    "translation-preview": ("page-preview.jpg", 1030, 1930),
    "job-running": ("page-job.jpg", 0, 640),
    "frame": ("page-frame.jpg", 0, 900),
}
WIDTH_PX, QUALITY = 960, 85


def main() -> None:
    for name, (shown_as, top_px, bottom_px) in SHOWN.items():
        with Image.open(SCREENSHOTS / f"{name}.png") as shot:
            part = shot.convert("RGB").crop((0, top_px, shot.width, min(bottom_px, shot.height)))
        height_px = round(part.height * WIDTH_PX / part.width)
        small = part.resize((WIDTH_PX, height_px), Image.Resampling.LANCZOS)
        small.save(DOCS / shown_as, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()

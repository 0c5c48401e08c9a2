"""How a chart is drawn: its style and colours, and a figure as SVG to be put into a page.

Colours are CSS variables, so that one drawing suits a light and a dark page (`page.html` sets them; a page
without them shows the values here). Text stays text in the font of the page.
"""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from service.experiments.wording import printable

# Slate, blue, orange, green, pink, gold, sky, wine: told apart with every common colour blindness, and 3:1 or
# more against the page. The first is the quietest, as the first arm is the one that others are compared with.
LIGHT = ("#6b7280", "#0072b2", "#d55e00", "#008f68", "#c2508f", "#9a7400", "#3d93cf", "#8a2252")
DARK = ("#a3abb8", "#4aa8e6", "#ff8b47", "#2fc79c", "#ea8fc4", "#e3b431", "#9bd3f7", "#dd6a98")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # a ninth arm is drawn in dashes

WIDTH_PX = 440
LABEL_LETTERS = 40
# Told apart from every other colour, so that they can be replaced by variables in the finished drawing.
INK, _GRID, HEAT = "#4b5564", "#c9ced6", "#2f6fb3"
_VARIABLES = {"ink": INK, "grid": _GRID, "heat": HEAT} | {
    f"arm-{n}": colour for n, colour in enumerate(LIGHT)
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nightshift",
    "text.parse_math": False,  # a dollar in somebody's category is no formula
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": _GRID,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def colour_of(arm: int) -> str:
    return LIGHT[arm % len(LIGHT)]


def dash_of(arm: int) -> Any:
    return DASHES[arm // len(LIGHT) % len(DASHES)]


def shortened(name: str, letters: int = LABEL_LETTERS) -> str:
    name = printable(name).replace("\n", " ")
    return name if len(name) <= letters else f"{name[: letters - 1]}…"


def as_svg(
    title: str, height_px: float, draw: Callable[[Axes], None], left_px: float = 10, bottom_px: float = 42
) -> str:
    """Margins are given, as measuring every text takes longer than to draw it."""
    buffer = io.StringIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the measuring font lacks: the reader's browser has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(WIDTH_PX / 72, height_px / 72))
        right_px, top_px = 14, 6
        width, height = WIDTH_PX - left_px - right_px, height_px - bottom_px - top_px
        inside = (left_px / WIDTH_PX, bottom_px / height_px, width / WIDTH_PX, height / height_px)
        draw(figure.add_axes(inside))
        canvas: Any = FigureCanvasSVG(figure)  # `print_svg` is not typed; `savefig` would draw twice
        canvas.print_svg(buffer, metadata={"Date": None})
    return _for_a_page(buffer.getvalue(), title)


def _for_a_page(svg: str, title: str) -> str:
    """Without what belongs to a file of its own: prologue, metadata, namespaces, a style for everything."""
    head, body = svg[svg.index("<svg") :].split(">", 1)
    size = " ".join(re.findall(r'viewBox="[^"]*"', head))
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<[^>]*>", _tag_for_a_page, body)
    return f'<svg class="chart" role="img" aria-label="{escape(printable(title))}" {size}>{body}'


def _tag_for_a_page(tag: re.Match[str]) -> str:
    """Colours by name, the page's font, and no id of a group: those would be the same in every chart."""
    text = re.sub(r'^<g id="[^"]*"', "<g", tag[0])
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    for name, colour in _VARIABLES.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    return text

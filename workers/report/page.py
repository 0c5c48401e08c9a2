"""The report as one HTML file: no other host, no script; for light and dark screens and for a phone."""

import re
from base64 import b64encode
from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from models.detection.confusion import LEAST_CONFIDENCE
from models.detection.groups import BRIGHTNESSES, SIZES
from service.experiments.wording import (
    counted,
    percent,
    point_range,
    points,
    printable,
    share,
    size_of_test,
    with_spread,
)
from workers.report import charts
from workers.report.drawing import DARK, LIGHT
from workers.report.verdict import (
    Outcome,
    difference_of,
    gap_of,
    main_contest,
    outcome_of,
    overlapping_frames,
    what_it_takes,
)

# Few units make few different resamples.
FEW_UNITS = 30


def render_page(report: Mapping[str, Any], montages: Mapping[str, bytes]) -> str:
    """
    Args:
        montages: JPEG by name of the frame, for those of `report["frames"]` that shall be shown.
    """
    contest = main_contest(report)
    template = _template_environment().get_template("page.html")
    return template.render(
        report=report,
        outcome=contest.outcome if contest else Outcome.NOTHING_COMPARED,
        charts=_charts(report),
        confusions=_confusions(report),
        losses=_as_drawn(charts.loss_charts(report)),
        pictures={name: b64encode(jpeg).decode() for name, jpeg in montages.items()},
        light=LIGHT,
        dark=DARK,
        few_units=FEW_UNITS,
        **_limits(),
    )


def _limits() -> dict[str, str]:
    """Where the groups of boxes begin and end, as the page tells it."""
    return {
        "small_px": f"{sqrt(SIZES['small'][1]):g}",
        "large_px": f"{sqrt(SIZES['large'][0]):g}",
        "dark_below": f"{BRIGHTNESSES['dark'][1]:g}",
        "bright_from": f"{BRIGHTNESSES['bright'][0]:g}",
        "least_confidence": f"{LEAST_CONFIDENCE:g}",
    }


def _template_environment() -> Environment:
    """All text is escaped: names of frames and categories come from strangers."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters.update(
        percent=percent,
        points=points,
        point_range=point_range,
        share=share,
        spread=with_spread,
        duration=duration,
        outcome=outcome_of,
        counted=counted,
        breakable=breakable,
    )
    environment.globals.update(
        difference_of=difference_of,
        gap_of=gap_of,
        overlapping_frames=overlapping_frames,
        size_of_test=size_of_test,
        what_it_takes=what_it_takes,
        generator_of=generator_of,
        selection_text=selection_text,
    )
    return environment


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def _charts(report: Mapping[str, Any]) -> dict[str, Markup]:
    return _as_drawn(
        {
            "arms": charts.arms_chart(report),
            "differences": charts.differences_chart(report),
            "categories": charts.categories_chart(report),
            "sizes": charts.sizes_chart(report),
            "brightness": charts.brightness_chart(report),
            "curves": charts.curves_chart(report),
            "training": charts.training_chart(report),
        }
    )


def _confusions(report: Mapping[str, Any]) -> dict[str, Markup]:
    return _as_drawn({arm["name"]: charts.confusion_chart(report, arm) for arm in report["arms"]})


def _as_drawn(drawings: Mapping[str, str]) -> dict[str, Markup]:
    """Names inside a chart were escaped when it was drawn."""
    return {name: Markup(svg) for name, svg in drawings.items() if svg}  # noqa: S704  # nosec B704


def breakable(name: str) -> Markup:
    """A name that may go on in the next line after each of its joints."""
    return Markup("<wbr>").join(re.split(r"(?<=[-+:,/_])", printable(name)))


def duration(seconds: float | None) -> str:
    """4325.2 -> 1 h 12 min"""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def generator_of(card: Mapping[str, Any] | None) -> str | None:
    """What made a dataset, as `name:version`; None if a camera did."""
    generator = (card or {}).get("generator")
    if not generator:
        return None
    if isinstance(generator, str):
        return generator
    return f"{generator['name']}:{generator['version']}"


def selection_text(selection: Mapping[str, Any]) -> str:
    """As it is typed: split=test timeofday=night"""
    return " ".join(f"{key}={','.join(map(str, values))}" for key, values in sorted(selection.items()))

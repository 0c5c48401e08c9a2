"""What the command prints for people."""

import io
from typing import Any

import pytest
from rich.console import Console

from service.api.views import GeneratorView
from service.catalogue import BUNDLED
from service.client import output
from service.client.output import print_card, print_quality


def printed(show: Any, *values: Any) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show(*values, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def quality(**changes: Any) -> dict[str, Any]:
    none = {"value": None, "reason": "no reference was given"}
    figures = (
        "kid",
        "fid",
        "niqe",
        "share_night",
        "gradient_similarity_inside",
        "gradient_similarity_outside",
    )
    spread = {"median": 50.0, "p5": 2.0, "p95": 200.0, "shares": [], "bin_levels": 4}
    return {
        **dict.fromkeys(figures, none),
        "frames": 7, "backbone": "streetnet", "reference": "nights [real]", "reference_frames": 9,
        "brightness": spread, "noise": {**spread, "median": None},
        **changes,
    }  # fmt: skip


HOSTILE = "[red]a[/red]\x1b[2J\n\r\x07\u202eexe.gpj\x9b31m\u200b"


def test_names_of_strangers_neither_colour_nor_move_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = {
        "severity": "warning",
        "code": "illegal-name",
        "path": HOSTILE,
        "pointer": HOSTILE,
        "message": HOSTILE,
        "cure": "",
    }
    monkeypatch.setattr(output.out, "_width", 400)  # the property would leave its answer behind
    output.print_report({"totals": {HOSTILE: 1}, "findings": [finding]})
    output.print_table(["name"], [[HOSTILE]])
    text = capsys.readouterr().out
    assert text.count("[red]a[/red]\\x1b[2J") == 5
    assert all(each.isprintable() for each in text.replace("\n", ""))
    assert output.one_line(HOSTILE).isprintable()


def test_quality_says_each_figure_what_it_means_and_why_one_is_missing() -> None:
    text = printed(print_quality, quality(kid={"value": 1.23456, "standard_error": 0.1}))
    assert "7 frames, compared with 9 of nights [real]; features of streetnet" in text
    assert "1.235 ± 0.1" in text
    assert "none: no reference was given" in text
    assert "50.0  (2.0 to 200.0)" in text
    assert "\nnoise" not in text


def test_a_card_shows_every_set_of_figures_in_one_table() -> None:
    figures = {"unseen": {"street": {"source": {"frames": 3, "kid": 9.0}, "translated": {"frames": 3}}}}
    card = {**BUNDLED[0].to_json(), "reference": "mine:2", "quality": {"measured_on": "today", **figures}}
    text = printed(print_card, GeneratorView(**{**card, "licence": "MIT [sic]", "weights_sha256": "ab" * 32}))
    assert "mine:2" in text
    assert "MIT [sic]" in text
    assert "sha256 abab" in text
    assert "unseen, street, source" in text
    assert "unseen, street, translated" in text

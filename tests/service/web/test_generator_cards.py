"""What the page shows of generators, and what its form of an import says."""

from typing import Any

import pytest

from service.api.generators import NewGenerator
from service.api.views import GeneratorView
from service.catalogue import BUNDLED, GeneratorCard
from service.errors import InvalidRequest
from service.web.assets import files
from service.web.generators.form import ImportForm, option
from service.web.generators.quality import quality_of
from service.web.generators.sheets import bundled_sheet


def view(card: GeneratorCard, **changes: Any) -> GeneratorView:
    return GeneratorView(**{**card.to_json(), "reference": card.reference, **changes})


@pytest.mark.parametrize("card", BUNDLED, ids=lambda card: card.name)
def test_every_bundled_generator_has_a_small_picture(card: GeneratorCard) -> None:
    picture = files()[f"generators/{card.name}.webp"]
    assert picture.stat().st_size < 60_000
    assert picture.read_bytes()[8:12] == b"WEBP"
    assert bundled_sheet(view(card)) is not None
    assert bundled_sheet(view(card, is_bundled=False)) is None


@pytest.mark.parametrize("card", BUNDLED, ids=lambda card: card.name)
def test_every_bundled_generator_but_the_one_that_does_nothing_has_figures(card: GeneratorCard) -> None:
    tables = quality_of(view(card))
    assert bool(tables) is (card.name != "identity")
    for table in tables:
        assert table.frames > 0
        assert "This generator" in dict(table.rows)
        assert all(len(figures) == len(table.columns) for _, figures in table.rows)


@pytest.mark.parametrize("quality", [{}, {"unseen": None}, {"unseen": {"a": "b"}}, {"unseen": {"a": {}}}])
def test_figures_worded_otherwise_are_left_out(quality: dict[str, Any]) -> None:
    assert all(table.rows == [] for table in quality_of(view(BUNDLED[1], quality=quality)))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("align_corners=true", ("align_corners", True)),
        ("a = False", ("a", False)),
        ("blocks=9", ("blocks", 9)),
        ("ratio=0.4", ("ratio", 0.4)),
        ("padding=reflect", ("padding", "reflect")),
    ],
)
def test_an_option_is_what_it_is_written_as(line: str, read: tuple[str, object]) -> None:
    assert option(line) == read
    assert type(option(line)[1]) is type(read[1])


@pytest.mark.parametrize("line", ["ratio", "=1", "ratio=", "   "])
def test_a_line_that_is_no_option_is_refused(line: str) -> None:
    with pytest.raises(InvalidRequest, match="not an option"):
        option(line)


def test_the_form_becomes_the_api_s_wish() -> None:
    form = ImportForm(
        upload_id=["up-1", "", "up-2"], name=" mine ", architecture="kind", direction="day2night",
        options="ratio=0.4\n\nbig=true", title="  ", licence="MIT ",
    )  # fmt: skip
    wish = NewGenerator(**form.values())
    assert (wish.upload_id, wish.part_upload_ids, wish.name) == ("up-1", ["up-2"], "mine")
    assert (wish.options, wish.card) == ({"ratio": 0.4, "big": True}, {"licence": "MIT"})


def test_an_import_without_a_file_says_so() -> None:
    with pytest.raises(InvalidRequest, match="no checkpoint"):
        ImportForm(name="mine").values()

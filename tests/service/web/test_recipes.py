"""What the page offers to train is what there is."""

from models.training.images import FEWEST_IMAGES
from models.training.papers import PAPERS as TRAINABLE
from models.training.papers import RECIPES, load_recipe
from service.web.learning.recipes import FEWEST_FRAMES, PAPERS


def test_the_form_offers_every_paper_with_its_recipes() -> None:
    there_are = {name: {file.stem for file in (RECIPES / name).glob("*.toml")} for name in TRAINABLE}
    assert {name: set(paper.recipes) for name, paper in PAPERS.items()} == there_are
    for name, paper in PAPERS.items():
        for recipe in paper.recipes:
            load_recipe(recipe, name)


def test_the_form_asks_for_as_many_frames_as_a_training_does() -> None:
    assert FEWEST_FRAMES == FEWEST_IMAGES

from dataclasses import replace
from pathlib import Path

import pytest

from models.training.errors import RecipeRejected
from models.training.recipe import RECIPES, Data, Length, Networks, Recipe, load_recipe
from models.training.strict_toml import read_toml, to_toml


def test_the_default_recipe_is_the_paper_s_and_says_everything() -> None:
    recipe = load_recipe("default")
    assert recipe == Recipe()
    assert (recipe.networks.generator_blocks, recipe.networks.generator_channels) == (9, 64)
    assert (recipe.data.crop_px, recipe.data.resize_px, recipe.data.batch_size) == (256, 286, 1)
    assert (recipe.losses.cycle, recipe.losses.identity, recipe.updates.pool_size) == (10, 0.5, 50)
    assert (recipe.updates.learning_rate, recipe.updates.beta1, recipe.length.epochs) == (2e-4, 0.5, 200)


def test_the_compact_recipe_is_small() -> None:
    recipe = load_recipe("compact")
    assert recipe.networks == Networks(32, 6, 32, "reflect")
    assert recipe.data.crop_px == 128
    assert recipe.warm_start == "camera"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_written_reads_back_equal(path: Path) -> None:
    recipe = load_recipe(str(path))
    assert read_toml(to_toml(recipe), Recipe) == recipe
    assert read_toml(to_toml(recipe.of_steps(3)), Recipe).length.steps == 3


def test_an_epoch_sees_the_larger_side_once() -> None:
    assert Recipe().for_images(400, 573).length.steps == 200 * 573
    in_threes = Recipe(data=Data(batch_size=3), length=Length(epochs=2))
    assert in_threes.for_images(10, 4).length.steps == 2 * 4
    assert Recipe().of_steps(7).for_images(400, 573).length.steps == 7


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        ("sed = 1", "'sed'", "'seed'"),
        ("[data]\ncrop = 64", "'data.crop'", "'data.crop_px'"),
        ("batch_size = 2", "'batch_size'", "'data.batch_size'"),
        ("[updates]\ncycle = 5.0", "'updates.cycle'", "'losses.cycle'"),
        ("[network]\nx = 1", "'network'", "'networks."),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(text: str, key: str, cure: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        read_toml(text, Recipe)
    assert key in caught.value.message
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1.5", "'seed' in the recipe is 1.5. It must be a whole number."),
        ("seed = true", "It must be a whole number."),
        ("seed = -1", "It must lie between 0 and"),
        ('warm_start = "sun"', "It can be one of: 'none', 'camera'."),
        ("data = 3", "Write it as [data]."),
        ("[data]\nflip = 1", "It must be true or false."),
        ("[data]\ncrop_px = 16", "It must lie between 32 and 4096."),
        ("[data]\ncrop_px = 66", "It must be a multiple of 4."),
        ("[data]\nresize_px = 200", "It must lie between 256 and 8192."),
        ("[data]\nzoom = nan", "It must lie between 1.0 and 4.0."),
        ("[updates]\nema = 1.0", "It must lie between"),
        ("[updates]\nlearning_rate = 0", "It must lie between"),
        ('[updates]\nlearning_rate = "fast"', "It must be a number."),
        ("[updates]\naccumulate = 2", "It must divide 'data.batch_size', 1."),
        ("seed =", "The recipe is not TOML"),
    ],
)
def test_values_of_the_wrong_type_or_out_of_range_are_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        read_toml(text, Recipe)
    assert message in str(caught.value)


def test_whole_numbers_do_for_fractions() -> None:
    assert read_toml("[losses]\ncycle = 5", Recipe).losses.cycle == 5.0


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeRejected, match="There are compact, default"):
        load_recipe("fast")
    with pytest.raises(RecipeRejected, match="There is no recipe"):
        load_recipe(str(tmp_path / "mine.toml"))


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(RecipeRejected):
        replace(Recipe(), seed=-1)

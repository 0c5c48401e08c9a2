from dataclasses import replace
from pathlib import Path

import pytest

from models.layouts import LAYOUTS
from models.training.cut_recipe import CUTRecipe
from models.training.cyclegan_recipe import CycleGANRecipe, CycleGANSizes
from models.training.errors import RecipeRejected
from models.training.papers import PAPERS, RECIPES, load_recipe, parse_recipe, recipe_names
from models.training.recipe import Data, Length
from models.training.strict_toml import read_toml, to_toml

SHIPPED = sorted(RECIPES.glob("*/*.toml"))


def cut(name: str) -> CUTRecipe:
    recipe = load_recipe(name, "cut")
    assert isinstance(recipe, CUTRecipe)
    return recipe


def cyclegan(name: str) -> CycleGANRecipe:
    recipe = load_recipe(name, "cyclegan")
    assert isinstance(recipe, CycleGANRecipe)
    return recipe


def test_every_paper_has_its_published_and_its_compact_recipe_and_a_layout() -> None:
    assert {path.parent.name for path in SHIPPED} == PAPERS.keys()
    for name, paper in PAPERS.items():
        assert {"default", "compact"} <= set(recipe_names(name))
        assert load_recipe("default", name) == paper.recipe()
        assert load_recipe("compact", name).warm_start == "camera"
        assert paper.architecture in LAYOUTS


@pytest.mark.parametrize("paper", PAPERS)
def test_the_default_recipe_says_everything(paper: str) -> None:
    written = (RECIPES / paper / "default.toml").read_text()
    lines = [line.split(" = ")[0] for line in to_toml(PAPERS[paper].recipe()).splitlines() if " = " in line]
    # but for the number of steps, which follows from the epochs
    assert [key for key in lines if f"\n{key} = " not in written] == ["steps"]


def test_cyclegan_s_numbers_are_the_paper_s() -> None:
    recipe = cyclegan("default")
    assert (recipe.networks.generator_blocks, recipe.networks.generator_channels) == (9, 64)
    assert (recipe.data.crop_px, recipe.data.resize_px, recipe.data.batch_size) == (256, 286, 1)
    assert (recipe.losses.cycle, recipe.losses.identity, recipe.updates.pool_size) == (10, 0.5, 50)
    assert (recipe.updates.learning_rate, recipe.updates.beta1, recipe.length.epochs) == (2e-4, 0.5, 200)
    assert cyclegan("default").networks == CycleGANSizes()
    compact = cyclegan("compact").networks
    assert (compact.generator_channels, compact.generator_blocks, compact.generator_padding) == (
        32,
        6,
        "reflect",
    )
    assert (compact.generator_skip, compact.discriminator_norm) == (True, False)


def test_cut_s_numbers_are_the_paper_s() -> None:
    recipe, fast = cut("default"), cut("fast")
    assert (recipe.networks.generator_blocks, recipe.networks.patch_channels) == (9, 256)
    assert (recipe.losses.nce, recipe.losses.identity, recipe.losses.flip_equivariance) == (1, True, False)
    assert (recipe.losses.temperature, recipe.losses.patches) == (0.07, 256)
    assert (recipe.length.epochs, recipe.length.constant_share) == (400, 0.5)
    assert (fast.losses.nce, fast.losses.identity, fast.losses.flip_equivariance) == (10, False, True)
    # 150 epochs constant, 50 of decay
    assert (fast.length.epochs, fast.length.constant_share) == (200, 0.75)
    assert (fast.networks, fast.data, fast.updates) == (recipe.networks, recipe.data, recipe.updates)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_written_reads_back_equal(path: Path) -> None:
    paper = path.parent.name
    recipe = load_recipe(path.stem, paper)
    assert load_recipe(str(path), paper) == parse_recipe(path.read_text(), paper) == recipe
    assert parse_recipe(to_toml(recipe), paper) == recipe
    assert parse_recipe(to_toml(recipe.of_steps(3)), paper).length.steps == 3


def test_what_is_left_out_is_the_paper_s() -> None:
    assert parse_recipe("[length]\nlog_every = 7", "cut").length == Length(epochs=400, log_every=7)
    assert parse_recipe("[length]\nlog_every = 7", "cyclegan").length == Length(epochs=200, log_every=7)


def test_an_epoch_sees_the_larger_side_once() -> None:
    assert CycleGANRecipe().for_images(400, 573).length.steps == 200 * 573
    in_threes = CUTRecipe(data=Data(batch_size=3), length=Length(epochs=2))
    assert in_threes.for_images(10, 4).length.steps == 2 * 4
    assert in_threes.for_images(10, 4, processes=2).length.steps == 2 * 2
    assert CUTRecipe().of_steps(7).for_images(400, 573).length.steps == 7


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
        parse_recipe(text, "cyclegan")
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
        ("[networks]\ngenerator_blocks = 0", "It must lie between 1 and 32."),
        ("seed =", "The recipe is not TOML"),
    ],
)
@pytest.mark.parametrize("paper", PAPERS)
def test_values_of_the_wrong_type_or_out_of_range_are_refused(paper: str, text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, paper)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('direction = "day2day"', "It can be one of: 'day2night', 'night2day'."),
        ("[losses]\ntemperature = 0", "It must lie between 0.001 and"),
        ("[losses]\npatches = 1", "It must lie between 2 and"),
        ("[losses]\nidentity = 2", "It must be true or false."),
        ("[networks]\npatch_channels = 0", "It must lie between 1 and"),
    ],
)
def test_values_of_cut_are_checked_too(text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, "cut")
    assert message in str(caught.value)


def test_whole_numbers_do_for_fractions() -> None:
    assert read_toml("[losses]\ncycle = 5", CycleGANRecipe).losses.cycle == 5.0


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeRejected, match="There are compact, default, fast;"):
        load_recipe("slow", "cut")
    with pytest.raises(RecipeRejected, match="There is no recipe"):
        load_recipe(str(tmp_path / "mine.toml"), "cut")


def test_another_paper_s_recipe_is_told_as_such() -> None:
    with pytest.raises(RecipeRejected, match=r"no recipe 'fast' for 'cyclegan'\. It is one for 'cut'\."):
        load_recipe("fast", "cyclegan")
    with pytest.raises(RecipeRejected, match=r"unknown key 'direction'.*would be a recipe for 'cut'\."):
        load_recipe(str(RECIPES / "cut" / "default.toml"), "cyclegan")
    with pytest.raises(RecipeRejected, match="would be a recipe for 'cyclegan'"):
        parse_recipe("[updates]\npool_size = 50", "cut")
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe("sed = 1", "cut")
    assert "would be" not in str(caught.value)


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(RecipeRejected):
        replace(CUTRecipe(), seed=-1)

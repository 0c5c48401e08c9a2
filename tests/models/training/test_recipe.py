import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.layouts import LAYOUTS
from models.losses.library import LOSSES
from models.training.cut_recipe import CUTRecipe
from models.training.cyclegan_recipe import CycleGANRecipe, CycleGANSizes
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.errors import RecipeRejected
from models.training.papers import PAPERS, RECIPES, load_recipe, parse_recipe, recipe_names
from models.training.recipe import Data, Length, Perceptual
from models.training.schedule import Halved, LinearDecay
from models.training.sci_recipe import SCIRecipe
from models.training.strict_toml import read_toml, to_toml

SHIPPED = sorted(RECIPES.glob("*/*.toml"))
# of these the compact recipes begin on the camera model's pairs
WARMED = ("cut", "cyclegan", "enlightengan")
# what a default recipe need not say, as at this value it has no say itself
IDLE: Mapping[str, object] = {
    "steps": 0,  # follows from the epochs
    "weight_decay": 0.0,
    "clip_norm": 0.0,
    "decay": "linear",
    "backbone": "streetnet",
    "layers": [],
    "without": [],
}


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
        assert load_recipe("compact", name).warm_start == ("camera" if name in WARMED else "none")
        assert paper.architecture in LAYOUTS


@pytest.mark.parametrize("paper", PAPERS)
def test_the_default_recipe_says_everything(paper: str) -> None:
    written = (RECIPES / paper / "default.toml").read_text()
    recipe = PAPERS[paper].recipe()
    idle: dict[str, object] = dict(IDLE)
    if recipe.warm_start == "none":
        idle |= {"warm_start": "none", "warm_steps": 600, "warm_every": 0}
    if recipe.data.resize == "none":
        idle |= {"resize_px": 286}
    lines = [line.partition(" = ") for line in to_toml(recipe).splitlines() if " = " in line]
    unsaid = {key: json.loads(value) for key, _, value in lines if f"\n{key} = " not in written}
    assert unsaid == {key: idle.get(key, "to be said") for key in unsaid}


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
        ("[data]\nzoom = nan", "It must lie between 1.0 and 4.0."),
        ("[updates]\nema = 1.0", "It must lie between"),
        ("[updates]\nlearning_rate = 0", "It must lie between"),
        ('[updates]\nlearning_rate = "fast"', "It must be a number."),
        ("[updates]\nweight_decay = -0.1", "It must lie between 0.0 and 1.0."),
        ("[updates]\nclip_norm = -1", "It must lie between 0.0 and"),
        ('[length]\ndecay = "cosine"', "It can be one of: 'linear', 'halved'."),
        ("[perceptual]\nlayers = 3", "It must be a list of strings."),
        ('[perceptual]\nlayers = "layer1"', "It must be a list of strings."),
        (
            '[perceptual]\nlayers = ["layer1", 2]',
            "'perceptual.layers[1]' in the recipe is 2. It must be a string.",
        ),
        ("[extra_losses]\nl1 = true", "'extra_losses.l1' in the recipe is True. It must be a number."),
        ("[extra_losses]\nl1 = nan", "It must lie between 0.0 and"),
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
        ("[data]\ncrop_px = 66", "It must be a multiple of 4."),
        ("[data]\nresize_px = 200", "It must lie between 256 and 8192."),
        ("[updates]\naccumulate = 2", "It must divide 'data.batch_size', 1."),
        ("[networks]\ngenerator_blocks = 0", "It must lie between 1 and 32."),
    ],
)
@pytest.mark.parametrize("paper", ["cut", "cyclegan"])
def test_values_of_resnet_papers_are_checked_too(paper: str, text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, paper)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("paper", "text", "message"),
    [
        ("enlightengan", "[data]\ncrop_px = 72", "It must be a multiple of 16."),
        ("enlightengan", "[data]\ncrop_px = 0\nbatch_size = 1", "It must be a multiple of 16, and not 0."),
        ("enlightengan", "[losses]\npatch_px = 16", "It must lie between 32 and 4096."),
        (
            "enlightengan",
            "[data]\ncrop_px = 64\n[losses]\npatch_px = 80",
            "'losses.patch_px' is 80, larger than 'data.crop_px'. It can be 64 at most.",
        ),
        ("enlightengan", "[losses]\ndarkened_share = 1.5", "It must lie between 0.0 and 1.0."),
        ("enlightengan", "[updates]\naccumulate = 5", "It must divide 'data.batch_size', 32."),
        ("enlightengan", '[networks]\ngenerator_attention = "both"', "'auto', 'dark', 'bright'"),
        ("sci", 'direction = "day2night"', "It can be one of: 'night2day'."),
        ("sci", "[losses]\nstages = 0", "It must lie between 1 and 16."),
        ("sci", "[networks]\nchannels = 0", "It must lie between 1 and 64."),
        ("sci", "[data]\nbatch_size = 2", "It must lie between 1 and 1."),
        ("sci", "[data]\ncrop_px = 16", "It must lie between 32 and 4096."),
    ],
)
def test_values_of_enlightengan_and_sci_are_checked_too(paper: str, text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, paper)
    assert message in str(caught.value)


def test_patches_may_be_as_large_as_the_crop() -> None:
    text = "[data]\ncrop_px = 64\n[losses]\npatch_px = 64"
    recipe = parse_recipe(text, "enlightengan")
    assert isinstance(recipe, EnlightenGANRecipe)
    assert recipe.losses.patch_px == recipe.data.crop_px == 64


def test_enlightengan_s_and_sci_s_numbers_are_the_papers_() -> None:
    recipe = load_recipe("default", "enlightengan")
    assert isinstance(recipe, EnlightenGANRecipe)
    assert (recipe.networks.generator_channels, recipe.networks.discriminator_channels) == (32, 64)
    assert (recipe.data.crop_px, recipe.data.batch_size, recipe.updates.learning_rate) == (320, 32, 1e-4)
    assert (recipe.losses.patches, recipe.losses.patch_px, recipe.losses.darkened_share) == (6, 32, 0.5)
    assert (recipe.length.epochs, recipe.length.constant_share, recipe.attention) == (200, 0.5, "dark")
    assert recipe.perceptual == Perceptual("vgg16-caffe", ("features.25",), ("features.23",))
    enhancer = load_recipe("default", "sci")
    assert isinstance(enhancer, SCIRecipe)
    updates = enhancer.updates
    assert (updates.learning_rate, updates.weight_decay, updates.clip_norm) == (3e-4, 3e-4, 5)
    assert (updates.beta1, updates.beta2, enhancer.length.epochs) == (0.9, 0.999, 1000)
    assert (enhancer.data.crop_px, enhancer.data.batch_size, enhancer.data.resize) == (0, 1, "none")
    assert (enhancer.losses.fidelity, enhancer.losses.smoothness, enhancer.losses.stages) == (1.5, 1, 3)


@pytest.mark.parametrize(
    ("direction", "chosen", "attention"),
    [
        ("night2day", "auto", "dark"),
        ("day2night", "auto", "bright"),
        ("day2night", "dark", "dark"),
        ("night2day", "bright", "bright"),
    ],
)
def test_attention_follows_the_direction_unless_it_is_chosen(
    direction: str, chosen: str, attention: str
) -> None:
    text = f'direction = "{direction}"\n[networks]\ngenerator_attention = "{chosen}"'
    recipe = parse_recipe(text, "enlightengan")
    assert isinstance(recipe, EnlightenGANRecipe)
    assert recipe.attention == attention


WEIGHTS = st.floats(0, 1e6) | st.just(0.0)
BIG_ENOUGH = "[data]\ncrop_px = 192\nresize_px = 200"


@pytest.mark.parametrize("paper", PAPERS)
@settings(max_examples=25)
@given(
    extra=st.dictionaries(st.sampled_from(sorted(LOSSES)), WEIGHTS),
    backbone=st.sampled_from(["streetnet", "vgg16", "vgg16-caffe"]),
    layers=st.lists(st.from_regex(r"[a-z]+(\.[0-9]{1,2})*", fullmatch=True), max_size=4),
    without=st.lists(st.just("features.23"), max_size=1),
)
def test_losses_and_layers_survive_being_written_and_read(
    paper: str, extra: dict[str, float], backbone: str, layers: list[str], without: list[str]
) -> None:
    recipe = replace(
        parse_recipe(BIG_ENOUGH, paper),
        extra_losses=extra,
        perceptual=Perceptual(backbone, tuple(layers), tuple(without)),
    )
    again = read_toml(to_toml(recipe), PAPERS[paper].recipe)
    assert again == recipe
    assert again.perceptual.layers == tuple(layers)
    assert dict(again.extra_losses) == extra


def test_losses_and_layers_as_they_are_written_by_hand() -> None:
    recipe = parse_recipe(
        '[extra_losses]\nssim = 1\n"spatial-consistency" = 0.5\n'
        '[perceptual]\nbackbone = "vgg16"\nlayers = ["features.3", "features.8"]',
        "cut",
    )
    assert recipe.extra_losses == {"ssim": 1.0, "spatial-consistency": 0.5}
    assert recipe.perceptual == Perceptual("vgg16", ("features.3", "features.8"))
    assert not recipe.uses_features()
    assert parse_recipe("[extra_losses]\nself-feature = 0.1", "cut").uses_features()
    assert not parse_recipe("[extra_losses]\nself-feature = 0", "cut").uses_features()


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize(
    ("name", "smallest_px"), [(n, e.smallest_px) for n, e in LOSSES.items() if e.smallest_px > 32]
)
def test_losses_that_need_large_images_are_refused_with_small_crops(
    paper: str, name: str, smallest_px: int
) -> None:
    small = "[data]\ncrop_px = 64\nresize_px = 80\n"
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(f"{small}[extra_losses]\n{name} = 1.0", paper)
    assert caught.value.message.startswith(f"The loss {name!r} needs {smallest_px} px")
    assert f"Set 'data.crop_px' to at least {smallest_px}" in caught.value.cure
    assert parse_recipe(f"{small}[extra_losses]\n{name} = 0.0", paper).extra_losses == {name: 0.0}
    assert parse_recipe(f"{BIG_ENOUGH}\n[extra_losses]\n{name} = 1.0", paper).extra_losses == {name: 1.0}


def test_of_whole_images_nobody_knows_whether_they_are_large_enough() -> None:
    with pytest.raises(
        RecipeRejected, match=re.escape("'ms-ssim' needs 176 px, and the recipe's crops may have fewer")
    ):
        parse_recipe("[extra_losses]\nms-ssim = 1.0", "sci")
    assert parse_recipe("[extra_losses]\nssim = 1.0", "sci").extra_losses == {"ssim": 1.0}


@pytest.mark.parametrize(("decay", "kind"), [("linear", LinearDecay), ("halved", Halved)])
def test_a_recipe_names_how_its_rate_ends(decay: str, kind: type) -> None:
    recipe = parse_recipe(f'[length]\nsteps = 100\ndecay = "{decay}"', "cut")
    assert isinstance(recipe.length.schedule(), kind)
    assert parse_recipe(to_toml(recipe), "cut") == recipe


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

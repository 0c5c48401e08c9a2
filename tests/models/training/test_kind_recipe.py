import pytest

from models.training.errors import RecipeRejected
from models.training.kind_recipe import STAGES, KinDRecipe
from models.training.papers import load_recipe, parse_recipe


def kind(name: str) -> KinDRecipe:
    recipe = load_recipe(name, "kind")
    assert isinstance(recipe, KinDRecipe)
    return recipe


def test_the_numbers_are_those_of_the_original() -> None:
    recipe = kind("default")
    assert (recipe.networks.restoration_channels, recipe.networks.day_ratio) == (32, 5)
    assert (recipe.stages.patches, recipe.stages.patch_px) == (10, 48)
    assert (recipe.data.batch_size, recipe.data.crop_px, recipe.data.resize) == (4, 384, "none")
    losses = recipe.losses
    assert (losses.reconstruction, losses.similarity, losses.mutual, losses.smoothness) == (
        1,
        0.01,
        0.2,
        0.15,
    )
    assert (losses.square, losses.gradient, losses.structure, losses.contrast) == (1, 1, 1, 1.2)
    assert (recipe.updates.learning_rate, recipe.updates.beta1, recipe.updates.beta2) == (1e-4, 0.9, 0.999)


def test_updates_are_nearly_as_many_as_published_and_the_last_fifth_of_restoration_at_half_the_rate() -> None:
    # LOL: 450 pairs; 2000 epochs of 45 batches of patches, twice, and 1000 of 113 batches of crops
    recipe = kind("default").for_images(450, 450)
    steps = [recipe.stage_at(number) for number in range(recipe.length.steps)]
    for stage, published in zip(STAGES, (90_000, 90_000, 113_000), strict=True):
        assert steps.count(stage) == pytest.approx(published, rel=0.02)
    assert steps == sorted(steps, key=STAGES.index)
    rate = recipe.length.schedule().factor
    last_fifth = len(steps) - steps.count("restoration") // 5
    assert rate(last_fifth - 200) == 1
    assert rate(last_fifth + 200) == rate(len(steps) - 1) == 0.5


def test_every_step_is_spent_on_pairs() -> None:
    for name in ("default", "compact"):
        assert all(kind(name).is_paired(step) for step in (0, 599, 600, 10**6))


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.1, 0.2, 0.7)])
def test_stages_follow_each_other(shares: tuple[float, float, float]) -> None:
    text = "\n".join(f"{stage} = {share}" for stage, share in zip(STAGES, shares, strict=True))
    recipe = parse_recipe(f"[stages]\n{text}\n[length]\nsteps = 10", "kind")
    assert isinstance(recipe, KinDRecipe)
    stages = [recipe.stage_at(step) for step in range(10)]
    assert stages == [
        stage for stage, share in zip(STAGES, shares, strict=True) for _ in range(round(10 * share))
    ]
    # beyond the end, the last one goes on
    assert recipe.stage_at(10) == "restoration"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stages]\ndecomposition = 0.5", "are [0.5, 0.31, 0.38]. Together they must be 1."),
        ("[stages]\ndecomposition = -0.1", "'stages.decomposition' in the recipe is -0.1"),
        ("[stages]\npatch_px = 40", "It must be a multiple of 16, up to 'data.crop_px', 384."),
        ("[stages]\npatch_px = 400", "It must be a multiple of 16, up to 'data.crop_px', 384."),
        ("[stages]\npatches = 0", "It must lie between 1 and"),
        ("[data]\ncrop_px = 100", "It must be a multiple of 16."),
        ("[data]\ncrop_px = 0\nbatch_size = 1", "It must be a multiple of 16"),
        ("[networks]\nrestoration_channels = 0", "It must lie between 1 and"),
        ("[networks]\nnight_ratio = 1.5", "It must lie between 0.05 and 1.0."),
        ("[networks]\nday_ratio = 30", "It must lie between 1.0 and 20.0."),
        ("[losses]\ncontrast = 0", "It must lie between 0.1 and"),
        ("[losses]\nmutual = nan", "It must lie between 0.0 and"),
    ],
)
def test_values_are_checked(text: str, message: str) -> None:
    with pytest.raises(RecipeRejected) as caught:
        parse_recipe(text, "kind")
    assert message in str(caught.value)

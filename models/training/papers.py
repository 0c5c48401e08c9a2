"""Which papers can be trained, and their recipes: shipped ones by name, anyone's as TOML."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from models.training.cut_recipe import CUTRecipe
from models.training.cut_step import CUTStep
from models.training.cyclegan_recipe import CycleGANRecipe
from models.training.cyclegan_step import CycleGANStep
from models.training.enlightengan_recipe import EnlightenGANRecipe
from models.training.enlightengan_step import EnlightenGANStep
from models.training.errors import RecipeRejected
from models.training.kind_recipe import KinDRecipe
from models.training.kind_step import KinDStep
from models.training.recipe import Recipe
from models.training.sci_recipe import SCIRecipe
from models.training.sci_step import SCIStep
from models.training.step import PaperStep
from models.training.strict_toml import changed, read_toml
from models.training.zero_dce_step import ZeroDCERecipe, ZeroDCEStep

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True)
class Paper:
    """`architecture`: what its generators are, a name in `models.layouts.LAYOUTS`; `step` trains them, by a
    `recipe` of its own.
    """

    architecture: str
    recipe: type[Recipe]
    step: Callable[..., PaperStep[Any]]


# The names are those of the command.
PAPERS: Mapping[str, Paper] = {
    "cut": Paper("cut", CUTRecipe, CUTStep),
    "cyclegan": Paper("cyclegan", CycleGANRecipe, CycleGANStep),
    "enlightengan": Paper("enlightengan", EnlightenGANRecipe, EnlightenGANStep),
    "kind": Paper("kind", KinDRecipe, KinDStep),
    "sci": Paper("sci", SCIRecipe, SCIStep),
    "zero-dce": Paper("zero-dce", ZeroDCERecipe, ZeroDCEStep),
}


def load_recipe(name: str, paper: str) -> Recipe:
    """A recipe of the paper that comes with Nightshift, by name, or any TOML file, by its path.

    Raises:
        RecipeRejected: there is none, or it is not valid, or another paper's.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / paper / f"{name}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unknown(name, paper) from error
    return parse_recipe(text, paper)


def parse_recipe(text: str, paper: str) -> Recipe:
    """A recipe from TOML text; keys that are left out keep the paper's defaults.

    Raises:
        RecipeRejected: naming the key, and the paper whose recipe it would be.
    """
    try:
        return read_toml(text, PAPERS[paper].recipe)
    except RecipeRejected as error:
        others = [other for other in PAPERS if other != paper and _is_recipe_of(text, other)]
        if not others:
            raise
        hint = f"As it is, it would be a recipe for {others[0]!r}."
        raise RecipeRejected(error.message, f"{error.cure} {hint}".strip()) from error


def directed(recipe: Recipe, direction: str) -> Recipe:
    """The recipe for the given direction.

    Raises:
        RecipeRejected: the paper learns both at once, or not this one.
    """
    wanted = next((each for each in fields(recipe) if each.name == "direction"), None)
    if wanted is None:
        raise RecipeRejected("This paper's training has no direction: it learns both.", "Leave it out.")
    return changed(recipe, {"direction": direction})


def check_backbone(recipe: Recipe, file: Path | None) -> nn.Module | None:
    """What the recipe's perceptual losses look through; None if it has none.

    Raises:
        RecipeRejected: the backbone's file is missing or superfluous, or the backbone has no such layer.
        GeneratorError: the file is damaged, or another network's: naming the tensors that differ.
    """
    if recipe.uses_features():
        # torchvision takes a second to import, which every start of a worker would pay
        from models.training.features import load_features  # noqa: PLC0415

        return load_features(recipe.perceptual, file)
    if file is not None:
        raise RecipeRejected(
            "A backbone's file was given, but no loss of the recipe looks through one.",
            "Leave it out, or give a perceptual loss a weight, such as 'perceptual' in 'extra_losses'.",
        )
    return None


def recipe_names(paper: str) -> list[str]:
    """The shipped recipes of a paper: "default" is as published, "compact" for a CPU."""
    return sorted(path.stem for path in (RECIPES / paper).glob("*.toml"))


def _is_recipe_of(text: str, paper: str) -> bool:
    try:
        read_toml(text, PAPERS[paper].recipe)
    except RecipeRejected:
        return False
    return True


def _unknown(name: str, paper: str) -> RecipeRejected:
    message = f"There is no recipe {name!r} for {paper!r}."
    owners = [other for other in PAPERS if name in recipe_names(other)]
    if owners:
        return RecipeRejected(message, f"It is one for {owners[0]!r}.")
    known = ", ".join(recipe_names(paper))
    return RecipeRejected(message, f"There are {known}; a file's name ends in .toml.")

"""What holds for all losses of the library; what each computes is tested beside its family."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import models.losses
from models.losses.library import LOSSES, FeaturesMissing, UnknownLoss, build_loss
from models.losses.perceptual import SelfFeatureLoss

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "losses.md").read_text()
COMPARING = [name for name, entry in LOSSES.items() if entry.compares]
# torch's own classes take what they get: precision and gradients are the training step's business
OWN = [name for name in LOSSES if name not in {"l1", "l2", "smooth-l1", "huber"}]
SYMMETRIC = sorted(set(COMPARING) - {"region"})
SIDE_PX = 176  # the least that all can do with


def image(seed: int) -> Tensor:
    return torch.rand(1, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(seed))


def value_of(name: str, backbone: nn.Module, translated: Tensor, reference: Tensor) -> Tensor:
    loss = build_loss(name, backbone)
    value = loss(translated, reference) if LOSSES[name].compares else loss(translated)
    assert isinstance(value, Tensor)
    return value


@pytest.mark.parametrize("name", LOSSES)
def test_each_gives_a_scalar_that_is_not_negative(name: str, backbone: nn.Module) -> None:
    value = value_of(name, backbone, image(0), image(1))
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert 0 < float(value) < 100


@pytest.mark.parametrize("name", COMPARING)
def test_nothing_is_wrong_with_equal_images(name: str, backbone: nn.Module) -> None:
    assert float(value_of(name, backbone, image(0), image(0))) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_neither_image_comes_first(name: str, backbone: nn.Module) -> None:
    forth = value_of(name, backbone, image(0), image(1))
    torch.testing.assert_close(value_of(name, backbone, image(1), image(0)), forth)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("level", "wanted"), [(0.0, 0.0), (0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_gradients_are_finite_on_even_images(
    name: str, backbone: nn.Module, level: float, wanted: float
) -> None:
    translated = torch.full((1, 3, SIDE_PX, SIDE_PX), level, requires_grad=True)
    value = value_of(name, backbone, translated, torch.full_like(translated, wanted))
    value.backward()
    assert value.isfinite()
    assert translated.grad is not None
    assert translated.grad.isfinite().all()


@pytest.mark.parametrize("name", OWN)
def test_gradients_reach_the_translation_alone(name: str, backbone: nn.Module) -> None:
    translated, reference = image(0).requires_grad_(), image(1).requires_grad_()
    value_of(name, backbone, translated, reference).backward()
    assert translated.grad is not None
    assert translated.grad.any()
    assert reference.grad is None


@pytest.mark.parametrize("name", OWN)
def test_half_precision_is_compared_in_float32(name: str, backbone: nn.Module) -> None:
    half, other = image(0).bfloat16(), image(1).bfloat16()
    value = value_of(name, backbone, half, other)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, value_of(name, backbone, half.float(), other.float()))


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name: str, backbone: nn.Module) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = value_of(name, backbone, image(0), image(1))
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, value_of(name, backbone, image(0), image(1)), rtol=0, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_in_a_loss_is_trained(name: str, backbone: nn.Module) -> None:
    assert not any(parameter.requires_grad for parameter in build_loss(name, backbone).parameters())


@pytest.mark.parametrize("name", ["smooth-l1", "huber"])
def test_robust_losses_turn_linear_within_the_range_of_images(name: str, backbone: nn.Module) -> None:
    black = torch.zeros(1, 3, 2, 2)
    one, two = (value_of(name, backbone, black + step, black) for step in (0.4, 0.8))
    three = value_of(name, backbone, black + 0.6, black)
    torch.testing.assert_close(three, (one + two) / 2)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownLoss) as caught:
        build_loss("ssmi")
    assert str(caught.value) == "There is no loss 'ssmi'. Did you mean 'ssim'?"
    with pytest.raises(UnknownLoss, match="There are: colour-constancy, exposure,"):
        build_loss("bananas")


def test_features_are_asked_for_and_handed_on(backbone: nn.Module) -> None:
    with pytest.raises(FeaturesMissing, match="'perceptual'") as caught:
        build_loss("perceptual")
    assert caught.value.cure
    assert isinstance(build_loss("self-feature", backbone), SelfFeatureLoss)


def test_the_document_lists_the_library_and_every_class() -> None:
    listed = re.findall(r"^\| `([a-z0-9-]+)` \|", DOCUMENT, flags=re.MULTILINE)
    assert listed == list(LOSSES)
    for module in pkgutil.iter_modules(models.losses.__path__, "models.losses."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(kind, nn.Module) and kind.__module__ == module.name:
                assert f"`{name}`" in DOCUMENT
    for entry in LOSSES.values():
        reference = re.search(r"arXiv:[\d.]+", entry.paper)
        assert (reference.group() if reference else entry.paper) in DOCUMENT

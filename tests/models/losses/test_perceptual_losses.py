import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.losses.perceptual import PerceptualLoss, SelfFeatureLoss


def images(seed: int) -> Tensor:
    return torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(seed))


def test_layers_count_alike(backbone: nn.Module) -> None:
    reference = torch.full((1, 3, 2, 2), 0.2)
    translated = reference.clone()
    translated[:, 0] += 0.6
    # images: 0.36 in one of three channels, 0.12; twice the grey: 2 * 0.2 squared, 0.16
    assert float(PerceptualLoss(backbone)(translated, reference)) == pytest.approx(0.14)


def test_opposite_patterns_by_hand(backbone: nn.Module) -> None:
    translated = torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)
    # normalised they are (-1, 1) and (1, -1) but for the 1e-5 beside a variance of 0.25: squares of 2
    loss = SelfFeatureLoss(backbone)(translated, 1 - translated)
    assert float(loss) == pytest.approx(4, rel=1e-4)


@given(seed=st.integers(0, 1000), gains=st.lists(st.floats(0.3, 3), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_self_features_do_not_depend_on_the_scale_of_a_channel(seed: int, gains: list[float]) -> None:
    reference = images(seed)
    scaled = reference * torch.tensor(gains).view(1, 3, 1, 1)
    loss = SelfFeatureLoss(ImagesAlone())
    assert float(loss(scaled, reference)) < 1e-6
    assert float(loss(scaled + 0.1, reference)) < 1e-6
    assert float(loss(reference.flip(-1), reference)) > 0.1


class ImagesAlone(nn.Module):
    def forward(self, shown: Tensor) -> tuple[Tensor]:
        return (shown,)


@pytest.mark.parametrize("kind", [PerceptualLoss, SelfFeatureLoss])
def test_the_backbone_is_never_trained(kind: type[PerceptualLoss], backbone: nn.Module) -> None:
    loss = kind(backbone.train()).train()
    assert loss.training
    assert not any(module.training for module in backbone.modules())
    translated = images(0).requires_grad_()
    loss(translated, images(1)).backward()
    assert translated.grad is not None
    assert translated.grad.any()
    assert not any(p.requires_grad or p.grad is not None for p in loss.parameters())


@pytest.mark.parametrize("kind", [PerceptualLoss, SelfFeatureLoss])
def test_backbones_with_another_number_of_layers_each_time_are_refused(kind: type[PerceptualLoss]) -> None:
    class Fickle(nn.Module):
        calls = 0

        def forward(self, shown: Tensor) -> list[Tensor]:
            self.calls += 1
            return [shown] * self.calls

    with pytest.raises(ValueError, match="zip"):
        kind(Fickle())(images(0), images(1))

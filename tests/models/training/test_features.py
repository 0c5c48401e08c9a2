"""What perceptual losses look through: bundled, torchvision's, and EnlightenGAN's VGG-16."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import get_model, vgg16

from models.errors import CheckpointRejected
from models.metrics.errors import BackboneRejected, UnknownBackbone
from models.metrics.streetnet import load_streetnet
from models.training import features as training_features
from models.training.errors import RecipeRejected
from models.training.features import CAFFE_CONVOLUTIONS, VGG16_LAYERS, Features, load_features
from models.training.papers import check_backbone, load_recipe
from models.training.recipe import Perceptual, Recipe

MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def images(size: int = 32) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def outputs(network: nn.Module, layers: Sequence[str], shown: Tensor) -> list[Tensor]:
    """What the layers of a network give, as it runs from end to end."""
    found: dict[str, Tensor] = {}

    def keep(layer: str) -> None:
        # a copy: activations behind it may overwrite it
        network.get_submodule(layer).register_forward_hook(
            lambda *passed: found.update({layer: passed[-1].clone()})
        )

    for layer in layers:
        keep(layer)
    with torch.no_grad():
        network.eval()(shown)
    return [found[layer] for layer in layers]


def normalised(shown: Tensor, mean: Tensor = MEAN, deviation: Tensor = DEVIATION) -> Tensor:
    return (shown - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """Drawn weights, with running statistics that are not those of a new network."""
    torch.manual_seed(0)
    network = get_model("resnet18", weights=None)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
    path = tmp_path_factory.mktemp("backbones") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return network, path


@pytest.mark.parametrize(
    ("named", "compared"),
    [
        ((), ("layers.1", "layers.2", "layers.3")),
        (("layers.0",), ("layers.0",)),
        (("layers.4.1",), ("layers.4.1",)),
    ],
)
def test_streetnet_comes_along_and_sees_images_as_it_was_trained(
    named: tuple[str, ...], compared: tuple[str, ...]
) -> None:
    features = load_features(Perceptual("streetnet", named), None)
    expected = outputs(load_streetnet().network, compared, images())
    torch.testing.assert_close(features(images()), expected)


@pytest.mark.parametrize(
    "layers",
    [
        ("layer2",),
        ("layer1", "layer3.0.downsample", "layer4"),
        # before activations that work in place
        ("bn1", "layer1.0.bn1", "layer1.0.conv2", "layer1.0.bn2"),
    ],
)
def test_layers_of_a_classifier_see_the_normalised_image(
    resnet: tuple[nn.Module, Path], layers: tuple[str, ...]
) -> None:
    features = load_features(Perceptual("resnet18", layers), resnet[1])
    reference = get_model("resnet18", weights=None)
    reference.load_state_dict(resnet[0].state_dict())
    torch.testing.assert_close(features(images()), outputs(reference, layers, normalised(images())))


def test_the_order_in_which_layers_are_named_does_not_matter(resnet: tuple[nn.Module, Path]) -> None:
    one, other = (
        load_features(Perceptual("resnet18", layers), resnet[1])(images())
        for layers in (("layer1", "layer2"), ("layer2", "layer1"))
    )
    torch.testing.assert_close(one, other)


def test_features_are_frozen_and_pass_gradients_on(resnet: tuple[nn.Module, Path]) -> None:
    features = load_features(Perceptual("resnet18", ("layer1",)), resnet[1])
    assert not any(parameter.requires_grad for parameter in features.parameters())
    before = {key: tensor.clone() for key, tensor in features.state_dict().items()}
    shown = images().requires_grad_()
    features(shown)[0].sum().backward()
    assert shown.grad is not None
    assert shown.grad.abs().sum() > 0
    assert all(torch.equal(features.state_dict()[key], tensor) for key, tensor in before.items())


def test_safetensors_do_as_well(resnet: tuple[nn.Module, Path], tmp_path: Path) -> None:
    path = tmp_path / "resnet18.safetensors"
    path.write_bytes(safetensors.torch.save(resnet[0].state_dict()))
    wanted = Perceptual("resnet18", ("layer1",))
    torch.testing.assert_close(
        load_features(wanted, path)(images()), load_features(wanted, resnet[1])(images())
    )


def test_a_file_of_another_network_is_refused_with_its_tensors(resnet: tuple[nn.Module, Path]) -> None:
    with pytest.raises(BackboneRejected) as caught:
        load_features(Perceptual("mobilenet_v3_small", ("features.1",)), resnet[1])
    assert "The tensors do not fit 'mobilenet_v3_small': missing: classifier.0.bias" in caught.value.message
    assert "surplus: bn1.bias" in caught.value.message
    with pytest.raises(BackboneRejected, match=r"'resnet34': missing: .* and 75 more"):
        load_features(Perceptual("resnet34", ("layer1",)), resnet[1])


def test_files_that_are_damaged_or_not_there_are_refused(tmp_path: Path) -> None:
    wanted = Perceptual("resnet18", ("layer1",))
    with pytest.raises(BackboneRejected, match="cannot be read"):
        load_features(wanted, tmp_path / "nothing.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(CheckpointRejected, match="cannot be read"):
        load_features(wanted, tmp_path / "damaged.pth")


@pytest.mark.parametrize(
    ("backbone", "nearest"),
    [("resnet81", "resnet18"), ("streetnett", "streetnet"), ("vgg16_caffe", "vgg16-caffe")],
)
def test_an_unknown_backbone_is_answered_with_the_nearest(backbone: str, nearest: str) -> None:
    with pytest.raises(UnknownBackbone) as caught:
        load_features(Perceptual(backbone), None)
    assert caught.value.cure == f"Did you mean {nearest!r}?"


@pytest.mark.parametrize(
    ("layers", "without", "unknown", "nearest"),
    [
        (("layers.1", "layer.2"), (), "layer.2", "layers.2"),
        (("layers.1",), ("layers.1.3",), "layers.1.3", "layers.1"),
    ],
)
def test_an_unknown_layer_is_answered_with_the_nearest(
    layers: tuple[str, ...], without: tuple[str, ...], unknown: str, nearest: str
) -> None:
    with pytest.raises(RecipeRejected) as caught:
        load_features(Perceptual("streetnet", layers, without), None)
    assert caught.value.message == f"The backbone 'streetnet' has no layer {unknown!r}."
    assert caught.value.cure.startswith(f"The nearest is '{nearest}")


def test_layers_that_images_do_not_pass_are_refused(tmp_path: Path) -> None:
    """Such as the second head of GoogLeNet, which only its training uses."""
    torch.save(
        get_model("googlenet", weights=None, init_weights=False).state_dict(), tmp_path / "googlenet.pth"
    )
    with pytest.raises(
        RecipeRejected, match=r"'googlenet' does not pass all of these: aux1\. Name other layers"
    ):
        load_features(Perceptual("googlenet", ("aux1",)), tmp_path / "googlenet.pth")


def test_a_backbone_without_usual_layers_needs_some_named(resnet: tuple[nn.Module, Path]) -> None:
    with pytest.raises(RecipeRejected) as caught:
        load_features(Perceptual("resnet18"), resnet[1])
    assert caught.value.message == "The recipe does not say which layers of 'resnet18' to compare."
    assert "Name some in 'perceptual.layers', such as 'layer" in caught.value.cure


def test_a_file_is_given_where_one_is_needed_and_nowhere_else(resnet: tuple[nn.Module, Path]) -> None:
    with pytest.raises(RecipeRejected, match="looks through 'streetnet', which comes along"):
        load_features(Perceptual(), resnet[1])
    for backbone in ("resnet18", "vgg16-caffe", "inception"):
        with pytest.raises(RecipeRejected, match="which needs a file of weights"):
            load_features(Perceptual(backbone, ("layer1",)), None)


def test_a_recipe_is_told_of_a_file_that_nothing_looks_at(resnet: tuple[nn.Module, Path]) -> None:
    plain = Recipe(perceptual=Perceptual("resnet18", ("layer1",)))
    assert check_backbone(plain, None) is None
    # what has no weight is not computed, and needs no backbone
    without_weight = replace(plain, extra_losses={"perceptual": 0.0, "l1": 1.0})
    assert check_backbone(without_weight, None) is None
    for recipe in (plain, without_weight):
        with pytest.raises(RecipeRejected, match="no loss of the recipe looks through one"):
            check_backbone(recipe, resnet[1])
    for name in ("perceptual", "self-feature"):
        looking = replace(plain, extra_losses={name: 0.1})
        assert isinstance(check_backbone(looking, resnet[1]), Features)
        with pytest.raises(RecipeRejected, match="needs a file of weights"):
            check_backbone(looking, None)


@pytest.fixture(scope="module")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[nn.Module, Path]]:
    """VGG-16 with an eighth of its channels, and its file as EnlightenGAN's code saved it."""
    torch.manual_seed(0)
    network = narrow_vgg16()
    state = network.state_dict()
    named = {
        f"{name}.{part}": state[f"features.{place}.{part}"]
        for name, place in CAFFE_CONVOLUTIONS.items()
        for part in ("weight", "bias")
    }
    assert len(named) == len(state)
    path = tmp_path_factory.mktemp("caffe") / "vgg16.weight"
    torch.save(named, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_features, "_VGG16", narrow_vgg16)
        yield network, path


def narrow_vgg16() -> nn.Module:
    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            with torch.device("meta"):
                published = vgg16(weights=None).features
            self.features = nn.Sequential(*(self._narrow(layer) for layer in published))

        def forward(self, shown: Tensor) -> Tensor:
            features: Tensor = self.features(shown)
            return features

        @staticmethod
        def _narrow(layer: nn.Module) -> nn.Module:
            if not isinstance(layer, nn.Conv2d):
                return layer
            before = 3 if layer.in_channels == 3 else layer.in_channels // 8
            return nn.Conv2d(before, layer.out_channels // 8, 3, padding=1)

    return Narrow()


def test_places_of_caffe_s_convolutions_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        published = vgg16(weights=None).features
    shapes = [published[place].weight.shape for place in CAFFE_CONVOLUTIONS.values()]
    places = [place for place, layer in enumerate(published) if isinstance(layer, nn.Conv2d)]
    assert list(CAFFE_CONVOLUTIONS.values()) == places
    widths = [64, 64, 128, 128, *[256] * 3, *[512] * 6]
    assert [tuple(shape) for shape in shapes] == [
        (after, before, 3, 3) for before, after in zip([3, *widths], widths, strict=False)
    ]
    # the fourth pooling, and the layer behind conv5_1
    assert isinstance(published[23], nn.MaxPool2d)
    assert isinstance(published[25], nn.ReLU)
    assert CAFFE_CONVOLUTIONS["conv5_1"] == 24


def test_caffe_s_network_sees_blue_first_up_to_255(caffe: tuple[nn.Module, Path]) -> None:
    network, path = caffe
    features = load_features(Perceptual("vgg16-caffe", ("features.0", "features.25")), path)
    # (x + 1) * 127.5 of images in [-1, 1]
    red, green, blue = ((images(64) * 2 - 1 + 1) * 127.5).unbind(dim=1)
    expected = outputs(network, ("features.0", "features.25"), torch.stack([blue, green, red], dim=1))
    torch.testing.assert_close(features(images(64)), expected, rtol=1e-4, atol=1e-4)


def test_its_usual_layers_are_those_of_vgg16(caffe: tuple[nn.Module, Path]) -> None:
    found = load_features(Perceptual("vgg16-caffe"), caffe[1])(images(64))
    named = load_features(Perceptual("vgg16-caffe", VGG16_LAYERS), caffe[1])(images(64))
    torch.testing.assert_close(found, named)
    # before each pooling
    assert [each.shape[-1] for each in found] == [64, 32, 16, 8]


def test_without_the_fourth_pooling_features_are_twice_as_large(caffe: tuple[nn.Module, Path]) -> None:
    pooled, whole = (
        load_features(Perceptual("vgg16-caffe", ("features.25",), without), caffe[1])(images())[0]
        for without in ((), ("features.23",))
    )
    assert pooled.shape == (2, 64, 2, 2)
    assert whole.shape == (2, 64, 4, 4)


def test_a_file_in_torchvision_s_places_does_for_caffe_s_too(
    caffe: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    torch.save(caffe[0].state_dict(), tmp_path / "vgg16.pth")
    wanted = Perceptual("vgg16-caffe", ("features.3",))
    torch.testing.assert_close(
        load_features(wanted, tmp_path / "vgg16.pth")(images()), load_features(wanted, caffe[1])(images())
    )


def test_faults_in_caffe_s_file_are_named(caffe: tuple[nn.Module, Path], tmp_path: Path) -> None:
    state = torch.load(caffe[1], weights_only=True)
    del state["conv5_3.bias"]
    state["fc6.weight"] = torch.zeros(1)
    state["conv1_1.weight"] = torch.zeros(8, 1, 3, 3)
    torch.save(state, tmp_path / "vgg16.weight")
    with pytest.raises(BackboneRejected) as caught:
        load_features(Perceptual("vgg16-caffe", ("features.3",)), tmp_path / "vgg16.weight")
    assert "missing: features.28.bias" in caught.value.message
    assert "surplus: fc6.weight" in caught.value.message
    assert "of another shape: features.0.weight" in caught.value.message
    with pytest.raises(BackboneRejected, match="'vgg16-caffe' cannot be read"):
        load_features(Perceptual("vgg16-caffe", ("features.3",)), tmp_path / "nothing.weight")


def test_enlightengan_s_own_recipe_looks_through_it(caffe: tuple[nn.Module, Path]) -> None:
    recipe = load_recipe("default", "enlightengan")
    features = check_backbone(recipe, caffe[1])
    assert features is not None
    assert [each.shape for each in features(images())] == [(2, 64, 4, 4)]

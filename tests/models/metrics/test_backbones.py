import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from models.errors import CheckpointRejected, GeneratorError
from models.metrics.backbones import load_backbone
from models.metrics.errors import BackboneRejected, UnknownBackbone


@pytest.fixture(scope="module")
def squeezed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of torchvision's smallest classifier with a linear layer."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "shufflenet.pth"
    torch.save(get_model("shufflenet_v2_x0_5", weights=None).state_dict(), path)
    return path


def test_the_bundled_backbone_needs_no_file() -> None:
    backbone = load_backbone()
    assert (backbone.name, backbone.dim) == ("streetnet", 128)
    assert not backbone.training
    assert backbone.sha256 == load_backbone("streetnet").sha256


def test_features_are_what_the_classifier_would_be_given(squeezed: Path) -> None:
    backbone = load_backbone(f"shufflenet_v2_x0_5:{squeezed}")
    assert (backbone.name, backbone.dim) == ("shufflenet_v2_x0_5", 1024)
    assert backbone.sha256 == hashlib.sha256(squeezed.read_bytes()).hexdigest()
    network = get_model("shufflenet_v2_x0_5", weights=None)
    network.load_state_dict(torch.load(squeezed, weights_only=True))
    images = torch.rand(2, 3, 224, 224)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    inputs = (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.inference_mode():
        features = backbone.embed(images)
        verdicts = network.eval()(inputs)
        assert features.shape == (2, 1024)
        assert torch.allclose(network.fc(features), verdicts, atol=1e-5)


def test_images_of_any_size_are_taken(squeezed: Path) -> None:
    backbone = load_backbone(f"shufflenet_v2_x0_5:{squeezed}")
    with torch.inference_mode():
        assert backbone.embed(torch.rand(1, 3, 31, 500)).shape == (1, 1024)


@pytest.mark.slow
def test_inception_has_2048_features_before_its_classes(tmp_path: Path) -> None:
    state = get_model("inception_v3", weights=None, init_weights=False).state_dict()
    # published before batches were counted
    save_file({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "weights")
    backbone = load_backbone(f"inception:{tmp_path / 'weights'}")
    assert (backbone.name, backbone.dim) == ("inception_v3", 2048)
    with torch.inference_mode():
        assert backbone.embed(torch.rand(1, 3, 100, 200)).shape == (1, 2048)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("streetnets", "Did you mean 'streetnet'"),
        ("incepton:file", "Did you mean 'inception'"),
        ("resnet-18:file", "Did you mean 'resnet18'"),
        ("", "Such as 'streetnet'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownBackbone, match=message):
        load_backbone(name)


@pytest.mark.parametrize("name", ["resnet18", "resnet18:", "resnet18:/no/such/file", "inception:/no/such"])
def test_a_missing_file_is_named_with_the_cure(name: str) -> None:
    with pytest.raises(BackboneRejected) as caught:
        load_backbone(name)
    assert "cannot be read" in caught.value.message
    assert ":FILE'" in caught.value.cure


def test_weights_of_another_network_are_refused_with_their_tensors(squeezed: Path) -> None:
    with pytest.raises(BackboneRejected) as caught:
        load_backbone(f"shufflenet_v2_x1_0:{squeezed}")
    assert "of another shape: conv5.0.weight" in caught.value.message
    with pytest.raises(BackboneRejected) as caught:
        load_backbone(f"resnet18:{squeezed}")
    assert "missing: bn1.bias" in caught.value.message
    assert "surplus: conv1.0.weight" in caught.value.message
    assert "more" in caught.value.message


def test_a_network_without_a_linear_layer_is_refused(tmp_path: Path) -> None:
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), tmp_path / "weights")
    with pytest.raises(BackboneRejected, match="no linear layer"):
        load_backbone(f"squeezenet1_1:{tmp_path / 'weights'}")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"no weights")
    with pytest.raises(CheckpointRejected):
        load_backbone(f"resnet18:{tmp_path / 'weights'}")
    assert issubclass(CheckpointRejected, GeneratorError)

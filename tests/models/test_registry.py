from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from models.errors import CheckpointRejected, UnknownGenerator
from models.generators.cyclegan import CycleGAN
from models.generators.identity import Identity
from models.generators.interface import Direction
from models.layouts import LAYOUTS
from models.registry import BUNDLED, GENERATORS, load_generator
from models.weights import ConvertedWeights, save_weights

MakeState = Callable[..., dict[str, Tensor]]


@pytest.fixture
def stored(resnet_state: MakeState) -> bytes:
    return save_weights(ConvertedWeights("cyclegan", resnet_state(), {"channels": 4, "blocks": 2}))


def test_built_in_generators_are_known_by_name_and_by_architecture() -> None:
    assert GENERATORS.keys() == {"camera-night", "identity"}
    for name, card in GENERATORS.items():
        assert card.direction is Direction.DAY2NIGHT
        assert type(load_generator(name)) is type(load_generator(card.architecture))


@pytest.mark.parametrize("from_disk", [True, False])
def test_networks_load_from_bytes_and_files(stored: bytes, from_disk: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(stored)
    generator = load_generator("cyclegan", path if from_disk else stored)
    assert isinstance(generator, CycleGAN)


def test_generators_come_ready_to_translate(stored: bytes) -> None:
    generator = load_generator("cyclegan", stored)
    assert not generator.training
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    assert isinstance(load_generator("identity"), Identity)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("camera_night", "Did you mean 'camera-night'?"),
        ("CycleGan", "Did you mean 'cyclegan'?"),
        ("zzz", f"There are: {', '.join(sorted([*GENERATORS, *BUNDLED, *LAYOUTS]))}."),
    ],
)
def test_unknown_names_are_answered_with_what_there_is(name: str, answer: str) -> None:
    with pytest.raises(UnknownGenerator) as caught:
        load_generator(name)
    assert caught.value.message == f"There is no generator {name!r}."
    assert caught.value.cure == answer


def test_weights_must_be_there_and_be_the_networks_own(stored: bytes) -> None:
    with pytest.raises(CheckpointRejected, match="needs weights"):
        load_generator("cyclegan")
    with pytest.raises(CheckpointRejected, match="weights of 'cyclegan', not of 'enlightengan'"):
        load_generator("enlightengan", stored)
    with pytest.raises(CheckpointRejected, match="takes no weights"):
        load_generator("identity", stored)

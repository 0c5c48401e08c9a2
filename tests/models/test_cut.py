import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from models.generators.cut import CUT
from models.weights import build_network, convert_checkpoint, load_weights, save_weights

MakeState = Callable[..., dict[str, Tensor]]

# `latest_net_G.pth` of the published training: the places of the weights and of the blurs.
PUBLISHED_WEIGHTS = {
    "model.1": (64, 3, 7, 7),
    "model.4": (128, 64, 3, 3),
    "model.8": (256, 128, 3, 3),
    **{f"model.{block}.conv_block.{place}": (256, 256, 3, 3) for block in range(12, 21) for place in (1, 5)},
    "model.22": (128, 256, 3, 3),
    "model.26": (64, 128, 3, 3),
    "model.30": (3, 64, 7, 7),
}
PUBLISHED_BLURS = {
    "model.7.filt": (128, 1, 3, 3),
    "model.11.filt": (256, 1, 3, 3),
    "model.21.filt": (256, 1, 4, 4),
    "model.25.filt": (128, 1, 4, 4),
}


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def saved(state: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def by_the_table(state: dict[str, Tensor], images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The 2-block generator written out by index, on [-1, 1]; also the outputs of layers 0, 4, 8, 12, 13."""

    def conv(x: Tensor, key: str, **how: int) -> Tensor:
        return f.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], **how)

    def active(x: Tensor) -> Tensor:
        return f.relu(f.instance_norm(x))

    def mirror(x: Tensor, width: int) -> Tensor:
        return f.pad(x, (width, width, width, width), mode="reflect")

    def halved(x: Tensor, key: str) -> Tensor:
        return f.conv2d(mirror(x, 1), state[key], stride=2, groups=x.shape[1])

    def doubled(x: Tensor) -> Tensor:
        return f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    features = [mirror(images, 3)]
    x = active(conv(features[0], "model.1"))
    features.append(conv(x, "model.4", padding=1))
    x = halved(active(features[-1]), "model.7.filt")
    features.append(conv(x, "model.8", padding=1))
    x = halved(active(features[-1]), "model.11.filt")
    for block in ("model.12.conv_block", "model.13.conv_block"):
        inner = active(conv(mirror(x, 1), f"{block}.1"))
        x = x + f.instance_norm(conv(mirror(inner, 1), f"{block}.5"))
        features.append(x)
    x = active(conv(doubled(x), "model.15", padding=1))
    x = active(conv(doubled(x), "model.19", padding=1))
    return torch.tanh(conv(mirror(x, 3), "model.23")), features


def test_published_generator_has_the_original_keys_and_11_378_179_parameters() -> None:
    with torch.device("meta"):
        network = CUT()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    expected = {f"{place}.weight": shape for place, shape in PUBLISHED_WEIGHTS.items()}
    expected |= {f"{place}.bias": shape[:1] for place, shape in PUBLISHED_WEIGHTS.items()}
    assert shapes == expected | PUBLISHED_BLURS
    # as many as CycleGAN's: the blurs have none
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_378_179


def test_network_computes_what_the_table_says(cut_state: MakeState, images: Tensor) -> None:
    state = cut_state()
    network = CUT.build_from_state(state).eval()
    with torch.no_grad():
        expected, features = by_the_table(state, images)
        torch.testing.assert_close(network.translate(images), expected)
        torch.testing.assert_close(network.encode(images), features)
        translated, on_the_way = network.translate_and_encode(images)
    torch.testing.assert_close(translated, expected)
    torch.testing.assert_close(on_the_way, features)


@pytest.mark.parametrize(
    ("blocks", "places"),
    [(9, [0, 4, 8, 12, 16]), (6, [0, 4, 8, 12, 16]), (2, [0, 4, 8, 12, 13]), (1, [0, 4, 8, 12])],
)
def test_features_are_those_of_the_paper_s_layers(blocks: int, places: list[int]) -> None:
    network = CUT(channels=2, blocks=blocks)
    assert list(network.encoded) == places
    features = network.encode(torch.rand(1, 3, 16, 16))
    assert [feature.shape[1] for feature in features] == list(network.encoded.values())


@pytest.mark.parametrize(("channels", "blocks"), [(4, 2), (2, 6), (3, 9)])
def test_sizes_are_read_from_the_tensors(cut_state: MakeState, channels: int, blocks: int) -> None:
    state = cut_state(channels, blocks)
    assert CUT.config_of(state) == {"channels": channels, "blocks": blocks}
    assert CUT.build_from_state(state).state_dict().keys() == state.keys()


def test_a_published_checkpoint_loads_and_keeps_its_blurs(cut_state: MakeState, images: Tensor) -> None:
    state = cut_state()
    stored = save_weights(convert_checkpoint(saved({f"module.{k}": t for k, t in state.items()}), "cut"))
    network = build_network(load_weights(stored)).eval()
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(network.translate(images), by_the_table(state, images)[0])


def test_moving_the_image_by_its_stride_moves_the_translation(cut_state: MakeState) -> None:
    """Away from the border; and without the norms, which look everywhere."""
    network = CUT.build_from_state(cut_state())
    kept = [layer for layer in network.model if not isinstance(layer, torch.nn.InstanceNorm2d)]
    plain = torch.nn.Sequential(*[layer for layer in kept if not hasattr(layer, "conv_block")])
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        still, moved = plain(image), plain(image.roll(4, dims=3))
    torch.testing.assert_close(moved[..., 24:-20], still[..., 20:-24])

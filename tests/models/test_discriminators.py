import pytest
import torch
from torch.nn import functional as f

from models.layers.blocks import Padding
from models.layers.discriminators import AntialiasedPatchGAN, PatchGAN, PlainPatchGAN

# `latest_net_D_A.pth` of the published training: key and shape of each weight.
PUBLISHED: dict[str, tuple[int, ...]] = {
    "model.0": (64, 3, 4, 4),
    "model.2": (128, 64, 4, 4),
    "model.5": (256, 128, 4, 4),
    "model.8": (512, 256, 4, 4),
    "model.11": (1, 512, 4, 4),
}


def test_published_discriminator_has_the_original_keys_and_2_764_737_parameters() -> None:
    with torch.device("meta"):
        state = PatchGAN().state_dict()
    expected = {f"{layer}.weight": shape for layer, shape in PUBLISHED.items()}
    expected |= {f"{layer}.bias": shape[:1] for layer, shape in PUBLISHED.items()}
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == expected
    assert sum(tensor.numel() for tensor in state.values()) == 2_764_737


def test_network_computes_what_the_table_says() -> None:
    network = PatchGAN(channels=4)
    state = network.state_dict()
    x = images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for layer, stride in (("model.0", 2), ("model.2", 2), ("model.5", 2), ("model.8", 1), ("model.11", 1)):
        x = f.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], stride=stride, padding=1)
        if layer not in ("model.0", "model.11"):
            x = f.instance_norm(x)
        if layer != "model.11":
            x = f.leaky_relu(x, 0.2)
    with torch.no_grad():
        verdicts = network(images)
    assert verdicts.shape == (2, 1, 4, 6)
    torch.testing.assert_close(verdicts, x)


def test_a_verdict_sees_70_pixels() -> None:
    """Without the norms, which look everywhere, the gradient of one verdict covers its patch."""
    network = PatchGAN(channels=2)
    layers = [layer for layer in network.model if not isinstance(layer, torch.nn.InstanceNorm2d)]
    images = torch.rand(1, 3, 160, 160, requires_grad=True)
    torch.nn.Sequential(*layers)(images)[0, 0, 9, 9].backward()
    assert images.grad is not None
    seen = images.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_weights_fit_either_padding(padding: Padding) -> None:
    network = PatchGAN(channels=2, padding=padding)
    network.load_state_dict(PatchGAN(channels=2).state_dict())
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 1, 2, 2)


def test_reflection_changes_verdicts_at_the_border_only() -> None:
    plain, reflecting = PatchGAN(channels=2), PatchGAN(channels=2, padding="reflect")
    reflecting.load_state_dict(plain.state_dict())
    for network in (plain, reflecting):
        network.model = torch.nn.Sequential(
            *[layer for layer in network.model if not isinstance(layer, torch.nn.InstanceNorm2d)]
        )
    images = torch.rand(1, 3, 256, 256)
    with torch.no_grad():
        difference = (plain(images) - reflecting(images)).abs()
    assert difference[..., 6:-6, 6:-6].max() == 0
    assert difference.max() > 0


def test_anti_aliased_discriminator_has_the_keys_of_cut() -> None:
    with torch.device("meta"):
        network = AntialiasedPatchGAN()
    places = dict(zip((0, 3, 7, 11, 14), PUBLISHED.values(), strict=True))
    expected = {f"model.{place}.weight": shape for place, shape in places.items()}
    expected |= {f"model.{place}.bias": shape[:1] for place, shape in places.items()}
    expected |= {f"model.{place}.filt": (width, 1, 3, 3) for place, width in ((2, 64), (6, 128), (10, 256))}
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == expected
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_764_737


def test_anti_aliased_network_computes_what_the_table_says() -> None:
    network = AntialiasedPatchGAN(channels=4)
    state = network.state_dict()
    x = images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for layer in (0, 3, 7, 11, 14):
        x = f.conv2d(x, state[f"model.{layer}.weight"], state[f"model.{layer}.bias"], padding=1)
        if layer not in (0, 14):
            x = f.instance_norm(x)
        if layer != 14:
            x = f.leaky_relu(x, 0.2)
        if layer in (0, 3, 7):
            blur = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
            padded = f.pad(x, (1, 1, 1, 1), mode="reflect")
            x = f.conv2d(padded, blur.repeat(x.shape[1], 1, 1, 1), stride=2, groups=x.shape[1])
    with torch.no_grad():
        verdicts = network(images)
    assert verdicts.shape == (2, 1, 4, 6)
    torch.testing.assert_close(verdicts, x)


def test_without_norms_a_verdict_depends_on_how_bright_an_image_is() -> None:
    torch.manual_seed(0)
    with_norm = PatchGAN(channels=2, padding="reflect")
    without = PatchGAN(channels=2, padding="reflect", has_norm=False)
    assert without.state_dict().keys() == with_norm.state_dict().keys()
    for parameter in (*without.parameters(), *with_norm.parameters()):
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    grey, white = torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    torch.testing.assert_close(with_norm(grey), with_norm(white), atol=1e-3, rtol=0)
    assert (without(grey) - without(white)).abs().min() > 1e-3


@pytest.mark.parametrize(
    ("halvings", "places", "parameters", "side_px", "verdicts"),
    [(5, (0, 2, 4, 6, 8, 10, 12), 11_154_369, 320, 13), (4, (0, 2, 4, 6, 8, 10), 6_959_553, 32, 5)],
    ids=["whole images", "patches"],
)
def test_discriminators_of_enlightengan_have_the_original_keys_and_sizes(
    halvings: int, places: tuple[int, ...], parameters: int, side_px: int, verdicts: int
) -> None:
    with torch.device("meta"):
        network = PlainPatchGAN(64, halvings)
        images = torch.rand(1, 3, side_px, side_px)
    widths = [3, 64, 128, 256, 512, *[512] * (halvings - 3), 1]
    shapes: dict[str, tuple[int, ...]] = {}
    shapes |= {f"model.{place}.weight": (widths[n + 1], widths[n], 4, 4) for n, place in enumerate(places)}
    shapes |= {f"model.{place}.bias": (widths[n + 1],) for n, place in enumerate(places)}
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert network(images).shape == (1, 1, verdicts, verdicts)


@pytest.mark.parametrize("halvings", [4, 5])
def test_enlightengan_s_network_computes_what_the_table_says(halvings: int) -> None:
    network = PlainPatchGAN(channels=2, halvings=halvings)
    state = network.state_dict()
    x = images = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    strides = [*[2] * halvings, 1, 1]
    for number, stride in enumerate(strides):
        weight, bias = state[f"model.{2 * number}.weight"], state[f"model.{2 * number}.bias"]
        x = f.conv2d(x, weight, bias, stride=stride, padding=2)
        if number < len(strides) - 1:
            x = f.leaky_relu(x, 0.2)
    with torch.no_grad():
        torch.testing.assert_close(network(images), x)


def test_enlightengan_s_weights_fit_either_padding() -> None:
    plain, reflecting = PlainPatchGAN(2, 4), PlainPatchGAN(2, 4, "reflect")
    reflecting.load_state_dict(plain.state_dict())
    patches = torch.rand(2, 3, 32, 32)
    assert reflecting(patches).shape == plain(patches).shape == (2, 1, 5, 5)
    assert not torch.equal(reflecting(patches), plain(patches))

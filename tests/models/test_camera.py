"""The camera model of night: identity at strength 0, repeatable by seed, dark but not blind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from models.generators.camera import CameraNight
from models.generators.interface import Direction, Scene, SceneObject
from models.generators.night_scene import Dice, distant_lights, guess_view, street_lamps, vista
from models.generators.vehicle_lamps import vehicle_lights
from models.layers.lights import Spot, paint
from models.layers.sky import soft_sky
from models.layers.tone import linear_from_rendered, luma, rendered_from_linear

REAL_DAY = Path(__file__).parents[3] / "shared" / "data" / "street" / "images" / "day_train"
CAR = SceneObject((200.0, 110.0, 260.0, 150.0), "car", {})


def drawn_street(height: int = 180, width: int = 320) -> Tensor:
    """Blue sky over two grey walls and a road, with a little texture; a car-sized red block at `CAR`."""
    image = torch.empty((1, 3, height, width))
    image[:] = torch.tensor((0.42, 0.42, 0.43)).view(1, 3, 1, 1)
    horizon = int(0.45 * height)
    image[..., :horizon, :] = torch.tensor((0.60, 0.76, 0.95)).view(1, 3, 1, 1)
    image[..., int(0.2 * height) : horizon, : width // 4] = torch.tensor((0.62, 0.52, 0.44)).view(1, 3, 1, 1)
    x1, y1, x2, y2 = (int(v) for v in CAR.xyxy)
    image[..., y1:y2, x1:x2] = torch.tensor((0.7, 0.15, 0.12)).view(1, 3, 1, 1)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(5))
    return (image + 0.015 * noise).clamp(0, 1)


@pytest.fixture(scope="module")
def night() -> Callable[..., Tensor]:
    generator = CameraNight()

    def translate(
        image: Tensor, seed: int = 1, strength: float = 1.0, objects: tuple[SceneObject, ...] = ()
    ) -> Tensor:
        night_image: Tensor = generator(image, [Scene(seed, strength, objects)])
        return night_image

    return translate


def test_promise_of_the_class() -> None:
    generator = CameraNight()
    assert (generator.direction, generator.stride, generator.is_tileable) == (Direction.DAY2NIGHT, 1, False)
    assert not list(generator.state_dict())


def test_strength_nought_is_the_image_itself(night: Callable[..., Tensor]) -> None:
    image = drawn_street()
    assert torch.equal(night(image, strength=0.0, objects=(CAR,)), image)


def test_seed_decides_every_byte(night: Callable[..., Tensor]) -> None:
    image = drawn_street()
    assert torch.equal(night(image, seed=7), night(image, seed=7))
    assert not torch.equal(night(image, seed=7), night(image, seed=8))


def test_no_other_chance_is_used(night: Callable[..., Tensor]) -> None:
    before = torch.random.get_rng_state()
    night(drawn_street())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_batch_gives_what_each_image_gives_alone() -> None:
    images = torch.cat((drawn_street(), drawn_street().flip(-1)))
    scenes = [Scene(3, 1.0, (CAR,)), Scene(4, 0.5)]
    together = CameraNight()(images, scenes)
    alone = [CameraNight()(images[i : i + 1], scenes[i : i + 1]) for i in range(2)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (37, 53), (181, 323), (64, 400)])
def test_any_size_is_kept(night: Callable[..., Tensor], size: tuple[int, int]) -> None:
    whole = (0.0, 0.0, float(size[1]), float(size[0]))
    objects = (
        SceneObject(whole, "car", {}),
        SceneObject(whole, "traffic light", {"trafficLightColor": "red"}),
    )
    image = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    out = night(image, objects=objects)
    assert out.shape == image.shape
    assert bool(torch.isfinite(out).all())
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_flat_images_stay_in_range(night: Callable[..., Tensor], level: float) -> None:
    out = night(torch.full((1, 3, 40, 60), level))
    assert bool(torch.isfinite(out).all())
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_half_precision_comes_back_as_it_came(night: Callable[..., Tensor]) -> None:
    assert night(drawn_street().bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("seed", range(5))
def test_night_is_darker_and_its_sky_darkest(night: Callable[..., Tensor], seed: int) -> None:
    day = luma(drawn_street())
    dark = luma(night(drawn_street(), seed=seed))
    assert float(dark.mean()) < 0.6 * float(day.mean())
    sky, road = dark[..., :30, 100:], dark[..., 110:, :]
    assert float(sky.median()) < float(road.median())


@pytest.mark.parametrize("objects", [(), (CAR,)])
def test_mean_luma_falls_with_strength(
    night: Callable[..., Tensor], objects: tuple[SceneObject, ...]
) -> None:
    steps = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
    means = [float(luma(night(drawn_street(), 2, strength, objects)).mean()) for strength in steps]
    assert means == sorted(means, reverse=True)


def test_small_strength_changes_little(night: Callable[..., Tensor]) -> None:
    image = drawn_street()
    assert float((night(image, strength=0.01) - image).abs().mean()) < 0.02


@pytest.mark.parametrize(
    ("said", "part", "channel"),
    [("red", 0, 0), ("R", 0, 0), ("green", 2, 1), ("G", 2, 1)],
)
def test_traffic_light_shines_where_its_colour_sits(
    night: Callable[..., Tensor], said: str, part: int, channel: int
) -> None:
    image = drawn_street()
    image[..., 20:50, 150:162] = 0.1
    box = (150.0, 20.0, 162.0, 50.0)

    def excess(colour: str) -> Tensor:
        lamp = SceneObject(box, "traffic light", {"trafficLightColor": colour})
        patch = night(image, objects=(lamp,))[0, :, 20:50, 150:162]
        return (
            (patch[channel] - patch[1 - channel]).reshape(3, 10, 12).mean((1, 2))
        )  # upper, middle, lower third

    gain = excess(said) - excess("NA")
    assert float(gain[part]) > 0.1
    assert int(gain.argmax()) == part


def test_unknown_traffic_light_stays_dark(night: Callable[..., Tensor]) -> None:
    box = (150.0, 20.0, 162.0, 50.0)
    plain = night(drawn_street(), objects=(SceneObject(box, "traffic light", {}),))
    told = night(drawn_street(), objects=(SceneObject(box, "traffic light", {"trafficLightColor": "none"}),))
    assert torch.equal(plain, told)


def test_labelled_object_keeps_contrast(night: Callable[..., Tensor]) -> None:
    """A car never sinks to black: its mean light has a floor, and it differs from the road around it."""
    for seed in range(6):
        out = night(drawn_street(), seed=seed, objects=(CAR,))[0]
        inside, around = out[:, 118:142, 210:250], out[:, 118:142, 150:190]
        assert float(inside.max(0).values.mean()) > 0.12
        assert float((inside.mean((1, 2)) - around.mean((1, 2))).abs().max()) > 0.05


def drawn_rear(paint: float = 0.75) -> Tensor:
    """A grey body on a grey road with red glass at both sides, in the box of `CAR`."""
    image = torch.full((1, 3, 180, 320), 0.4)
    image[..., 110:150, 200:260] = paint
    for left in (204, 248):
        image[..., 130:136, left : left + 8] = torch.tensor((0.6, 0.1, 0.1)).view(1, 3, 1, 1)
    return image


def lamp_cores(each: SceneObject, scan: Tensor, seed: int) -> list[Spot]:
    """Lamps without their glow."""
    height, width = scan.shape[-2:]
    lights = vehicle_lights(guess_view(height, width, ()), (each,), scan, Dice(seed))
    return [spot for spot in lights.lamps if spot.edge > 2]


def test_lamps_of_vehicles_shine_and_blow_out_no_large_area(night: Callable[..., Tensor]) -> None:
    lit = 0
    for seed in range(6):
        out = night(drawn_rear(), seed, objects=(CAR,))
        assert float((luma(out) > 0.95).float().mean()) < 0.03
        lit += float(out[0, :, 110:150, 200:260].amax()) > 0.9
    assert lit >= 4


def test_head_lamps_are_white_with_a_bright_halo(night: Callable[..., Tensor]) -> None:
    image = torch.full((1, 3, 360, 640), 0.4)
    image[..., 220:300, 400:520] = 0.7
    image[..., 225:250, 420:500] = 0.2
    car = SceneObject((400.0, 220.0, 520.0, 300.0), "car", {})  # no red, symmetric: a front
    halos = []
    for seed in range(6):
        out = luma(night(image, seed, objects=(car,)))[0, 0]
        for x in (418, 502):
            halos.append(float(out[268 - 6, x]) if float(out[268, x]) > 0.97 else 0.0)
        assert float((out > 0.95).float().mean()) < 0.03
    assert sorted(halos)[len(halos) // 2] > 0.8


SIDE = SceneObject((100.0, 90.0, 220.0, 140.0), "car", {})  # 2.4 times as wide as high


def drawn_side(*, glass_at: int | None = None, paint: tuple[float, ...] = (0.6, 0.6, 0.6)) -> Tensor:
    """A vehicle seen from the side, in the box of `SIDE`, with red glass from column `glass_at` on."""
    image = torch.full((1, 3, 180, 320), 0.4)
    image[..., 90:140, 100:220] = torch.tensor(paint).view(1, 3, 1, 1)
    image[..., 95:110, 120:190] = 0.15
    if glass_at is not None:
        image[..., 112:118, glass_at : glass_at + 5] = torch.tensor((0.6, 0.1, 0.1)).view(1, 3, 1, 1)
    return image


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("box", [SIDE.xyxy, (100.0, 50.0, 220.0, 140.0), CAR.xyxy])
def test_red_paint_is_no_lamp(night: Callable[..., Tensor], seed: int, box: tuple[float, ...]) -> None:
    x1, y1, x2, y2 = (int(v) for v in box)
    image = torch.full((1, 3, 180, 320), 0.4)
    image[..., y1:y2, x1:x2] = torch.tensor((0.6, 0.08, 0.12)).view(1, 3, 1, 1)
    car = SceneObject((float(x1), float(y1), float(x2), float(y2)), "car", {})
    assert not any(_is_inside(spot, car) for spot in lamp_cores(car, image, seed))
    height, width = y2 - y1, x2 - x1
    body = night(image, seed, objects=(car,))[0, 0]
    body = body[y1 + height // 5 : y2 - height // 5, x1 + width // 3 : x2 - width // 3]
    assert float(body.max() - body.median()) < 0.25


@pytest.mark.parametrize("left", [300, 270])
def test_near_red_car_aslant_gets_no_discs_on_its_body(left: int) -> None:
    """About as wide as a front would be, as it is labelled with its wheels and roof; once almost cut."""
    image = torch.full((1, 3, 360, 640), 0.4)
    image[..., 26:313, left : left + 338] = torch.tensor((0.6, 0.08, 0.12)).view(1, 3, 1, 1)
    image[..., 60:120, left + 80 : left + 250] = 0.15
    image[..., 26:150, left : left + 70] = 0.5  # above the bonnet
    each = SceneObject((float(left), 26.0, left + 338.0, 313.0), "car", {})
    assert not any(lamp_cores(each, image, seed) for seed in range(10))


def _is_inside(spot: Spot, each: SceneObject) -> bool:
    x1, _, x2, _ = each.xyxy
    return x1 + 0.2 * (x2 - x1) < spot.x_px < x2 - 0.2 * (x2 - x1)


@pytest.mark.parametrize(("glass_at", "lit"), [(102, True), (212, True), (158, False), (None, False)])
@pytest.mark.parametrize("category", ["car", "bus", "truck"])
def test_side_shows_a_small_lamp_where_its_glass_ends_it(
    category: str, glass_at: int | None, lit: bool
) -> None:
    each = SceneObject(SIDE.xyxy, category, {})
    found = [lamp_cores(each, drawn_side(glass_at=glass_at), seed) for seed in range(8)]
    assert sum(map(len, found)) == (pytest.approx(8, abs=2) if lit else 0)
    for (spot,) in filter(None, found):
        assert spot.x_px == pytest.approx((glass_at or 0) + 2.5, abs=4)
        assert spot.radius_x_px < 3
        assert spot.colour[0] > 5 * max(spot.colour[1:])


@pytest.mark.parametrize("paint", [(0.9, 0.55, 0.1), (0.9, 0.8, 0.1), (0.1, 0.5, 0.9)])
def test_other_glass_than_red_is_no_tail_lamp(paint: tuple[float, ...]) -> None:
    image = drawn_side()
    image[..., 112:118, 102:107] = torch.tensor(paint).view(1, 3, 1, 1)
    assert not any(lamp_cores(SIDE, image, seed) for seed in range(8))


def test_red_lettering_is_no_lamp() -> None:
    image = drawn_rear()
    image[..., 126:132, 204:256] = torch.tensor((0.6, 0.1, 0.1)).view(1, 3, 1, 1)
    for seed in range(8):
        assert not any(230 - 10 < spot.x_px < 230 + 10 for spot in lamp_cores(CAR, image, seed))


@pytest.mark.parametrize("shift", [(-200, 0), (60, 0), (0, -110), (0, 30)])
def test_cut_box_gets_no_lamp(shift: tuple[int, int]) -> None:
    """Moved until it touches the left, right, upper or lower border."""
    right, down = shift
    image = drawn_rear().roll((down, right), (-2, -1))
    x1, y1, x2, y2 = CAR.xyxy
    each = SceneObject((x1 + right, y1 + down, x2 + right, y2 + down), "car", {})
    assert not any(lamp_cores(each, image, seed) for seed in range(10))


def test_rear_lamp_of_a_motorcycle_is_lit_where_it_is() -> None:
    image = torch.full((1, 3, 360, 640), 0.4)
    image[..., 100:260, 300:390] = 0.2
    image[..., 190:198, 370:380] = torch.tensor((0.7, 0.1, 0.1)).view(1, 3, 1, 1)
    each = SceneObject((300.0, 100.0, 390.0, 260.0), "motorcycle", {})
    found = [spot for seed in range(8) for spot in lamp_cores(each, image, seed)]
    assert len(found) >= 6
    for spot in found:
        assert spot.x_px == pytest.approx(375, abs=6)
        assert spot.y_px == pytest.approx(194, abs=5)
        assert spot.colour[0] > 5 * max(spot.colour[1:])


def drawn_wall() -> Tensor:
    """A plastered wall, painted light blue on the right, behind leaves and above a pavement: no sky."""
    image = torch.full((1, 3, 180, 320), 0.5)
    image[..., :100, :] = torch.tensor((0.62, 0.54, 0.45)).view(1, 3, 1, 1)
    image[..., :100, 220:] = torch.tensor((0.55, 0.80, 0.84)).view(1, 3, 1, 1)
    image[..., 20:90, 40:120] = torch.tensor((0.25, 0.45, 0.12)).view(1, 3, 1, 1)
    return image


@pytest.mark.parametrize("seed", range(8))
def test_scene_without_sky_gets_no_lamp_dots(night: Callable[..., Tensor], seed: int) -> None:
    out = luma(night(drawn_wall(), seed))
    smooth = torch.nn.functional.avg_pool2d(out, 9, stride=1, padding=4, count_include_pad=False)
    inside = torch.ones_like(out, dtype=torch.bool)
    for rows, columns in (((12, 98), (32, 128)), ((92, 108), (0, 320)), ((0, 108), (212, 228))):
        inside[..., slice(*rows), slice(*columns)] = False  # drawn edges
    assert float((out - smooth)[inside].max()) < 0.12


def test_street_lamps_need_a_vista() -> None:
    view = guess_view(180, 320, ())
    wall = soft_sky(drawn_wall(), 0.55)
    street = soft_sky(drawn_street(90, 160), 0.55)
    assert float(wall.mean()) < 0.02
    seen = {False: 0, True: 0}
    for is_street, sky in ((False, wall), (True, street)):
        columns = vista(view, sky)
        for seed in range(10):
            heads, cast = street_lamps(view, (), sky, columns, Dice(seed))
            assert cast  # the pool of light stays
            seen[is_street] += len(heads) + len(distant_lights(view, (), columns, Dice(seed)))
    assert seen[False] == 0
    assert seen[True] > 20


def test_sky_behind_a_branch_is_sky() -> None:
    image = torch.full((1, 3, 90, 160), 0.3)
    image[..., :12, 40:120] = 0.99
    image[..., 14:18, 60:80] = 0.99  # a gap of its own, two pixels below
    mask = soft_sky(image, 0.5)[0, 0]
    assert float(mask[15:17, 63:77].mean()) > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_rear_that_shows_red_glass_gets_its_lamps_there(seed: int) -> None:
    view = guess_view(180, 320, (CAR,))
    lights = vehicle_lights(view, (CAR,), drawn_rear(), Dice(seed))
    cores = [spot for spot in lights.lamps if spot.edge > 2]
    for spot, middle in zip(cores, (208, 252), strict=False):
        assert spot.x_px == pytest.approx(middle, abs=5)
        assert spot.y_px == pytest.approx(133, abs=4)
        assert spot.colour[0] > 5 * max(spot.colour[1:])


@pytest.mark.parametrize("category", ["car", "truck", "bus", "motorcycle", "autorickshaw"])
def test_lamps_sit_in_the_lower_part_of_the_box(category: str) -> None:
    view = guess_view(180, 320, ())
    each = SceneObject((140.0, 90.0, 180.0, 130.0), category, {})
    cores = [
        spot
        for seed in range(10)
        for spot in vehicle_lights(view, (each,), torch.full((1, 3, 180, 320), 0.4), Dice(seed)).lamps
        if spot.edge > 2
    ]
    for spot in cores:
        assert 140 <= spot.x_px <= 180
        assert 90 + 0.4 * 40 <= spot.y_px <= 130


def test_lamp_behind_a_nearer_vehicle_is_not_seen() -> None:
    view = guess_view(180, 320, ())
    nearer = SceneObject((180.0, 60.0, 300.0, 170.0), "bus", {})
    scan = torch.full((1, 3, 180, 320), 0.4)
    for seed in range(10):
        lamps = vehicle_lights(view, (CAR, nearer), scan, Dice(seed)).lamps
        assert all(spot.y_px > 120 for spot in lamps)
        assert all(not (110 < spot.y_px < 140 and 200 < spot.x_px < 260) for spot in lamps if spot.edge > 2)


@pytest.mark.parametrize("category", ["pedestrian", "bicycle", "traffic sign", "train"])
def test_what_has_no_lamps_gets_none(category: str) -> None:
    each = SceneObject((140.0, 90.0, 180.0, 130.0), category, {})
    lights = vehicle_lights(guess_view(180, 320, ()), (each,), torch.full((1, 3, 180, 320), 0.4), Dice(0))
    assert (lights.lamps, lights.cast) == ([], [])


def test_tone_curve_goes_there_and_back() -> None:
    pixels = torch.linspace(0, 1, 256)
    assert torch.allclose(rendered_from_linear(linear_from_rendered(pixels)), pixels, atol=2e-4)
    assert bool((torch.diff(linear_from_rendered(pixels)) > 0).all())


def test_sky_is_found_above_and_a_white_van_is_not_sky() -> None:
    image = drawn_street(90, 160)
    image[..., 60:75, 100:130] = 0.95
    mask = soft_sky(image, 0.45)[0, 0]
    assert float(mask[:12, 60:].mean()) > 0.8
    assert float(mask[50:].max()) < 0.05


def test_horizon_comes_from_cars() -> None:
    """Cars of 1.5 m seen from 3 m height stand twice their own height below the horizon."""
    cars = tuple(
        SceneObject((0.0, 200 + h, 2 * h, 200 + 2 * h), "car", {}) for h in (20.0, 40.0, 80.0, 120.0)
    )
    view = guess_view(720, 1280, cars)
    assert view.horizon_px == pytest.approx(200, abs=1)
    assert view.camera_m == pytest.approx(3.0, rel=0.3)


def test_spots_outside_the_canvas_are_left_out() -> None:
    spots = [Spot(-900, 5, 3, 3, (1, 1, 1)), Spot(5, 900, 3, 3, (1, 1, 1)), Spot(5, 5, 2, 2, (1.0, 0.0, 0.0))]
    light = paint(spots, (20, 20), (10, 10))
    assert int(light[0, 0].argmax()) in {22, 23, 32, 33}
    assert float(light[0, 1:].max()) == 0


@pytest.mark.skipif(not REAL_DAY.is_dir(), reason="the shared development data is not beside this checkout")
def test_real_day_streets_become_night(night: Callable[..., Tensor]) -> None:
    for seed, path in enumerate(sorted(REAL_DAY.iterdir())[::100]):
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))
        day = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
        means = float(luma(day).mean()), float(luma(night(day, seed)).mean())
        assert 0.08 < means[1] < 0.75 * means[0]

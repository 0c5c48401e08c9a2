"""A training as a job: what it is given, what it leaves, and that a fault in the middle changes nothing."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torchvision.models import squeezenet1_1

from models.errors import GeneratorError
from models.registry import load_generator
from models.training.errors import RecipeRejected
from models.training.session import TrainingOrder, run_training
from service.catalogue import GeneratorCard
from service.errors import InvalidRequest
from service.jobs.job import CHECKPOINT_EVENT, SAMPLE_EVENT, TRAINING_EVENT, JobKind, Stage
from service.storage import keys
from workers.context import Outcome

STEPS = 8
TINY = f"""
[networks]
generator_channels = 4
generator_blocks = 2
discriminator_channels = 4
[data]
crop_px = 32
resize = "none"
[updates]
pool_size = 3
mixed_precision = false
[length]
steps = {STEPS}
log_every = 2
sample_every = 4
save_every = 3
"""


class Killed(BaseException):
    """Ends a stage as SIGKILL would: nothing in it gets to react."""


@pytest.fixture
def day(workshop: Any, kit: Any) -> Any:
    return workshop.ingest(kit.upload("bdd100k", frames=10))


@pytest.fixture
def night(workshop: Any, kit: Any) -> Any:
    return workshop.ingest(kit.upload("bdd100k", frames=12, timeofday="night"), licence="MIT")


def weights(workshop: Any, outcome: Outcome) -> list[bytes]:
    cards = [GeneratorCard(**card) for card in outcome.generators]
    return [workshop.store.read(keys.generator_weights(card.name, card.version)) for card in cards]


def test_a_training_ends_in_two_generators_with_their_cards(
    workshop: Any, kit: Any, day: Any, night: Any
) -> None:
    done = workshop.train(day, night, TINY, version=3)
    to_night, to_day = (GeneratorCard(**card) for card in done.published.generators)
    assert (to_night.reference, to_night.direction) == ("my-night:3", "day2night")
    assert (to_day.reference, to_day.direction) == ("my-night-night2day:3", "night2day")
    assert to_night.training_data == "9 day frames of 'days' and 11 night frames of 'nights'"
    assert "night frames: MIT" in to_night.licence
    assert f"{STEPS} steps" in to_night.title
    for card, content in zip((to_night, to_day), weights(workshop, done.published), strict=True):
        assert card.weights_sha256 == kit.sha256(content)
        load_generator(card.architecture, content)
        stored = json.loads(workshop.store.read(keys.generator_card(card.name, card.version)))
        assert stored == card.to_json()
        assert card.quality["translated"]["frames"] == 1  # that of the validation split
        assert card.quality["frames_were_trained_on"] is False
    translated = workshop.translate(day, to_night.to_json())
    assert len(translated.entries) == 10


def test_the_job_tells_losses_samples_and_checkpoints_as_they_happen(
    workshop: Any, day: Any, night: Any
) -> None:
    done = workshop.train(day, night, TINY)
    events = workshop.reporter.events
    losses = [data for kind, data in events if kind == TRAINING_EVENT]
    assert losses[-1]["step"] == STEPS
    assert {"G_A", "cycle_A", "D_B"} <= losses[-1]["losses"].keys()
    assert [data["step"] for kind, data in events if kind == SAMPLE_EVENT] == [4, 8]
    assert [data["step"] for kind, data in events if kind == CHECKPOINT_EVENT] == [3, 6, 8]
    plan_key = keys.plan(done.job_id)
    assert workshop.store.read(keys.training_sample(plan_key, 4)).startswith(b"\x89PNG")
    images = 2 * STEPS
    assert done.planned.parts[0].frames_total == images
    assert done.worked[0].frames_done == images
    assert workshop.reporter.progressed[-1] == (images, 0, images)


def test_only_frames_of_the_selection_are_trained_on(workshop: Any, kit: Any, day: Any, night: Any) -> None:
    plan = workshop.first_task(JobKind.TRAINING, kit.training_spec(day, night, TINY), day.result_id)
    outcome = workshop.do(plan)
    planned = [json.loads(line) for line in workshop.store.lines(plan.plan_key)]
    assert outcome.facts == {"frames": {"day": 9, "night": 11}, "steps": STEPS}
    assert all("/images/train/" in each["image"] for each in planned)
    assert {each["side"] for each in planned} == {"day", "night"}


@pytest.mark.parametrize("killed_at", [3, 6])
def test_a_killed_training_goes_on_and_ends_with_the_same_weights(
    workshop: Any, kit: Any, day: Any, night: Any, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    whole = weights(workshop, workshop.train(day, night, TINY).published)
    spec = kit.training_spec(day, night, TINY, names=["again", "again-night2day"])
    plan = workshop.first_task(JobKind.TRAINING, spec, day.result_id)
    planned = workshop.do(plan)
    work = workshop.work_task(plan, planned, planned.parts[0], 1)

    def die_after(kind: str, data: dict[str, Any]) -> None:
        if kind == CHECKPOINT_EVENT and data["step"] == killed_at:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(workshop.reporter, "event", die_after)
        with pytest.raises(Killed):
            workshop.do(work)
    workshop.reporter.events.clear()
    workshop.do(work)
    started = dict(workshop.reporter.events)["started"]
    assert started["step"] == killed_at
    publish = replace(plan, stage=Stage.PUBLISH, job_outcome=planned.facts, parts=(work.result_key,))
    assert weights(workshop, workshop.do(publish)) == whole


def test_the_steps_and_the_seed_of_the_wish_take_precedence(workshop: Any, day: Any, night: Any) -> None:
    short = workshop.train(day, night, TINY, steps=2, seed=1)
    other = workshop.train(day, night, TINY, steps=2, seed=2, version=2)
    assert short.planned.facts["steps"] == 2
    assert weights(workshop, short.published) != weights(workshop, other.published)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"recipe_toml": "[data]\ncrop_pixels = 32\n"}, "crop_px"),
        ({"recipe": "compakt"}, "compact"),
        ({"recipe_toml": "[losses]\nnce = 1.0\n"}, "nce"),
    ],
)
def test_a_bad_recipe_is_refused_before_anything_is_spent(
    workshop: Any, kit: Any, day: Any, night: Any, wish: dict[str, Any], said: str
) -> None:
    spec = {**kit.training_spec(day, night, ""), **wish}
    with pytest.raises(RecipeRejected) as refused:
        workshop.do(workshop.first_task(JobKind.TRAINING, spec, day.result_id))
    assert said in f"{refused.value.message} {refused.value.cure}"


@pytest.mark.parametrize(
    ("toml", "selection", "said"),
    [
        (TINY, {"timeofday": ["dawn/dusk"]}, "no night frames"),
        (TINY, {"split": ["val"]}, "1 night frames with split=val; at least 8"),
        (TINY.replace("crop_px = 32", "crop_px = 40"), {}, "smaller than the crop of 40 px"),
    ],
)
def test_frames_that_cannot_be_trained_on_are_named(
    workshop: Any, kit: Any, day: Any, night: Any, toml: str, selection: dict[str, Any], said: str
) -> None:
    spec = kit.training_spec(day, night, toml)
    spec["night"]["selection"] = selection
    with pytest.raises(InvalidRequest) as refused:
        workshop.do(workshop.first_task(JobKind.TRAINING, spec, day.result_id))
    assert said in refused.value.message


PERCEPTUAL = f"""{TINY}
[extra_losses]
perceptual = 0.5
[perceptual]
backbone = "squeezenet1_1"
layers = ["features.3"]
"""


@pytest.fixture
def squeezenet() -> bytes:
    """Weights of a small classifier, as torchvision has them, but made up."""
    buffer = io.BytesIO()
    torch.save(squeezenet1_1(weights=None).state_dict(), buffer)
    return buffer.getvalue()


def test_a_backbone_is_fetched_for_the_training(
    workshop: Any, day: Any, night: Any, squeezenet: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bytes | None] = []

    def called(order: TrainingOrder, report: Any, should_stop: Any) -> bool:
        given.append(None if order.backbone_file is None else order.backbone_file.read_bytes())
        return run_training(order, report, should_stop)

    monkeypatch.setattr("workers.stages.train_generator.run_training", called)
    backbone = workshop.upload(squeezenet)
    done = workshop.train(day, night, PERCEPTUAL, steps=2, backbone_upload_id=backbone)
    assert len(done.published.generators) == 2
    workshop.train(day, night, TINY, steps=1, version=2)
    assert given == [squeezenet, None]


@pytest.mark.parametrize(
    ("toml", "content", "said"),
    [
        (PERCEPTUAL, None, "needs a file of weights"),
        (PERCEPTUAL, b"no weights", "cannot be read"),
        (PERCEPTUAL.replace("squeezenet1_1", "resnet18").replace("features.3", "layer1"), True, "missing"),
        (TINY, True, "no loss of the recipe looks through one"),
    ],
)
def test_a_backbone_that_does_not_serve_is_refused_before_anything_is_spent(
    workshop: Any, kit: Any, day: Any, night: Any, squeezenet: bytes, toml: str, content: Any, said: str
) -> None:
    spec = kit.training_spec(day, night, toml)
    if content is not None:
        spec["backbone_upload_id"] = workshop.upload(squeezenet if content is True else content)
    with pytest.raises(GeneratorError) as refused:
        workshop.do(workshop.first_task(JobKind.TRAINING, spec, day.result_id))
    assert said in refused.value.message
    assert not workshop.store.exists(keys.plan(workshop.job_id))


def test_a_paper_that_learns_both_directions_takes_none(workshop: Any, day: Any, night: Any) -> None:
    with pytest.raises(RecipeRejected, match="direction"):
        workshop.train(day, night, TINY, direction="night2day")


ENLIGHTENGAN = """
[networks]
generator_channels = 2
discriminator_channels = 4
[data]
crop_px = 32
batch_size = 1
[perceptual]
backbone = "streetnet"
layers = ["layers.1"]
without = []
"""
WHOLE_IMAGES = """
[data]
crop_px = 0
resize = "none"
"""


@pytest.mark.parametrize("direction", ["", "night2day", "day2night"])
def test_a_paper_of_one_direction_makes_one_generator_with_the_plain_name(
    workshop: Any, day: Any, night: Any, direction: str
) -> None:
    wish = {"architecture": "enlightengan", "direction": direction, "steps": 1}
    done = workshop.train(day, night, ENLIGHTENGAN, **wish)
    (card,) = done.published.generators
    assert (card["name"], card["direction"]) == ("my-night", direction or "night2day")
    assert card["architecture"] == "enlightengan"
    assert done.published.facts == {"generators": ["my-night:1"]}


def test_a_direction_that_the_paper_does_not_have_is_refused(workshop: Any, day: Any, night: Any) -> None:
    with pytest.raises(RecipeRejected, match="direction"):
        workshop.train(day, night, WHOLE_IMAGES, architecture="sci", direction="day2night")


def test_whole_images_are_trained_on(workshop: Any, day: Any, night: Any) -> None:
    done = workshop.train(day, night, WHOLE_IMAGES, architecture="sci", steps=2)
    (card,) = done.published.generators
    assert (card["name"], card["direction"], card["architecture"]) == ("my-night", "night2day", "sci")
    # what SCI learns from, which is one side alone
    assert card["training_data"] == "11 night frames of 'nights'"
    assert card["licence"].startswith("night frames: ")


def test_whole_images_may_be_too_small_as_well(
    workshop: Any, kit: Any, night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.images.MIN_SIDE_PX", 1)  # as in datasets from before ingest had a limit
    upload = kit.upload("bdd100k", frames=10)
    upload["bdd100k/images/100k/train/frame-3.jpg"] = kit.picture(40, 31)
    with pytest.raises(InvalidRequest) as refused:
        workshop.train(workshop.ingest(upload), night, WHOLE_IMAGES, architecture="sci")
    assert "'frame-3.jpg' (40x31) is smaller than 32 px" in refused.value.message
    assert "crop" not in refused.value.cure


def test_a_training_from_before_there_were_directions_and_backbones_is_done(
    workshop: Any, kit: Any, day: Any, night: Any
) -> None:
    spec = kit.training_spec(day, night, TINY, steps=2)
    old = {name: spec[name] for name in spec.keys() - {"direction", "backbone_upload_id"}}
    assert len(workshop.run(JobKind.TRAINING, old, day.result_id).published.generators) == 2


def test_a_damaged_image_does_not_cost_the_training_its_end(
    workshop: Any, kit: Any, day: Any, night: Any
) -> None:
    spec = kit.training_spec(day, night, TINY)
    plan = workshop.first_task(JobKind.TRAINING, spec, day.result_id)
    planned = workshop.do(plan)
    work = workshop.work_task(plan, planned, planned.parts[0], 1)
    workshop.do(work)
    for entries in (day, night):
        for entry in entries.entries[-3:]:
            workshop.store.write(keys.dataset(entries.result_id, entry.image), b"no picture")
    publish = replace(plan, stage=Stage.PUBLISH, job_outcome=planned.facts, parts=(work.result_key,))
    (card, _) = workshop.do(publish).generators
    assert card["quality"]["translated"]["frames"] == 0

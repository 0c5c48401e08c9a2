"""A checkpoint becomes a generator that translates; anything else is refused and leaves nothing."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from models.errors import CheckpointRejected
from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from service.catalogue import GeneratorCard
from service.datasets.manifest import canonical_labels
from service.errors import InvalidRequest, ObjectNotFound
from service.jobs.job import JobKind, Stage
from service.storage import keys
from workers.context import Outcome
from workers.resident_generator import resident_translator


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    torch.manual_seed(0)
    return saved(CycleGAN(channels=4, blocks=6).state_dict())


@pytest.fixture
def import_(workshop: Any) -> Callable[..., Outcome]:
    def run(content: bytes, **wish: Any) -> Outcome:
        spec = {
            "upload_id": workshop.upload(content),
            "name": "my-night",
            "architecture": "cyclegan",
            "direction": "day2night",
            "options": {},
            "card": {},
            "filename": "latest_net_G_A.pth",
            "version": 1,
        }
        task = workshop.first_task(JobKind.GENERATOR_IMPORT, {**spec, **wish})
        outcome: Outcome = workshop.do(replace(task, stage=Stage.PUBLISH))
        return outcome

    return run


def test_a_checkpoint_becomes_weights_and_a_card(
    workshop: Any, kit: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    outcome = import_(checkpoint)
    (made,) = outcome.generators
    card = GeneratorCard(**made)
    weights = workshop.store.read(keys.generator_weights("my-night", 1))
    assert card.weights_sha256 == kit.sha256(weights)
    assert card.config == {"channels": 4, "blocks": 6}
    assert (card.reference, card.architecture, card.is_bundled) == ("my-night:1", "cyclegan", False)
    assert "latest_net_G_A.pth" in card.title
    assert card.paper == "arXiv:1703.10593"
    assert (card.training_data, card.licence) == ("not stated", "not stated")
    assert json.loads(workshop.store.read(keys.generator_card("my-night", 1))) == made
    assert outcome.facts == {"generator": "my-night:1"}


def test_the_card_repeats_what_its_operator_says(import_: Callable[..., Outcome], checkpoint: bytes) -> None:
    said = {"title": "Ours", "paper": "none yet", "training_data": "our streets", "licence": "MIT"}
    card = import_(checkpoint, card=said, direction="night2day", version=4).generators[0]
    assert card is not None
    assert {name: card[name] for name in said} == said
    assert (card["direction"], card["version"]) == ("night2day", 4)


def test_the_same_checkpoint_makes_the_same_weights(
    workshop: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    import_(checkpoint, name="one")
    import_(saved(torch.load(io.BytesIO(checkpoint), weights_only=True)), name="other")
    one, other = (workshop.store.read(keys.generator_weights(name, 1)) for name in ("one", "other"))
    assert one == other


@pytest.mark.parametrize(("direction", "timeofday"), [("day2night", "night"), ("night2day", "daytime")])
def test_an_imported_generator_translates_and_tags_by_its_direction(
    workshop: Any,
    kit: Any,
    import_: Callable[..., Outcome],
    checkpoint: bytes,
    direction: str,
    timeofday: str,
) -> None:
    card = import_(checkpoint, direction=direction).generators[0]
    source = workshop.ingest(kit.upload("bdd100k"))
    one = workshop.translate(source, card)
    assert len(one.entries) == 5
    for before, after in zip(source.entries, one.entries, strict=True):
        assert canonical_labels(after.frame) == canonical_labels(before.frame)
        assert after.frame.timeofday == timeofday
    cut = workshop.translate(source, card, frames_per_shard=2)
    assert cut.contents == one.contents
    assert one.json("card.json")["generator"]["weights_sha256"] == card["weights_sha256"]  # type: ignore[index]


def with_nan() -> bytes:
    state = CycleGAN(channels=4, blocks=6).state_dict()
    state["model.1.weight"][0, 0, 0, 0] = float("nan")
    return saved(state)


def without_a_tensor() -> bytes:
    state = CycleGAN(channels=4, blocks=6).state_dict()
    del state["model.4.bias"]
    return saved(state)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"", "cannot be read"),
        (lambda: b"no checkpoint at all", "cannot be read"),
        (lambda: saved(CycleGAN(channels=4, blocks=6).state_dict())[:-500], "cannot be read"),
        (lambda: saved(EnlightenGAN(channels=2).state_dict()), "an EnlightenGAN generator"),
        (lambda: saved({"model.0.weight": torch.zeros(4, 3, 4, 4)}), "PatchGAN"),
        (lambda: saved({"epoch": 3}), "Not only tensors"),
        (lambda: saved(PurePickle()), "Python objects"),
        (with_nan, "not finite: model.1.weight"),
        (without_a_tensor, "missing: model.4.bias"),
    ],
)
def test_a_wrong_checkpoint_is_refused_and_leaves_nothing(
    workshop: Any, import_: Callable[..., Outcome], make: Callable[[], bytes], words: str
) -> None:
    with pytest.raises(CheckpointRejected, match=words):
        import_(make())
    assert workshop.store.keys("generators") == []


class PurePickle:
    """Something whose loading would run code."""


def test_weights_that_were_changed_in_the_store_are_refused(
    workshop: Any, kit: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    card = import_(checkpoint).generators[0]
    source = workshop.ingest(kit.upload("bdd100k"))
    key = keys.generator_weights("my-night", 1)
    weights = bytearray(workshop.store.read(key))
    weights[-1] ^= 1
    workshop.store.write(key, bytes(weights))
    with pytest.raises(InvalidRequest, match="not those of its card"):
        workshop.translate(source, card)


def test_weights_that_are_gone_are_named(
    workshop: Any, kit: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    card = import_(checkpoint).generators[0]
    workshop.store.delete(keys.generator_weights("my-night", 1))
    with pytest.raises(ObjectNotFound, match="my-night"):
        workshop.translate(workshop.ingest(kit.upload("bdd100k")), card)


def test_a_generator_stays_loaded_until_another_is_asked_for(
    workshop: Any, kit: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    card = import_(checkpoint).generators[0]
    assert card is not None

    def load(wanted: dict[str, Any], batch_size: int = 1) -> Any:
        return resident_translator(wanted, batch_size, workshop.settings, workshop.store)

    first = load(card)
    workshop.store.delete(keys.generator_weights("my-night", 1))
    assert load(card) is first, "nothing is read again"
    assert load(kit.cards["identity"]) is not first
    with pytest.raises(ObjectNotFound):
        load(card)
    assert load(kit.cards["identity"], 1).batch_size == 1
    assert load(kit.cards["identity"], 3).batch_size == 3


def test_another_version_is_another_generator(workshop: Any, import_: Callable[..., Outcome]) -> None:
    cards = []
    for version in (1, 2):
        torch.manual_seed(version)
        outcome = import_(saved(CycleGAN(channels=4, blocks=6).state_dict()), version=version)
        cards += outcome.generators
    one, other = (resident_translator(card, 1, workshop.settings, workshop.store).generator for card in cards)
    assert one is not other
    assert cards[0]["weights_sha256"] != cards[1]["weights_sha256"]

"""A checkpoint becomes a generator that translates; anything else is refused and leaves nothing."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import CheckpointRejected
from models.generators.cyclegan import CycleGAN
from models.generators.enlightengan import EnlightenGAN
from models.generators.kind import KinD
from models.weights import ConvertedWeights
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


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_all_parts_of_a_checkpoint_are_converted_together(
    workshop: Any, import_: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    given: list[Any] = []

    def convert(source: Any, architecture: str, options: dict[str, Any]) -> ConvertedWeights:
        given.append((source, architecture, options))
        return ConvertedWeights("cyclegan", CycleGAN(channels=4, blocks=6).state_dict(), {"ratio": 0.2})

    monkeypatch.setattr("workers.stages.import_generator.convert_checkpoint", convert)
    more = [workshop.upload(b"part %d" % number) for number in range(1, parts + 1)]
    wish = {"architecture": "cyclegan", "options": {"ratio": 0.2}}
    card = import_(b"part 0", part_upload_ids=more, **wish).generators[0]
    content = [b"part %d" % number for number in range(parts + 1)]
    assert given == [(content if parts else content[0], *wish.values())]
    assert card["config"] == {"ratio": 0.2}


def test_a_part_that_is_gone_is_named(import_: Callable[..., Outcome], checkpoint: bytes) -> None:
    with pytest.raises(ObjectNotFound, match="up-gone"):
        import_(checkpoint, part_upload_ids=["up-gone"])


def test_a_part_too_many_is_refused(
    workshop: Any, import_: Callable[..., Outcome], checkpoint: bytes
) -> None:
    with pytest.raises(CheckpointRejected):
        import_(checkpoint, part_upload_ids=[workshop.upload(checkpoint)])
    assert workshop.store.keys("generators") == []


def as_published(network: KinD, part: str, scope: str) -> bytes:
    """One of KinD's networks, as its TensorFlow code names and lays out the variables."""
    arrays = {}
    for key, tensor in getattr(network, part).state_dict().items():
        layer, _, kind = key.partition(".")
        name = f"{scope}/{layer}/{'weights' if kind == 'weight' else 'biases'}:0"
        arrays[name] = (tensor.permute(2, 3, 1, 0) if kind == "weight" else tensor).numpy()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def kind_parts() -> list[bytes]:
    torch.manual_seed(0)
    network = KinD(restoration_channels=0)
    parts = (("decomposition", "DecomNet"), ("adjustment", "Illumination_adjust_net"))
    return [as_published(network, *part) for part in parts]


def test_a_kind_in_two_files_brightens_by_its_own_ratio_or_by_the_wish(
    workshop: Any, kit: Any, import_: Callable[..., Outcome], kind_parts: list[bytes]
) -> None:
    first, second = kind_parts
    made = import_(
        first, part_upload_ids=[workshop.upload(second)], architecture="kind", options={"ratio": 0.2},
        filename="decomposition.npz, adjustment.npz",
    )  # fmt: skip
    card = made.generators[0]
    assert card["config"] == {"restoration_channels": 0, "ratio": 0.2}
    assert card["title"].endswith("imported from decomposition.npz, adjustment.npz")
    source = workshop.ingest(kit.upload("bdd100k", frames=1))
    untold, same, other = (workshop.translate(source, card, ratio=ratio) for ratio in (None, 0.2, 1.5))
    assert untold.entries[0].sha256 == same.entries[0].sha256 != other.entries[0].sha256


def test_half_of_a_kind_is_refused(
    workshop: Any, import_: Callable[..., Outcome], kind_parts: list[bytes]
) -> None:
    with pytest.raises(CheckpointRejected, match="missing: adjustment") as refused:
        import_(kind_parts[0], architecture="kind")
    assert "give those" in refused.value.cure
    assert workshop.store.keys("generators") == []


@pytest.mark.parametrize("ratio", [0, -1, 100, "bright"])
def test_a_kind_with_an_impossible_ratio_is_refused(
    workshop: Any, import_: Callable[..., Outcome], kind_parts: list[bytes], ratio: Any
) -> None:
    more = [workshop.upload(kind_parts[1])]
    with pytest.raises(CheckpointRejected, match="ratio"):
        import_(kind_parts[0], part_upload_ids=more, architecture="kind", options={"ratio": ratio})
    assert workshop.store.keys("generators") == []


@pytest.mark.parametrize("option", ["ratio", "align_corners"])
def test_an_option_that_the_network_does_not_have_is_named(
    workshop: Any, import_: Callable[..., Outcome], checkpoint: bytes, option: str
) -> None:
    with pytest.raises(CheckpointRejected, match=option) as refused:
        import_(checkpoint, options={option: 0.5})
    assert "a CycleGAN generator" in refused.value.message
    assert workshop.store.keys("generators") == []


def test_another_version_is_another_generator(workshop: Any, import_: Callable[..., Outcome]) -> None:
    cards = []
    for version in (1, 2):
        torch.manual_seed(version)
        outcome = import_(saved(CycleGAN(channels=4, blocks=6).state_dict()), version=version)
        cards += outcome.generators
    one, other = (resident_translator(card, 1, workshop.settings, workshop.store).generator for card in cards)
    assert one is not other
    assert cards[0]["weights_sha256"] != cards[1]["weights_sha256"]

"""The generator that stays loaded from one shard to the next."""

import hashlib
from typing import Any

from models.inference import Translator
from models.registry import bundled_weights, load_generator
from service.errors import InvalidRequest
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore

_resident: tuple[tuple[Any, ...], Translator] | None = None


def resident_translator(
    card: dict[str, Any], batch_size: int, settings: Settings, store: ObjectStore
) -> Translator:
    """The translator for a generator's card, loaded anew only when another one was asked for before.

    `batch_size` 0 and empty settings leave the choice to the machine.

    Raises:
        InvalidRequest: the stored weights are not those that the card names.
    """
    global _resident  # noqa: PLW0603 - the point of it: one process, one loaded generator
    weights_of = (card["name"], card["version"], card["weights_sha256"])
    identity = (*weights_of, batch_size, settings.device, settings.precision)
    if _resident is None or _resident[0] != identity:
        _resident = None  # let go of the old one's memory first
        generator = load_generator(card["architecture"], _weights(card, store))
        translator = Translator(
            generator,
            device=settings.device or None,
            precision=settings.precision or None,
            batch_size=batch_size or None,
        )
        _resident = (identity, translator)
    return _resident[1]


def _weights(card: dict[str, Any], store: ObjectStore) -> bytes | None:
    if card["weights_sha256"] is None:
        return None
    if card["is_bundled"]:
        weights = bundled_weights(card["name"])
    else:
        weights = store.read(keys.generator_weights(card["name"], card["version"]))
    if hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
        raise InvalidRequest(
            f"The stored weights of {card['name']}:{card['version']} are not those of its card.",
            "Import or train it again, or take the newest version.",
        )
    return weights

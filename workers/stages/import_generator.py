"""A checkpoint of an original repository becomes a generator of the catalogue: tensors only."""

import hashlib

from models.layouts import LAYOUTS
from models.weights import convert_checkpoint, save_weights
from service.catalogue import GeneratorCard
from service.storage import keys
from workers.artifacts import write_json
from workers.context import Bench, Outcome, ShardTask


def import_generator(task: ShardTask, bench: Bench) -> Outcome:
    """Raises:
    CheckpointRejected: naming what the file is, or which tensors do not fit.
    """
    spec = task.spec
    uploads = (spec["upload_id"], *spec.get("part_upload_ids", ()))
    parts = [bench.store.read(keys.upload(upload_id)) for upload_id in uploads]
    checkpoint = parts if len(parts) > 1 else parts[0]
    converted = convert_checkpoint(checkpoint, spec["architecture"], spec["options"])
    weights = save_weights(converted)
    layout = LAYOUTS[spec["architecture"]]
    said = spec["card"]
    card = GeneratorCard(
        name=spec["name"],
        version=spec["version"],
        title=said.get("title") or f"{layout.title}, imported from {spec['filename']}",
        direction=spec["direction"],
        architecture=spec["architecture"],
        paper=said.get("paper") or layout.paper,
        training_data=said.get("training_data") or "not stated",
        licence=said.get("licence") or "not stated",
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        is_bundled=False,
        config=dict(converted.config),
    )
    bench.store.write(keys.generator_weights(card.name, card.version), weights)
    write_json(bench.store, keys.generator_card(card.name, card.version), card.to_json())
    return Outcome(generators=[card.to_json()], facts={"generator": card.reference})

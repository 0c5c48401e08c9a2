"""How long and how finely the detectors of an experiment are trained: the same for every arm."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

Budget = Literal["steps", "epochs"]


@dataclass(frozen=True, slots=True)
class Training:
    """`steps` 0: as many as `epochs` passes over the baseline's frames take. `budget` "steps": every arm is
    trained for that many updates, so that none wins by being longer; "epochs": for that many passes over its
    own frames. `pretrain_steps`: updates of one common training by day that all arms start from; 0 for none.
    `learning_rate` None leaves it to the trainer. `patience`: epochs without a better result on the
    validation frames that end a training.
    """

    steps: int = 0
    epochs: int = 100
    batch: int = 16
    image_px: int = 640
    patience: int = 100
    budget: Budget = "steps"
    pretrain_steps: int = 0
    learning_rate: float | None = None

    def with_values(self, values: Mapping[str, Any]) -> "Training":
        """Changed where `values` holds something for a field; what is None there stays."""
        names = {field.name for field in fields(self)}
        return replace(
            self, **{name: value for name, value in values.items() if name in names and value is not None}
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

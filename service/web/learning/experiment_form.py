"""The form of a new experiment: what a browser sends becomes the API's wish."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel

from service.api.experiment_wishes import NewExperiment
from service.errors import InvalidRequest
from service.web.choices import chosen_frames
from service.web.forms import lines, wish


class ExperimentForm(BaseModel):
    """`data_name`, `data_id`, `data_select`: a row each of the datasets to train on; a row without a dataset
    is none. `arm`: recipes; without any the preset's are taken. `seeds`: how many, or which: `3`, `0, 1, 2`.
    `categories`: one a line; `category_map`: `bike = bicycle` on each line.
    """

    name: str = ""
    detector: str = ""
    preset: str = ""
    data_name: list[str] = []
    data_id: list[str] = []
    data_select: list[str] = []
    test_id: str = ""
    test_select: str = ""
    arm: list[str] = []
    seeds: str = "3"
    steps: int | None = None
    epochs: int | None = None
    pretrain_steps: int | None = None
    image_px: int | None = None
    batch: int | None = None
    frames_at_most: int | None = None
    test_at_most: int | None = None
    validation_frames: int = 500
    categories: str = ""
    category_map: str = ""
    scene_attribute: str = ""
    allow_leakage: bool = False

    def wish(self) -> NewExperiment:
        """Raises:
        InvalidRequest: a field says what cannot be read, or two rows have one name.
        """
        as_typed = (
            "steps", "epochs", "pretrain_steps", "image_px", "batch", "frames_at_most", "test_at_most",
            "validation_frames", "name", "scene_attribute", "allow_leakage",
        )  # fmt: skip
        return wish(
            NewExperiment,
            **{name: getattr(self, name) for name in as_typed},
            detector=self.detector or None,
            preset=self.preset or None,
            data=self._data(),
            test=self._test(),
            arms=[text.strip() for text in self.arm if text.strip()],
            seeds=_seeds(self.seeds),
            categories=lines(self.categories) or None,
            category_map=dict(_renamed(line) for line in lines(self.category_map)),
        )

    def _data(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        rows = zip_longest(self.data_name, self.data_id, self.data_select, fillvalue="")
        for name, dataset_id, select in rows:
            if not dataset_id:
                continue
            if name.strip() in found:
                raise InvalidRequest(f"Two datasets are called {name.strip()!r}.", "Give one another name.")
            found[name.strip()] = {"dataset_id": dataset_id, "select": chosen_frames(select)}
        if not found:
            raise InvalidRequest("There is nothing to train on.", "Choose the day frames first.")
        return found

    def _test(self) -> dict[str, Any]:
        if not self.test_id:
            cure = "Choose real night frames that no arm has trained on."
            raise InvalidRequest("There is nothing to test on.", cure)
        return {"dataset_id": self.test_id, "select": chosen_frames(self.test_select)}


def _seeds(text: str) -> int | Sequence[int]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not (words and all(word.isdecimal() and len(word) < 12 for word in words)):
        cure = "Write how many, such as 3, or which: 0, 1, 2."
        raise InvalidRequest(f"{text.strip()[:60]!r} says no seeds.", cure)
    numbers = [int(word) for word in words]
    return numbers[0] if len(numbers) == 1 and "," not in text else numbers


def _renamed(line: str) -> tuple[str, str]:
    name, equals, other = (word.strip() for word in line.partition("="))
    if not (name and equals and other):
        raise InvalidRequest(f"{line[:100]!r} names no category and its new name.", "Write bike = bicycle.")
    return name, other

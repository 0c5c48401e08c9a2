"""The form of a new translation: what was typed or stands in the address, and the wishes made of it."""

from typing import Annotated, Any

from fastapi.datastructures import QueryParams
from pydantic import BaseModel, Field, ValidationError, field_validator

from service.api.jobs import JpegQuality, Name, NewTranslation, Ratio, Seed, Strength
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.jobs.submit import TranslationWish
from service.web.forms import selected, wish

FEWEST_FRAMES, MOST_FRAMES = 4, 8
_LISTS = ("generator", "timeofday", "split", "preview")


class TranslationForm(BaseModel):
    """`preview`: the jobs whose pictures are shown. Of `timeofday` and `split`, none ticked means all."""

    dataset: str = ""
    generator: list[str] = []
    preview: list[str] = []
    frames: Annotated[int, Field(ge=FEWEST_FRAMES, le=MOST_FRAMES)] = FEWEST_FRAMES
    strength: Strength = 1.0
    ratio: Ratio | None = None
    seed: Seed = 0
    jpeg_quality: JpegQuality = 95
    error_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 5
    timeofday: list[str] = []
    split: list[str] = []
    name: Name = ""
    then_train: bool = False
    detector: str = ""
    test_dataset: str = ""
    night_dataset: str = ""

    @field_validator("ratio", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def selection(self) -> Selection:
        return Selection.from_json(selected(timeofday=self.timeofday, split=self.split))

    def wishes(self, adjustable: set[str], preview: int = 0) -> list[TranslationWish]:
        """One for each generator that is ticked; only those that are `adjustable` are told the ratio.

        Raises:
            InvalidRequest: none is ticked.
        """
        if not self.generator:
            raise InvalidRequest("No generator is ticked.", "Tick one, or several to compare them.")
        return [
            self._wish(each, self.ratio if each in adjustable else None, preview) for each in self.generator
        ]

    def then(self) -> dict[str, Any]:
        """What an experiment after the translation is asked for."""
        night = {"night": {"dataset_id": self.night_dataset}} if self.night_dataset else {}
        return {"data": night, "test": {"dataset_id": self.test_dataset}, "detector": self.detector or None}

    def _wish(self, generator: str, ratio: float | None, preview: int) -> TranslationWish:
        """The API's own model has the last word on what may be asked."""
        asked = wish(
            NewTranslation,
            dataset_id=self.dataset,
            generator=generator,
            name="" if preview else self.name,
            preview=preview,
            seed=self.seed,
            strength=self.strength,
            ratio=ratio,
            jpeg_quality=self.jpeg_quality,
            error_budget=self.error_percent / 100,
        )
        values = asked.model_dump(exclude={"select", "then_train"})
        return TranslationWish(**values, selection=self.selection)


def form_of_address(address: QueryParams) -> tuple[TranslationForm, list[str]]:
    """What an address says; what it says wrong is left out, and told."""
    values: dict[str, Any] = {
        name: address.getlist(name) if name in _LISTS else address[name]
        for name in TranslationForm.model_fields
        if name in address
    }
    try:
        return TranslationForm(**values), []
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault["msg"] for fault in error.errors(include_url=False)}
    right = {name: value for name, value in values.items() if name not in faults}
    return TranslationForm(**right), [f"{name}: {message}" for name, message in faults.items()]

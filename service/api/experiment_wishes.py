"""What an experiment's request may say, alone or as what follows a translation."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.datasets.selection import Selection
from service.experiments.arms import DATA_NAME, MOST_ARMS, MOST_FRAMES
from service.experiments.training import Budget, Training
from service.jobs.experiments import Chosen, ExperimentWish

MOST_DATA, MOST_SEEDS, MOST_SCENES = 20, 20, 100_000
MOST_STEPS, MOST_EPOCHS = 10_000_000, 100_000
DataName = Annotated[str, Field(pattern=rf"^{DATA_NAME}$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Word = Annotated[str, Field(max_length=200)]
Frames = Annotated[int, Field(ge=1, le=MOST_FRAMES)]


class ChosenFrames(BaseModel):
    """`select`: which frames. Of data to train on, the training split if no split is named."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset_id: str
    select: dict[str, list[str]] = {}

    def chosen(self) -> Chosen:
        return Chosen(self.dataset_id, Selection.from_json(self.select))


class NewExperiment(BaseModel):
    """`data`: the datasets that arms are made of, by name: `day`, `night`, `synthetic` or any other word.
    `arms`: recipes such as `day`, `day+night`, `day:1,synthetic:0.5`, `day#5000+night#5000` and
    `enhance:GENERATOR`; without them day is compared with day and each other data. `test`: the night frames
    that all are scored on. `seeds`: a list, or how many. `preset`: `classic` or `finetune`.
    `detector_upload_id`: an uploaded checkpoint to start from, if the operator allows it. `steps`, for every
    arm alike; 0: as many as `epochs` passes over the baseline's frames take; `budget` "epochs": passes over
    each arm's own. `category_map`: names that are to become others; `categories`: what is to be learnt.
    `scenes`, frame by frame, or `scene_attribute`, which says the scene: the intervals are then drawn over
    scenes. `allow_leakage`: go on although test frames are trained on.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    data: Annotated[dict[DataName, ChosenFrames], Field(min_length=1, max_length=MOST_DATA)]
    test: ChosenFrames
    name: Word = ""
    detector: Word | None = None
    detector_upload_id: str | None = None
    arms: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=MOST_ARMS)] = []
    preset: Word | None = None
    seeds: (
        Annotated[int, Field(ge=1, le=MOST_SEEDS)]
        | Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS)]
    ) = 3
    steps: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = None
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    batch: Annotated[int, Field(ge=1, le=1024)] | None = None
    image_px: Annotated[int, Field(ge=32, le=2048, multiple_of=32)] | None = None
    patience: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    budget: Budget | None = None
    pretrain_steps: Annotated[int, Field(ge=0, le=MOST_STEPS)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    frames_at_most: Frames | None = None
    test_at_most: Frames | None = None
    validation_frames: Frames = 500
    categories: Annotated[list[Word], Field(max_length=1000)] | None = None
    category_map: dict[Word, Word] = {}
    scenes: Annotated[dict[str, Word], Field(max_length=MOST_SCENES)] = {}
    scene_attribute: Word = ""
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    allow_leakage: bool = False

    def wish(self) -> ExperimentWish:
        training = self.model_dump(include=set(Training.__dataclass_fields__))
        translated = {"data", "test", "seeds", *training}
        return ExperimentWish(
            **self.model_dump(exclude=translated),
            data={name: frames.chosen() for name, frames in self.data.items()},
            test=self.test.chosen(),
            seeds=range(self.seeds) if isinstance(self.seeds, int) else self.seeds,
            training=training,
        )


class ThenTrain(NewExperiment):
    """An experiment that begins when a translation has succeeded: `data` is what there is besides `day`, the
    frames that are translated, and `synthetic`, what becomes of them. Such as `night`: real night frames.
    """

    data: Annotated[dict[DataName, ChosenFrames], Field(max_length=MOST_DATA)] = {}

"""What the API answers. The client reads the same types."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from service.jobs.job import DatasetState, Job, JobKind, JobState, Progress
from service.jobs.records import Dataset, Upload, UploadState
from service.webhooks.records import Delivery, DeliveryState, Webhook

if TYPE_CHECKING:  # the client reads these types without the database library
    from service.uploads.incoming import Incoming

Item = TypeVar("Item")
MOST_TOLD = 100


class UploadView(BaseModel):
    """`offset_bytes` are here of an upload that comes in pieces; its `sha256` is known when all are. Without
    a further piece it is kept until `expires_at`.
    """

    id: str
    filename: str
    state: UploadState
    size_bytes: int
    offset_bytes: int
    sha256: str | None
    created_at: datetime
    expires_at: datetime | None = None

    @classmethod
    def of(cls, upload: Upload) -> "UploadView":
        return cls(
            id=upload.id,
            filename=upload.filename,
            state=UploadState.COMPLETE,
            size_bytes=upload.size_bytes,
            offset_bytes=upload.size_bytes,
            sha256=upload.sha256,
            created_at=_time(upload.created_at),
        )

    @classmethod
    def of_incoming(cls, upload: "Incoming") -> "UploadView":
        return cls(
            id=upload.id,
            filename=upload.filename,
            state=upload.state,
            size_bytes=upload.size_bytes,
            offset_bytes=upload.offset_bytes,
            sha256=None,
            created_at=_time(upload.created_at),
            expires_at=_time(upload.expires_at),
        )


class DatasetView(BaseModel):
    """`counts` has frames, boxes, splits, categories, timeofday and findings once the dataset is ready; those
    made by this version also boxes_by_split, box_sizes (as COCO has them) and brightness, by tenths, and
    `size_bytes`: what it counts against the tenant's quota.
    """

    id: str
    name: str
    state: DatasetState
    job_id: str
    source: dict[str, Any]
    format: str | None
    categories: list[str]
    counts: dict[str, Any]
    size_bytes: int
    created_at: datetime

    @classmethod
    def of(cls, dataset: Dataset) -> "DatasetView":
        return cls(
            id=dataset.id,
            name=dataset.name,
            state=dataset.state,
            job_id=dataset.job_id,
            source=dataset.source,
            format=dataset.format,
            categories=dataset.categories,
            counts=dataset.counts,
            size_bytes=dataset.size_bytes,
            created_at=_time(dataset.created_at),
        )


class ProgressView(BaseModel):
    frames_total: int
    frames_done: int
    frames_failed: int
    images_per_second: float | None
    seconds_left: float | None

    @classmethod
    def of(cls, progress: Progress) -> "ProgressView":
        return cls(**{name: getattr(progress, name) for name in cls.model_fields})


class JobError(BaseModel):
    code: str
    message: str


class JobView(BaseModel):
    """`dataset_id` is what the job works on, `result_id` the dataset that it makes. It begins when the job
    `after_id` has succeeded, if there is one, and `follow_up_id` when this one has.
    """

    id: str
    kind: JobKind
    state: JobState
    dataset_id: str | None
    result_id: str | None
    parent_id: str | None
    after_id: str | None = None
    follow_up_id: str | None = None
    error: JobError | None
    progress: ProgressView
    spec: dict[str, Any]
    outcome: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, progress: Progress, follow_up_id: str | None = None) -> "JobView":
        error = None if job.error_code is None else JobError(code=job.error_code, message=job.error or "")
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            dataset_id=job.dataset_id,
            result_id=job.result_id,
            parent_id=job.parent_id,
            after_id=job.after_id,
            follow_up_id=follow_up_id,
            error=error,
            progress=ProgressView.of(progress),
            spec=_told(job.spec),
            outcome=job.outcome,
            created_at=_time(job.created_at),
            started_at=None if job.started_at is None else _time(job.started_at),
            finished_at=None if job.finished_at is None else _time(job.finished_at),
        )


class DatasetAndJob(BaseModel):
    dataset: DatasetView
    job: JobView


class LossesView(BaseModel):
    """The mean of each loss since the losses before."""

    step: int
    losses: dict[str, float]


class TrainingView(BaseModel):
    """How far a training is: `steps` is 0 until it has begun. `samples` are the steps that left a picture."""

    job: JobView
    step: int
    steps: int
    checkpoint_step: int
    images_per_second: float | None
    seconds_left: float | None
    losses: dict[str, float]
    samples: list[int]


class RunView(BaseModel):
    """The training of one arm with one seed: `state` is waiting, training or done; `steps` is 0 until it has
    begun. `validation` has map50 and map50_95 on the validation frames, never on the test set.
    """

    arm: str
    seed: int
    state: str
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    losses: dict[str, float] = {}
    validation: dict[str, float] = {}


class ArmView(BaseModel):
    """`parts`: what is trained on; `generator`: what brightens test frames, of an arm that trains none."""

    name: str
    parts: list[dict[str, Any]]
    generator: str | None
    runs: list[RunView]


class ExperimentView(BaseModel):
    """How far an experiment is. `current` is the run that was heard of last, `verdict` null until the end."""

    job: JobView
    arms: list[ArmView]
    pretraining: RunView | None
    current: RunView | None
    verdict: str | None


class GeneratorView(BaseModel):
    """A generator's card: what it is, where it comes from, under which licence."""

    name: str
    version: int
    reference: str
    title: str
    direction: str
    architecture: str
    paper: str
    training_data: str
    licence: str
    weights_sha256: str | None
    is_bundled: bool
    quality: dict[str, Any]
    config: dict[str, Any]


class FrameView(BaseModel):
    """One line of the manifest, and where its image is to be had, whole and small."""

    entry: dict[str, Any]
    image_url: str
    thumbnail_url: str


class WebhookView(BaseModel):
    id: str
    url: str
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookView":
        return cls(id=webhook.id, url=webhook.url, created_at=_time(webhook.created_at))


class NewWebhookView(WebhookView):
    """`secret` is shown this once: deliveries are signed with it."""

    secret: str

    @classmethod
    def of(cls, webhook: Webhook) -> "NewWebhookView":
        return cls(**WebhookView.of(webhook).model_dump(), secret=webhook.secret)


class DeliveryView(BaseModel):
    """`due_at`: when it is tried next, null once it has ended."""

    id: str
    job_id: str
    state: DeliveryState
    attempts: int
    last_answer: str | None
    due_at: datetime | None
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryView":
        return cls(
            id=delivery.id,
            job_id=delivery.job_id,
            state=delivery.state,
            attempts=delivery.attempts,
            last_answer=delivery.last_answer,
            due_at=_time(delivery.due_at) if delivery.finished_at is None else None,
            created_at=_time(delivery.created_at),
            finished_at=None if delivery.finished_at is None else _time(delivery.finished_at),
        )


class Page(BaseModel, Generic[Item]):
    """`next_cursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None


def _told(spec: dict[str, Any]) -> dict[str, Any]:
    """What was asked for; a table of thousands of scenes would weigh on every look at a job."""
    return {
        name: f"{len(value)} entries" if isinstance(value, dict) and len(value) > MOST_TOLD else value
        for name, value in spec.items()
    }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

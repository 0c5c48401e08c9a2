"""What a user can ask for: each function checks the wish, writes the job, then rings the doorbell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from service.catalogue import check_import, check_ratio, check_training
from service.datasets.dataset import Split, TimeOfDay
from service.datasets.plan import Options
from service.datasets.selection import Selection
from service.errors import IllegalTransition, InvalidRequest
from service.jobs.job import DatasetState, Job, JobKind, JobState, Shard, ShardState, Stage
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.queue import Queue, ring_if_possible
from service.jobs.records import Dataset
from service.jobs.store import JobStore, NewJob, new_id
from service.storage import keys
from service.storage.import_uris import BucketFolder


@dataclass(frozen=True, slots=True)
class Desk:
    """Where wishes are handed in: the stores that a submission touches."""

    jobs: JobStore
    library: Library
    leases: LeaseStore
    queue: Queue


@dataclass(frozen=True, slots=True)
class IngestWish:
    """From an upload, or from a `folder` of a bucket that the operator has registered."""

    upload_id: str | None
    name: str = ""
    options: Options = field(default_factory=Options)
    exclude_suspects: bool = False
    strict: bool = False
    licence: str = ""
    folder: BucketFolder | None = None


@dataclass(frozen=True, slots=True)
class TranslationWish:
    """`preview`: only so many frames, as a contact sheet, no dataset. `batch_size` 0: the machine chooses.
    `quality_frames`: on how many frames the report's figures are measured, at most; 0 for none. `ratio`: how
    many times as bright the images shall become, for generators that can be told; None leaves it to them.
    """

    dataset_id: str
    generator: str
    name: str = ""
    selection: Selection = field(default_factory=Selection)
    preview: int = 0
    seed: int = 0
    strength: float = 1.0
    ratio: float | None = None
    jpeg_quality: int = 95
    batch_size: int = 0
    error_budget: float = 0.05
    quality_frames: int = 256


@dataclass(frozen=True, slots=True)
class GeneratorImportWish:
    """`options`: what the tensors do not show, such as `align_corners` of an EnlightenGAN. `card`: what the
    operator says of the checkpoint (title, paper, training_data, licence). `part_upload_ids`: the further
    files of a checkpoint that comes in several. `shared`: for every tenant, not for the caller's alone."""

    upload_id: str
    name: str
    architecture: str
    direction: str
    options: dict[str, bool | int | float | str]
    card: dict[str, str]
    part_upload_ids: list[str] = field(default_factory=list)
    shared: bool = False


@dataclass(frozen=True, slots=True)
class TrainingWish:
    """`recipe`: the name of one that comes with Nightshift, or `recipe_toml`: a whole one. Without a split in
    a selection only frames of the training split are used. `steps` 0, `seed` None and an empty `direction`
    leave it to the recipe. `backbone_upload_id`: the weights that its perceptual losses look through.
    """

    architecture: str
    day_dataset_id: str
    night_dataset_id: str
    name: str = ""
    day_selection: Selection = field(default_factory=Selection)
    night_selection: Selection = field(default_factory=Selection)
    recipe: str = "default"
    recipe_toml: str = ""
    steps: int = 0
    seed: int | None = None
    direction: str = ""
    backbone_upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class QualityWish:
    """`reference_id`: a dataset of real night frames; without it the bundled figures of some are used.
    `backbone`: whose features are compared; `backbone_upload_id`: its weights, unless it is bundled.
    """

    dataset_id: str
    reference_id: str | None = None
    selection: Selection = field(default_factory=Selection)
    reference_selection: Selection = field(default_factory=Selection)
    backbone: str = "streetnet"
    backbone_upload_id: str | None = None


def submit_ingest(desk: Desk, wish: IngestWish) -> Job:
    name, source = _from_bucket(wish.folder) if wish.folder else _from_upload(desk, str(wish.upload_id))
    spec = {
        "upload_id": source.get("upload_id"),
        "options": wish.options.to_json(),
        "exclude_suspects": wish.exclude_suspects,
        "strict": wish.strict,
        "licence": wish.licence,
        "source": source,
    }
    dataset = {"id": new_id("ds"), "name": wish.name or name, "source": source, "format": None}
    return _submit(desk, JobKind.INGEST, spec, result=dataset)


def _from_upload(desk: Desk, upload_id: str) -> tuple[str, dict[str, Any]]:
    upload = desk.library.upload(upload_id)
    source = {"upload_id": upload.id, "filename": upload.filename, "sha256": upload.sha256}
    return upload.filename.removesuffix(".zip"), source


def _from_bucket(folder: BucketFolder) -> tuple[str, dict[str, Any]]:
    return folder.name, {"uri": folder.uri, "filename": folder.uri}


def submit_translation(desk: Desk, wish: TranslationWish) -> Job:
    return submit_all(desk, [translation_job(desk, wish)])[0]


def translation_job(desk: Desk, wish: TranslationWish) -> NewJob:
    """The job of a translation, checked but not yet handed in."""
    dataset = desk.library.ready_dataset(wish.dataset_id)
    card = desk.library.generator(wish.generator)
    if wish.ratio is not None:
        check_ratio(card, desk.library.made_generators())
    spec = {
        "generator": card.to_json(),
        "selection": wish.selection.to_json(),
        "preview": wish.preview,
        "seed": wish.seed,
        "strength": wish.strength,
        "ratio": wish.ratio,
        "jpeg_quality": wish.jpeg_quality,
        "batch_size": wish.batch_size,
        "error_budget": 1.0 if wish.preview else wish.error_budget,
        "quality_frames": 0 if wish.preview else wish.quality_frames,
        "categories": dataset.categories,
        "format": dataset.format,
    }
    if wish.preview:
        return new_job(JobKind.TRANSLATION, spec, dataset_id=dataset.id)
    result = {
        "id": new_id("ds"),
        "name": wish.name or f"{dataset.name} {card.name}",
        "source": {"dataset_id": dataset.id, "generator": card.reference},
        "format": dataset.format,
    }
    return new_job(JobKind.TRANSLATION, spec, dataset_id=dataset.id, result=result)


def submit_generator_import(desk: Desk, wish: GeneratorImportWish) -> Job:
    check_import(wish.name, wish.architecture, wish.direction)
    uploads = [desk.library.upload(each) for each in (wish.upload_id, *wish.part_upload_ids)]
    version = desk.library.reserve_generators([wish.name], wish.shared)
    filename = ", ".join(upload.filename for upload in uploads)
    spec = {**asdict(wish), "filename": filename, "version": version}
    return _submit(desk, JobKind.GENERATOR_IMPORT, spec, first_stage=Stage.PUBLISH)


def submit_training(desk: Desk, wish: TrainingWish) -> Job:
    name = wish.name or f"my-{wish.architecture}"
    # The second is for papers that learn both directions at once; of others it stays unused.
    names = [name, f"{name}-night2day"]
    check_training(wish.architecture, names, wish.direction)
    if wish.backbone_upload_id is not None:
        desk.library.upload(wish.backbone_upload_id)
    day, night = (desk.library.ready_dataset(each) for each in (wish.day_dataset_id, wish.night_dataset_id))
    is_same = day.id == night.id
    spec = {
        "architecture": wish.architecture,
        "names": names,
        "version": desk.library.reserve_generators(names),
        "day": _side(day, wish.day_selection, TimeOfDay.DAYTIME if is_same else None),
        "night": _side(night, wish.night_selection, TimeOfDay.NIGHT if is_same else None),
        "recipe": wish.recipe,
        "recipe_toml": wish.recipe_toml,
        "steps": wish.steps,
        "seed": wish.seed,
        "direction": wish.direction,
        "backbone_upload_id": wish.backbone_upload_id,
    }
    return _submit(desk, JobKind.TRAINING, spec, dataset_id=day.id)


def submit_quality(desk: Desk, wish: QualityWish) -> Job:
    dataset = desk.library.ready_dataset(wish.dataset_id)
    reference = None
    if wish.reference_id is not None:
        found = desk.library.ready_dataset(wish.reference_id)
        reference = _chosen(found, wish.reference_selection)
    if wish.backbone_upload_id is not None:
        desk.library.upload(wish.backbone_upload_id)
    spec = {
        "dataset": _chosen(dataset, wish.selection),
        "reference": reference,
        "backbone": {"name": wish.backbone, "upload_id": wish.backbone_upload_id},
    }
    return _submit(desk, JobKind.QUALITY, spec, dataset_id=dataset.id)


def retry(desk: Desk, job_id: str) -> Job:
    """A new job for one that failed or was cancelled; what it finished without a fault is taken over.

    One that followed another job begins at once if that one's dataset is ready by now, or else waits for the
    retry that is making it.

    Raises:
        IllegalTransition: the job has not failed, or another retry has taken up its dataset.
        InvalidRequest: what it follows has failed too, and nobody has retried that yet.
    """
    old = desk.jobs.job(job_id)
    if old.state not in (JobState.FAILED, JobState.CANCELLED):
        raise IllegalTransition(f"Job {job_id}", old.state, "retried (only a failed or cancelled job can be)")
    if old.dataset_id is not None:
        desk.library.dataset(old.dataset_id)  # it may have been deleted since
    shards = [shard for shard in desk.jobs.shards(old.id) if shard.stage is not Stage.PUBLISH]
    is_planned = any(shard.stage is Stage.PLAN and shard.state is ShardState.DONE for shard in shards)
    new = new_id("job")
    live = [shard for shard in shards if shard.state is not ShardState.SPLIT] if is_planned else []
    rows = [_taken_over(shard, new) for shard in live] or [_first_shard(new, _first_stage(old.kind))]
    desk.jobs.create(
        old.kind, old.spec, rows, job_id=new, dataset_id=old.dataset_id, result_id=old.result_id,
        parent_id=old.id, after_id=_still_after(desk, old), outcome=old.outcome if is_planned else {},
        is_planned=is_planned,
    )  # fmt: skip
    return _ring(desk, new)


def _side(dataset: Dataset, selection: Selection, timeofday: TimeOfDay | None) -> dict[str, Any]:
    """What to train on. A dataset that serves both sides is divided by its tags."""
    trained = for_training(selection).to_json()
    if timeofday is not None:
        trained.setdefault("timeofday", [str(timeofday)])
    return _chosen(dataset, Selection.from_json(trained))


def for_training(selection: Selection) -> Selection:
    """Without a split only the training split is meant."""
    return Selection.from_json({"split": [str(Split.TRAIN)], **selection.to_json()})


def _still_after(desk: Desk, old: Job) -> str | None:
    """What the retry of a job has to wait for."""
    earlier = None if old.after_id is None else desk.jobs.job(old.after_id)
    if earlier is None or earlier.result_id is None:
        return None
    dataset = desk.library.dataset(earlier.result_id)
    if dataset.state is DatasetState.REJECTED:
        raise InvalidRequest(
            f"Job {old.id} works on dataset {dataset.id}, whose making has failed.",
            f"Retry that first: nightshift jobs retry {dataset.job_id}",
        )
    return dataset.job_id if dataset.state is DatasetState.PENDING else None


def _chosen(dataset: Dataset, selection: Selection) -> dict[str, Any]:
    return {"dataset_id": dataset.id, "name": dataset.name, "selection": selection.to_json()}


def _submit(
    desk: Desk,
    kind: JobKind,
    spec: dict[str, Any],
    *,
    dataset_id: str | None = None,
    result: dict[str, Any] | None = None,
    first_stage: Stage = Stage.PLAN,
) -> Job:
    new = new_job(kind, spec, dataset_id=dataset_id, result=result, first_stage=first_stage)
    return submit_all(desk, [new])[0]


def new_job(kind: JobKind, spec: dict[str, Any], *, first_stage: Stage = Stage.PLAN, **more: Any) -> NewJob:
    """A job under a new id, with its first shard; `more` are further fields of a `NewJob`."""
    job_id = new_id("job")
    return NewJob(job_id, kind, spec, [_first_shard(job_id, first_stage)], **more)


def submit_all(desk: Desk, new: Sequence[NewJob]) -> list[Job]:
    """Write jobs that belong together, all or none, then ring."""
    desk.jobs.add(new)
    ring_if_possible(desk.queue, desk.leases)
    return [desk.jobs.job(job.id) for job in new]


def _ring(desk: Desk, job_id: str) -> Job:
    ring_if_possible(desk.queue, desk.leases)
    return desk.jobs.job(job_id)


def _first_stage(kind: JobKind) -> Stage:
    return Stage.PUBLISH if kind is JobKind.GENERATOR_IMPORT else Stage.PLAN


def _first_shard(job_id: str, stage: Stage) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "index": 0,
        "stage": stage,
        "plan_key": keys.plan(job_id),
        "result_key": keys.shard_result(job_id, 0),
    }


def _taken_over(shard: Shard, job_id: str) -> dict[str, Any]:
    """A finished shard keeps its result; any other starts anew, on the same range of the same plan."""
    is_kept = shard.state is ShardState.DONE and shard.frames_failed == 0
    fresh = replace(
        shard,
        job_id=job_id,
        state=ShardState.DONE if is_kept else ShardState.PENDING,
        result_key=shard.result_key if is_kept else keys.shard_result(job_id, shard.index),
        fence=0,
        attempts=0,
        strikes=0,
        losses=0,
        frames_done=shard.frames_done if is_kept else 0,
        frames_failed=0,
    )
    return {name: getattr(fresh, name) for name in Shard.__dataclass_fields__}

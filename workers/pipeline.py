"""Which function runs which stage of which job: the whole of data's way, in one table."""

from service.jobs.job import JobKind, Stage
from workers.context import Bench, Outcome, ShardTask, StageFunction
from workers.stages.assemble import assemble_dataset
from workers.stages.import_generator import import_generator
from workers.stages.ingest import ingest_frames, plan_ingest
from workers.stages.measure import measure_frames, plan_quality, publish_quality
from workers.stages.plan_experiment import plan_experiment
from workers.stages.preview import assemble_preview
from workers.stages.report import publish_experiment
from workers.stages.train_detector import train_detector
from workers.stages.train_generator import plan_training, publish_generators, train_generator
from workers.stages.translate import plan_translation, translate_frames

STAGES: dict[tuple[JobKind, Stage], StageFunction] = {
    (JobKind.INGEST, Stage.PLAN): plan_ingest,
    (JobKind.INGEST, Stage.WORK): ingest_frames,
    (JobKind.INGEST, Stage.PUBLISH): assemble_dataset,
    (JobKind.TRANSLATION, Stage.PLAN): plan_translation,
    (JobKind.TRANSLATION, Stage.WORK): translate_frames,
    (JobKind.TRANSLATION, Stage.PUBLISH): assemble_dataset,
    (JobKind.GENERATOR_IMPORT, Stage.PUBLISH): import_generator,
    (JobKind.TRAINING, Stage.PLAN): plan_training,
    (JobKind.TRAINING, Stage.WORK): train_generator,
    (JobKind.TRAINING, Stage.PUBLISH): publish_generators,
    (JobKind.QUALITY, Stage.PLAN): plan_quality,
    (JobKind.QUALITY, Stage.WORK): measure_frames,
    (JobKind.QUALITY, Stage.PUBLISH): publish_quality,
    (JobKind.EXPERIMENT, Stage.PLAN): plan_experiment,
    (JobKind.EXPERIMENT, Stage.WORK): train_detector,
    (JobKind.EXPERIMENT, Stage.PUBLISH): publish_experiment,
}


def run_stage(task: ShardTask, bench: Bench) -> Outcome:
    if task.stage is Stage.PUBLISH and task.spec.get("preview"):
        return assemble_preview(task, bench)
    return STAGES[task.kind, task.stage](task, bench)

"""Progress bars on stderr, so that stdout stays for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from service.api.views import ExperimentView, JobView, TrainingView
from service.client.client import Client
from service.client.folder import UploadSource
from service.client.output import one_line

# Names of files and arms stand in both: they are text, not markup.
TITLE = TextColumn("{task.description}", markup=False)
FACTS = TextColumn("{task.fields[facts]}", markup=False)
STAGES = {"queued": "waiting for a worker", "running": "working", "publishing": "publishing"}


@contextmanager
def transfer(console: Console, title: str, size_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """A bar of bytes; call what it yields with the size of each block."""
    columns = (SpinnerColumn(), TITLE, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(one_line(title), total=size_bytes)
        yield lambda count: progress.advance(task, count)


def send(console: Console, client: Client, path: Path) -> str:
    """Upload one file under a bar. Returns the upload's id."""
    source = UploadSource(path)
    with transfer(console, f"Uploading {source.filename}", source.size_bytes) as advance:
        return client.upload(path, advance, source)


@contextmanager
def job_bar(console: Console, title: str) -> Iterator[Callable[[JobView], None]]:
    """A bar of frames with images/s and the time left."""
    columns = (
        SpinnerColumn(),
        TITLE,
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        FACTS,
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(one_line(title), total=None, facts="")

        def show(job: JobView) -> None:
            seen = job.progress
            progress.update(
                task,
                total=seen.frames_total or None,
                completed=seen.frames_done + seen.frames_failed,
                facts=facts(job),
            )

        yield show


@contextmanager
def training_bar(
    console: Console, client: Client, samples: Path | None
) -> Iterator[Callable[[JobView], None]]:
    """A bar of steps with the losses and the time left; new samples are saved into a folder."""
    columns = (
        SpinnerColumn(),
        TextColumn("Training"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    saved: set[int] = set()
    with Progress(*columns, FACTS, console=console, transient=True) as progress:
        task = progress.add_task("Training", total=None, facts="")

        def show(job: JobView) -> None:
            seen = client.training(job.id)
            progress.update(task, total=seen.steps or None, completed=seen.step, facts=losses(seen))
            for step in seen.samples:
                if samples is not None and step not in saved:
                    samples.mkdir(parents=True, exist_ok=True)
                    (samples / f"step-{step:07d}.png").write_bytes(client.sample(job.id, step))
                    saved.add(step)

        yield show


@contextmanager
def experiment_bar(console: Console, client: Client) -> Iterator[Callable[[JobView], None]]:
    """A bar of the images shown to detectors, with the arm, how good it is so far and the time left."""
    columns = (SpinnerColumn(), TextColumn("Experiment"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, FACTS, console=console, transient=True) as progress:
        task = progress.add_task("Experiment", total=None, facts="")

        def show(job: JobView) -> None:
            seen = client.experiment_status(job.id)
            total, done = job.progress.frames_total, job.progress.frames_done
            progress.update(task, total=total or None, completed=done, facts=runs(seen))

        yield show


def runs(experiment: ExperimentView) -> str:
    """Where it is: `day+night, seed 1, epoch 3 of 50, validation mAP50 31.2%, 2 of 9 runs done, 5 s left`."""
    job, run = experiment.job, experiment.current
    all_runs = [each for arm in experiment.arms for each in arm.runs]
    done = sum(each.state == "done" for each in all_runs)
    if run is None or job.state != "running":
        parts = [STAGES.get(job.state, str(job.state))]
        if job.state == "queued" and job.after_id is not None:
            parts = [f"waiting for {job.after_id}"]
    elif all_runs and done == len(all_runs):
        parts = ["scoring"]
    else:
        parts = [one_line(run.arm), f"seed {run.seed}", f"epoch {run.epoch} of {run.epochs}"]
        if "map50" in run.validation:
            parts.append(f"validation mAP50 {run.validation['map50']:.1%}")
    parts.append(f"{done} of {len(all_runs)} runs done")
    if job.progress.seconds_left is not None and job.state == "running":
        parts.append(f"{duration(job.progress.seconds_left)} left")
    return ", ".join(parts)


def losses(training: TrainingView) -> str:
    """All terms: which of them tell something depends on the paper."""
    parts = [STAGES.get(training.job.state, str(training.job.state))]
    parts += [f"{term} {value:.3g}" for term, value in sorted(training.losses.items())]
    if training.seconds_left is not None:
        parts.append(f"{duration(training.seconds_left)} left")
    return ", ".join(parts)


def facts(job: JobView) -> str:
    seen = job.progress
    parts = [STAGES.get(job.state, str(job.state))]
    if seen.images_per_second is not None:
        parts.append(f"{seen.images_per_second:.1f} images/s")
    if seen.seconds_left is not None and job.state == "running":
        parts.append(f"{duration(seen.seconds_left)} left")
    if seen.frames_failed:
        parts.append(f"{seen.frames_failed} left out")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

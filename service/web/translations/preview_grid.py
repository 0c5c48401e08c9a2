"""The grid in which generators are compared: a row for each frame, the source first, then theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.api.dependencies import Services
from service.api.jobs import job_view
from service.api.previews import PreviewFrameView, preview_view
from service.api.views import JobView
from service.jobs.expected import measured_rate
from service.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Column:
    """What one generator makes of the frames; `image_urls` by the frame's place, None where there is none."""

    job: JobView
    images_per_second: float | None
    image_urls: list[str | None]

    @property
    def generator(self) -> str:
        card = self.job.spec["generator"]
        return f"{card['name']}:{card['version']}"

    @property
    def is_final(self) -> bool:
        return self.job.finished_at is not None


@dataclass(frozen=True, slots=True)
class Grid:
    """`frames` is empty until the first of the jobs has chosen them; all of them choose the same."""

    frames: list[PreviewFrameView]
    columns: list[Column]

    @property
    def is_final(self) -> bool:
        return all(column.is_final for column in self.columns)

    @property
    def state(self) -> str:
        """Another one means that there is something new to be seen."""
        done = (f"{column.job.state}{sum(map(bool, column.image_urls))}" for column in self.columns)
        return f"{len(self.frames)}-{'-'.join(done)}"


def grid_of(here: Services, jobs: Sequence[Job]) -> Grid:
    views = [preview_view(here, job).frames for job in jobs]
    frames = max(views, key=len, default=[])
    columns = [_column(here, job, seen, len(frames)) for job, seen in zip(jobs, views, strict=True)]
    return Grid(frames, columns)


def _column(here: Services, job: Job, frames: Sequence[PreviewFrameView], rows: int) -> Column:
    urls = [frame.image_url for frame in frames]
    return Column(job_view(here, job), measured_rate(job), urls + [None] * (rows - len(urls)))

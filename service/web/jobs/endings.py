"""What a job that has succeeded leads to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from service.api.views import JobView
from service.jobs.job import JobKind, JobState
from service.web.frames.figures import Row, rows


@dataclass(frozen=True, slots=True)
class Ending:
    """`text` and `path` of the main button, if there is a page for it; `rows` of a quality job's figures,
    under their `heading`."""

    text: str = ""
    path: str = ""
    heading: str = ""
    reference: str = ""
    rows: Sequence[Row] = ()


def ending_of(job: JobView) -> Ending | None:
    """None of a job that has not succeeded."""
    if job.state is not JobState.SUCCEEDED:
        return None
    if job.result_id is not None:
        text = "Open the dataset" if job.kind is JobKind.INGEST else "See the result"
        return Ending(text, f"/datasets/{job.result_id}")
    if job.spec.get("preview"):
        return Ending("Translate all frames", f"/translations/new?{_as_previewed(job)}")
    if job.kind in (JobKind.GENERATOR_IMPORT, JobKind.TRAINING):
        name = job.spec["name"] if job.kind is JobKind.GENERATOR_IMPORT else job.spec["names"][0]
        return Ending("See the generator", f"/generators/{quote(name)}:{job.spec['version']}")
    quality = job.outcome.get("quality")
    return Ending() if quality is None else _of_quality(str(job.dataset_id), quality)


def _as_previewed(job: JobView) -> str:
    """The form of a translation, filled in as the preview was."""
    card, spec = job.spec["generator"], job.spec
    filled = {"dataset": job.dataset_id, "generator": f"{card['name']}:{card['version']}", "preview": job.id}
    return urlencode({**filled, "seed": spec["seed"], "strength": spec["strength"]})


def _of_quality(dataset_id: str, quality: Mapping[str, Any]) -> Ending:
    reference = quality["reference"] or ""
    whom = f" beside {quality['reference_frames']:,} of {reference}" if reference else ""
    heading = f"{quality['frames']:,} frames{whom}, by the features of {quality['backbone']}"
    return Ending("To the dataset", f"/datasets/{dataset_id}", heading, reference, rows(quality, None))

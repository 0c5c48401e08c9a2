"""Jobs in words: what one is called, what goes on now, what stays of one that is cancelled."""

from collections.abc import Mapping
from typing import Any

from service.api.dependencies import Services
from service.api.views import JobView
from service.errors import NotFound
from service.jobs.job import JobKind, JobState

KINDS = {
    JobKind.INGEST: "Ingest",
    JobKind.TRANSLATION: "Translation",
    JobKind.QUALITY: "Quality figures",
    JobKind.GENERATOR_IMPORT: "Generator import",
    JobKind.TRAINING: "Training",
    JobKind.EXPERIMENT: "Experiment",
}
# What a cancellation leaves, to be read before it is asked for.
WHAT_STAYS = {
    JobKind.INGEST: "Frames that have been read stay for a retry. No dataset is made.",
    JobKind.TRANSLATION: "Finished parts stay for a retry, which goes on from there. No dataset is made.",
    JobKind.QUALITY: "Finished parts stay for a retry, which goes on from there.",
    JobKind.GENERATOR_IMPORT: "The upload stays; no generator is made.",
    JobKind.TRAINING: "The last checkpoint stays: a retry goes on from it. No generator is made.",
    JobKind.EXPERIMENT: "Detectors that are trained stay for a retry. No report is made.",
}


class DatasetNames:
    """Each is looked up once; one that was deleted is called by its id."""

    def __init__(self, here: Services) -> None:
        self._library = here.desk.library
        self._known: dict[str, str | None] = {}

    def __call__(self, dataset_id: str) -> str:
        return self.find(dataset_id) or dataset_id

    def find(self, dataset_id: str) -> str | None:
        if dataset_id not in self._known:
            try:
                self._known[dataset_id] = self._library.dataset(dataset_id).name or dataset_id
            except NotFound:
                self._known[dataset_id] = None
        return self._known[dataset_id]


def kind_of(job: JobView) -> str:
    return "Preview" if job.spec.get("preview") else KINDS[job.kind]


def title(job: JobView, names: DatasetNames) -> str:
    """What it is on: `Drawn streets with camera-night:1`."""
    spec = job.spec
    if job.kind is JobKind.INGEST:
        return names.find(str(job.result_id)) or str(spec["source"].get("filename", "a dataset"))
    if job.kind is JobKind.TRANSLATION:
        return f"{names(str(job.dataset_id))} with {reference_of(spec['generator'])}"
    if job.kind is JobKind.QUALITY:
        reference = spec["reference"]
        return str(spec["dataset"]["name"]) + (f" beside {reference['name']}" if reference else "")
    if job.kind is JobKind.GENERATOR_IMPORT:
        return f"{spec['name']}:{spec['version']}"
    if job.kind is JobKind.TRAINING:
        return f"{spec['names'][0]}:{spec['version']}"
    return str(spec["name"])


def tab_title(job: JobView) -> str:
    """`42 % · Translation`: what is read in a browser's tab."""
    done = job.progress.frames_done + job.progress.frames_failed
    is_counted = job.state is JobState.RUNNING and job.progress.frames_total > 0
    how_far = f"{100 * done // job.progress.frames_total} %" if is_counted else job.state.capitalize()
    return f"{how_far} · {kind_of(job)}"


def sentence(job: JobView, is_planned: bool) -> str:
    """What goes on; nothing of a job that has ended."""
    if job.state is JobState.QUEUED:
        return "Waits until the job before it has succeeded." if job.after_id else "Waits for a worker."
    if job.state is JobState.RUNNING and not is_planned:
        return _PLANNING.get(job.kind, "Chooses the frames and measures how long each takes.")
    if job.state is JobState.PUBLISHING:
        return "All parts are done; the result is put together."
    return "The workers stop." if job.state is JobState.CANCELLING else ""


_PLANNING = {
    JobKind.INGEST: "Opens the upload and finds its format.",
    JobKind.GENERATOR_IMPORT: "Reads the checkpoint.",
}


def reference_of(card: Mapping[str, Any]) -> str:
    return f"{card['name']}:{card['version']}"

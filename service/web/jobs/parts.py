"""The parts of a job's page, as the page has them at first and as its stream sends them when they change.

A digest of each part goes with the stream as the id of its events: whoever comes back after a pause says by
it what is on the page, and is sent what has changed since, and nothing else.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from service.access.scopes import Scope
from service.api.dependencies import Services
from service.api.views import JobView
from service.jobs.job import FINAL_JOB_STATES, Job, JobKind, JobState
from service.web.jobs.endings import ending_of
from service.web.jobs.findings import findings
from service.web.jobs.newest_pairs import newest_pairs
from service.web.jobs.timeline import timeline
from service.web.jobs.words import sentence, tab_title
from service.web.learning.experiments import experiment_panel
from service.web.learning.trainings import training_panel
from service.web.pages import render

PANELS = {
    JobKind.TRAINING: ("learning/_training.html", training_panel),
    JobKind.EXPERIMENT: ("learning/_experiment.html", experiment_panel),
}
DIGEST_CHARS = 8


class JobParts:
    """Of one job, for one viewer. What needs the store is made again only when it may have changed."""

    def __init__(self, here: Services, job_id: str) -> None:
        self._here = here
        self._job_id = job_id
        self._parts: dict[str, str] = {}
        self._seen_event = 0
        self._pairs_at: tuple[Any, ...] = ()
        self._state: JobState | None = None
        self.job: Job
        self.view: JobView

    @property
    def is_final(self) -> bool:
        return self._state in FINAL_JOB_STATES

    def look(self) -> Mapping[str, str]:
        """The parts by name, each HTML.

        Raises:
            NotFound: the job is not there for this caller.
        """
        look = self._here.desk.jobs.look(self._job_id)
        self.job, self.view = look.job, JobView.of(look.job, look.progress, look.follow_up_id)
        has_moved, self._state = look.job.state is not self._state, look.job.state
        self._parts["title"] = f"<title>{tab_title(self.view)} · Nightshift</title>"
        self._put("progress", "jobs/_job_progress.html", elapsed_seconds=_elapsed_seconds(look.job))
        if self._has_new_events() or has_moved:
            self._put_events()
        pairs_at = (look.progress.frames_done, look.job.state)
        if pairs_at != self._pairs_at:
            self._pairs_at = pairs_at
            self._put("pairs", "jobs/_job_pairs.html", pairs=newest_pairs(self._here, look.job))
        return self._parts

    def _put_events(self) -> None:
        job, view = self.job, self.view
        is_planned = job.work_started_at is not None or bool(job.outcome)
        may_write = Scope.JOBS_WRITE in self._here.caller.scopes
        ending = ending_of(view)
        self._put("state", "jobs/_job_state.html", sentence=sentence(view, is_planned))
        self._put("actions", "jobs/_job_actions.html", ending=ending, may_write=may_write)
        self._put("outcome", "jobs/_job_outcome.html", ending=ending)
        self._put("findings", "jobs/_job_findings.html", found=findings(self._here, job))
        self._put("timeline", "jobs/_job_timeline.html", happenings=timeline(self._here, job.id))
        if job.kind in PANELS:
            template, panel = PANELS[job.kind]
            self._put("panel", template, **panel(self._here, job))

    def _put(self, name: str, template: str, **values: Any) -> None:
        self._parts[name] = render(template, **{"job": self.view, **values}).strip()

    def _has_new_events(self) -> bool:
        last = self._here.desk.jobs.last_event(self._job_id)
        before, self._seen_event = self._seen_event, 0 if last is None else last.id
        return self._seen_event != before


def digests(parts: Mapping[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(html.encode()).hexdigest()[:DIGEST_CHARS] for name, html in parts.items()}


def shown_id(shown: Mapping[str, str]) -> str:
    """What is on a page, as an event's id: `progress.1a2b3c4d-state.5e6f7a8b`."""
    return "-".join(f"{name}.{digest}" for name, digest in sorted(shown.items()))


def parse_shown(text: str) -> dict[str, str]:
    """The digests of such an id; whatever else it is, nothing is on the page."""
    pairs = (each.partition(".") for each in text.split("-"))
    return {name: digest for name, _, digest in pairs if digest}


def _elapsed_seconds(job: Job) -> float:
    """Since its begin, or for how long it has been waiting for that."""
    return max(0.0, (job.finished_at or time.time()) - (job.started_at or job.created_at))

"""Jobs, whatever they do: listed, followed until they have ended, stopped, tried again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from service.api.views import JobView
from service.client.connection import Connection
from service.client.errors import JobFailed

POLL_SECONDS = 0.5


class JobCalls(Connection):
    def job(self, job_id: str) -> JobView:
        return JobView.model_validate(self._call("GET", f"/v1/jobs/{job_id}"))

    def jobs(self) -> Iterator[JobView]:
        return (JobView.model_validate(item) for item in self._pages("/v1/jobs"))

    def cancel(self, job_id: str) -> JobView:
        return JobView.model_validate(self._call("POST", f"/v1/jobs/{job_id}/cancel"))

    def retry(self, job_id: str) -> JobView:
        return JobView.model_validate(self._call("POST", f"/v1/jobs/{job_id}/retry"))

    def follow(self, job_id: str) -> Iterator[JobView]:
        """The job each time it has changed, until it has ended."""
        etag = ""
        while True:
            response = self._send("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": etag})
            if response.status_code != 304:
                etag = response.headers["ETag"]
                job = JobView.model_validate(response.json())
                yield job
                if job.finished_at is not None:
                    return
            time.sleep(POLL_SECONDS)

    def wait(self, job: JobView, seen: Callable[[JobView], None] | None = None) -> JobView:
        """Raises:
        JobFailed: it ended without success.
        """
        for job in self.follow(job.id):  # noqa: B020, PLR1704 - each round knows the job better
            if seen is not None:
                seen(job)
        if job.state != "succeeded":
            raise JobFailed(job)
        return job

    def job_report(self, job_id: str) -> dict[str, Any]:
        report: dict[str, Any] = self._call("GET", f"/v1/jobs/{job_id}/report")
        return report

"""Datasets: sent or imported, looked at, translated, measured, fetched."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from service.api.views import DatasetAndJob, DatasetView, JobView
from service.client.folder import UploadSource, refuse_used, unpack
from service.client.job_calls import JobCalls
from service.client.resumable import Refused, ResumableUpload

PAUSE = time.sleep
Advance = Callable[[int], None]


class DatasetCalls(JobCalls):
    def upload(
        self, path: str | Path, advance: Advance | None = None, source: UploadSource | None = None
    ) -> str:
        """Send a folder or a file. Returns the upload's id. It goes on where an earlier one of the same broke
        off; `advance` is told so, and with a negative number of what has to be sent again.
        """
        upload = ResumableUpload(self._http, source or UploadSource(Path(path)), advance or _unwatched, PAUSE)
        try:
            return upload.send()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except Refused as refusal:
            raise self._error(refusal.response) from None

    def create_dataset(self, upload_id: str, **options: Any) -> DatasetAndJob:
        """`options`: name, select, category_map, ignore_unknown, unlabelled, exclude_suspects, strict,
        licence.
        """
        body = {"upload_id": upload_id, **options}
        return DatasetAndJob.model_validate(self._call("POST", "/v1/datasets", json=body))

    def import_dataset(self, source_uri: str, **options: Any) -> DatasetAndJob:
        """From s3://bucket/prefix/ of a bucket that the server's operator has registered; `options` as of
        `create_dataset`. Nothing of it passes through this machine.
        """
        body = {"source_uri": source_uri, **options}
        return DatasetAndJob.model_validate(self._call("POST", "/v1/datasets", json=body))

    def wait_for_dataset(
        self, made: DatasetAndJob, seen: Callable[[JobView], None] | None = None
    ) -> DatasetView:
        """Raises:
        JobFailed: the dataset was rejected; its report says why.
        """
        self.wait(made.job, seen)
        return self.dataset(made.dataset.id)

    def dataset(self, dataset_id: str) -> DatasetView:
        return DatasetView.model_validate(self._call("GET", f"/v1/datasets/{dataset_id}"))

    def datasets(self) -> Iterator[DatasetView]:
        return (DatasetView.model_validate(item) for item in self._pages("/v1/datasets"))

    def delete_dataset(self, dataset_id: str) -> None:
        """For good. Not while a job makes it or works on it."""
        self._send("DELETE", f"/v1/datasets/{dataset_id}")

    def report(self, dataset_id: str) -> dict[str, Any]:
        report: dict[str, Any] = self._call("GET", f"/v1/datasets/{dataset_id}/report")
        return report

    def translate(self, dataset_id: str, generator: str, **options: Any) -> JobView:
        """`options`: name, select, preview, seed, strength, ratio, jpeg_quality, batch_size, error_budget,
        quality_frames, then_train (an experiment that follows: what `experiment` takes).
        """
        body = {"dataset_id": dataset_id, "generator": generator, **options}
        return JobView.model_validate(self._call("POST", "/v1/translations", json=body))

    def contact_sheet(self, job_id: str, path: str | Path) -> Path:
        """Save a translation's pairs of source and result as one JPEG."""
        response = self._send("GET", f"/v1/jobs/{job_id}/contact-sheet")
        Path(path).write_bytes(response.content)
        return Path(path)

    def measure(self, dataset_id: str, **options: Any) -> JobView:
        """`options`: reference_id, select, reference_select, backbone, backbone_upload_id. The figures are in
        the outcome of the job once it has succeeded.
        """
        body = {"dataset_id": dataset_id, **options}
        return JobView.model_validate(self._call("POST", "/v1/quality", json=body))

    def download(
        self, dataset_id: str, folder: str | Path, form: str = "yolo", advance: Advance | None = None
    ) -> Path:
        """Fetch a dataset and unpack it into a folder that must be empty or not yet there."""
        target = Path(folder)
        refuse_used(target)
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".nightshift-", suffix=".zip") as archive:
            for chunk in self.archive(dataset_id, form):
                archive.write(chunk)
                if advance is not None:
                    advance(len(chunk))
            archive.flush()
            unpack(Path(archive.name), target)
        return target

    def archive(self, dataset_id: str, form: str = "yolo") -> Iterator[bytes]:
        """The dataset's zip, in pieces as they come."""
        return self._stream(f"/v1/datasets/{dataset_id}/archive", format=form)


def _unwatched(_count: int) -> None:
    """Nobody looks at the progress."""

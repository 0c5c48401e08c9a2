"""The Python client: the same calls as curl makes, with the waiting done.

client = Client("http://127.0.0.1:8000")
dataset = client.wait_for_dataset(client.create_dataset(client.upload("./bdd100k")))
job = client.wait(client.translate(dataset.id, "camera-night"))
client.download(job.result_id, "./night")
"""

import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from service.api.access_views import KeyView, LimitsView, NewKeyView, RotatedKeyView
from service.api.views import (
    DatasetAndJob,
    DatasetView,
    DeliveryView,
    ExperimentView,
    GeneratorView,
    JobView,
    NewWebhookView,
    TrainingView,
    WebhookView,
)
from service.client.credentials import NoKey, find_key
from service.client.folder import UploadSource, refuse_used, unpack
from service.client.resumable import Refused, ResumableUpload
from service.errors import NightshiftError

POLL_SECONDS = 0.5
# How often a request is sent that the server asks to send later.
PATIENCE = 10
PAUSE = time.sleep
Advance = Callable[[int], None]


class ApiError(NightshiftError):
    """The server refused; `code` and the message are its own."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class KeyRefused(ApiError):
    """The server does not know the key, or not any more."""

    def __init__(self, url: str) -> None:
        cure = "Give a valid one with --key or NIGHTSHIFT_KEY; `nightshift up` makes one for this machine."
        super().__init__(401, "unauthorized", f"The server at {url} refuses the API key. {cure}")


class ServerUnreachable(NightshiftError):
    code = "server-unreachable"

    def __init__(self, url: str) -> None:
        super().__init__(f"No Nightshift server answers at {url}.", "Start one with: nightshift up")


class JobFailed(NightshiftError):
    """A job that was waited for ended without success."""

    def __init__(self, job: JobView) -> None:
        reason = job.error.message if job.error else f"it was {job.state}"
        super().__init__(f"Job {job.id} did not succeed: {reason}")
        self.code = job.error.code if job.error else str(job.state)
        self.job = job


class Client:
    """One server. Not thread-safe."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        transport: httpx.BaseTransport | None = None,
        key: str | None = None,
    ) -> None:
        """`key`: without one, that of NIGHTSHIFT_KEY or the one that `nightshift up` left for this server."""
        self.url = url.rstrip("/")
        self.key = key or find_key(self.url)
        # An upload or a zip of a large dataset may pause longer than any fixed limit; connecting may not.
        timeout = httpx.Timeout(60.0, connect=5.0, read=300.0)
        self._http = httpx.Client(base_url=self.url, timeout=timeout, transport=transport)
        if self.key is not None:
            self._http.headers["Authorization"] = f"Bearer {self.key}"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def is_ready(self) -> bool:
        try:
            return self._http.get("/readyz", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

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

    def job_report(self, job_id: str) -> dict[str, Any]:
        report: dict[str, Any] = self._call("GET", f"/v1/jobs/{job_id}/report")
        return report

    def wait_for_dataset(
        self, made: DatasetAndJob, seen: Callable[[JobView], None] | None = None
    ) -> DatasetView:
        """Raises:
        JobFailed: the dataset was rejected; its report says why.
        """
        self.wait(made.job, seen)
        return self.dataset(made.dataset.id)

    def translate(self, dataset_id: str, generator: str, **options: Any) -> JobView:
        """`options`: name, select, preview, seed, strength, ratio, jpeg_quality, batch_size, error_budget,
        quality_frames, then_train (an experiment that follows: what `experiment` takes).
        """
        body = {"dataset_id": dataset_id, "generator": generator, **options}
        return JobView.model_validate(self._call("POST", "/v1/translations", json=body))

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

    def contact_sheet(self, job_id: str, path: str | Path) -> Path:
        """Save a translation's pairs of source and result as one JPEG."""
        response = self._send("GET", f"/v1/jobs/{job_id}/contact-sheet")
        Path(path).write_bytes(response.content)
        return Path(path)

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

    def generators(self) -> list[GeneratorView]:
        return [GeneratorView.model_validate(item) for item in self._pages("/v1/generators")]

    def generator(self, reference: str) -> GeneratorView:
        """The card of a name, or of name:version."""
        return GeneratorView.model_validate(self._call("GET", f"/v1/generators/{reference}"))

    def import_generator(
        self, upload_id: str, name: str, architecture: str, direction: str, **more: Any
    ) -> JobView:
        """`more`: part_upload_ids (further files of the checkpoint), options (such as align_corners, ratio),
        card (title, paper, training_data, licence).
        """
        body = {
            "upload_id": upload_id,
            "name": name,
            "architecture": architecture,
            "direction": direction,
            **more,
        }
        return JobView.model_validate(self._call("POST", "/v1/generators", json=body))

    def train(self, architecture: str, day_dataset_id: str, night_dataset_id: str, **options: Any) -> JobView:
        """`options`: name, day_select, night_select, recipe or recipe_toml, steps, seed, direction,
        backbone_upload_id.
        """
        body = {
            "architecture": architecture,
            "day_dataset_id": day_dataset_id,
            "night_dataset_id": night_dataset_id,
            **options,
        }
        return JobView.model_validate(self._call("POST", "/v1/trainings", json=body))

    def experiment(self, data: Mapping[str, Any], test: str | Mapping[str, Any], **options: Any) -> JobView:
        """`data`: by name, such as day, night or synthetic, a dataset's id or `{"dataset_id", "select"}`;
        `test`: the same of the night test set. `options`: name, detector or detector_upload_id, arms, preset,
        seeds, steps, epochs, batch, image_px, patience, budget, pretrain_steps, learning_rate,
        frames_at_most, test_at_most, validation_frames, categories, category_map, scenes, scene_attribute,
        resamples, allow_leakage.
        """
        sides = {name: chosen_frames(each) for name, each in data.items()}
        body = {"data": sides, "test": chosen_frames(test), **options}
        return JobView.model_validate(self._call("POST", "/v1/experiments", json=body))

    def experiment_status(self, job_id: str) -> ExperimentView:
        return ExperimentView.model_validate(self._call("GET", f"/v1/experiments/{job_id}"))

    def experiment_report(self, job_id: str) -> dict[str, Any]:
        """What an experiment found; the job must have succeeded."""
        report: dict[str, Any] = self._call("GET", f"/v1/experiments/{job_id}/report")
        return report

    def experiment_page(self, job_id: str) -> bytes:
        """The report as one HTML page that needs nothing else."""
        return self._send("GET", f"/v1/experiments/{job_id}/report.html").content

    def experiment_summary(self, job_id: str) -> str:
        """The report in short, as Markdown."""
        return self._send("GET", f"/v1/experiments/{job_id}/report.md").text

    def detector(self, job_id: str, arm: str, seed: int, path: str | Path) -> Path:
        """Save the best weights of an experiment's arm with a seed, as Ultralytics loads them."""
        name = urllib.parse.quote(arm, safe="")
        with Path(path).open("wb") as file:
            for block in self._stream(f"/v1/experiments/{job_id}/detectors/{name}/{seed}"):
                file.write(block)
        return Path(path)

    def measure(self, dataset_id: str, **options: Any) -> JobView:
        """`options`: reference_id, select, reference_select, backbone, backbone_upload_id. The figures are in
        the outcome of the job once it has succeeded.
        """
        body = {"dataset_id": dataset_id, **options}
        return JobView.model_validate(self._call("POST", "/v1/quality", json=body))

    def add_webhook(self, url: str) -> NewWebhookView:
        """Its secret is in this answer alone."""
        return NewWebhookView.model_validate(self._call("POST", "/v1/webhooks", json={"url": url}))

    def webhooks(self) -> Iterator[WebhookView]:
        return (WebhookView.model_validate(item) for item in self._pages("/v1/webhooks"))

    def remove_webhook(self, webhook_id: str) -> None:
        self._send("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str) -> Iterator[DeliveryView]:
        """What became of each call, newest first."""
        return (
            DeliveryView.model_validate(item) for item in self._pages(f"/v1/webhooks/{webhook_id}/deliveries")
        )

    def training(self, job_id: str) -> TrainingView:
        return TrainingView.model_validate(self._call("GET", f"/v1/trainings/{job_id}"))

    def sample(self, job_id: str, step: int) -> bytes:
        """A picture (PNG) of what a training could do after so many steps."""
        return self._send("GET", f"/v1/trainings/{job_id}/samples/{step}").content

    def keys(self) -> Iterator[KeyView]:
        """Of the tenant; without their secrets."""
        return (KeyView.model_validate(item) for item in self._pages("/v1/keys"))

    def create_key(self, scopes: Sequence[str], **options: Any) -> NewKeyView:
        """`options`: name, expires_in_days. The answer alone has the key itself."""
        body = {"scopes": list(scopes), **options}
        return NewKeyView.model_validate(self._call("POST", "/v1/keys", json=body))

    def rotate_key(self, key_id: str, **options: Any) -> RotatedKeyView:
        """`options`: grace_seconds, for which the old key stays valid."""
        return RotatedKeyView.model_validate(self._call("POST", f"/v1/keys/{key_id}/rotate", json=options))

    def revoke_key(self, key_id: str) -> KeyView:
        return KeyView.model_validate(self._call("DELETE", f"/v1/keys/{key_id}"))

    def limits(self) -> LimitsView:
        """What the tenant may use, and what it uses."""
        return LimitsView.model_validate(self._call("GET", "/v1/limits"))

    def _pages(self, path: str) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self._call("GET", path, params={"cursor": cursor} if cursor else {})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        for _ in range(PATIENCE):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            if not _is_asked_to_wait(response) or "content" in options:  # what has been sent is gone
                break
            time.sleep(float(response.headers["Retry-After"]))
        if response.is_error:
            raise self._error(response)
        return response

    def _stream(self, path: str, **params: str) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", path, params=params) as response:
                if response.is_error:
                    response.read()
                    raise self._error(response)
                yield from response.iter_bytes(1 << 20)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _error(self, response: httpx.Response) -> NightshiftError:
        if response.status_code == 401:
            return KeyRefused(self.url) if self.key else NoKey(self.url)
        return _api_error(response)

    def _unreachable(self, error: httpx.TransportError) -> NightshiftError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ServerUnreachable(self.url)
        return ApiError(0, "connection-lost", f"The connection to {self.url} broke off ({error}). Try again.")


def _is_asked_to_wait(response: httpx.Response) -> bool:
    """Too many requests in too short a time; other reasons for a 429 do not pass so quickly."""
    if response.status_code != 429 or "Retry-After" not in response.headers:
        return False
    return _api_error(response).code == "too-many-requests"


def chosen_frames(frames: str | Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's id alone means all its frames."""
    return {"dataset_id": frames} if isinstance(frames, str) else dict(frames)


def _api_error(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
        return ApiError(response.status_code, problem["code"], problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, "http-error", f"The server answered {response.status_code}.")


def _unwatched(_count: int) -> None:
    """Nobody looks at the progress."""

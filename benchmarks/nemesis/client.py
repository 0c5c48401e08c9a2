"""What a user does, over HTTP, and the facts that the service promised that user.

A request that got no answer is sent again under the same Idempotency-Key, as any careful client would. Only
what was answered is a fact.
"""

import hashlib
import io
import json
import random
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from workers.images import encode_jpeg

ANSWER_SECONDS = 120.0
FINAL = {"succeeded", "failed", "cancelled"}


class Refused(Exception):
    """The service does not do what was asked."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
        self.code = answer.json().get("code", "")


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the service said is so. `at` is the client's clock."""

    at: float
    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class Client:
    """`facts` grow with every answer that promises something."""

    url: str
    key: str = ""
    facts: list[Fact] = field(default_factory=list)
    unanswered: int = 0
    """Requests that had to be sent again."""

    def upload(self, content: bytes) -> str:
        answer = self._ask("PUT", "/v1/uploads?filename=day.zip", content=content)
        sha256 = hashlib.sha256(content).hexdigest()
        assert answer["sha256"] == sha256, "the service received something else than was sent"
        self._note("upload", id=answer["id"], sha256=sha256)
        return str(answer["id"])

    def create_dataset(self, upload_id: str) -> dict[str, Any]:
        answer = self._ask("POST", "/v1/datasets", json={"upload_id": upload_id, "name": "day"})
        self._note("job", id=answer["job"]["id"], result_id=answer["dataset"]["id"])
        return answer

    def translate(self, dataset_id: str, **wish: Any) -> dict[str, Any]:
        body = {"dataset_id": dataset_id, "generator": "identity", "quality_frames": 0, **wish}
        answer = self._ask("POST", "/v1/translations", json=body)
        self._note("job", id=answer["id"], result_id=answer["result_id"])
        return answer

    def cancel(self, job_id: str) -> bool:
        """Whether the job had not ended before."""
        try:
            answer = self._ask("POST", f"/v1/jobs/{job_id}/cancel")
        except Refused as refused:
            if refused.code != "illegal-transition":
                raise
            return False
        self._note("cancel", id=job_id, state=answer["state"])
        return True

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self._ask("GET", f"/v1/jobs/{job_id}")
        if answer["state"] in FINAL:
            self._note("end", id=job_id, state=answer["state"], result_id=answer["result_id"])
        return answer

    def report(self, job_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/v1/jobs/{job_id}/report")

    def dataset(self, dataset_id: str) -> dict[str, Any]:
        answer = self._ask("GET", f"/v1/datasets/{dataset_id}")
        self._note("dataset", id=dataset_id, state=answer["state"], counts=answer["counts"])
        return answer

    def wait(self, job_id: str, seconds: float) -> dict[str, Any]:
        """Raises:
        TimeoutError: the job has not ended in that time.
        """
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id))["state"] not in FINAL:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is {job['state']} after {seconds:.0f} s: {job['progress']}")
            time.sleep(0.25)
        return job

    def _ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        begun = time.monotonic()
        while True:
            try:
                answer = httpx.request(method, self.url + path, headers=headers, timeout=20.0, **body)
            except httpx.HTTPError:
                self._retry(begun, "no answer")
                continue
            if answer.status_code < 400:
                found: dict[str, Any] = answer.json()
                return found
            # Whoever had the key may have been killed before it made anything; it is given up soon.
            is_in_progress = answer.status_code == 409 and "idempotency-in-progress" in answer.text
            if not is_in_progress and answer.status_code not in (429, 502, 503):
                raise Refused(answer)
            self._retry(begun, answer.text[:200])

    def _retry(self, begun: float, why: str) -> None:
        self.unanswered += 1
        if time.monotonic() - begun > ANSWER_SECONDS:
            raise TimeoutError(why)
        time.sleep(0.2)

    def _note(self, kind: str, **data: Any) -> None:
        self.facts.append(Fact(time.time(), kind, data))


def day_upload(frames: int, seed: int = 0) -> bytes:
    """A labelled set in YOLO's layout: tiny pictures, each unlike the others, with boxes of their own."""
    chance = random.Random(seed)
    pixels = np.random.default_rng(seed)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("day/data.yaml", "train: images/train\nval: images/val\nnames: [car, person]\n")
        for number in range(frames):
            split = "val" if number % 10 == 9 else "train"
            colours = pixels.integers(0, 255, (3, 4, 3), dtype=np.uint8)
            picture = encode_jpeg(np.kron(colours, np.ones((12, 12, 1), np.uint8)), 90)
            archive.writestr(f"day/images/{split}/{number:06d}.jpg", picture)
            x, y = chance.uniform(0.2, 0.8), chance.uniform(0.2, 0.8)
            archive.writestr(
                f"day/labels/{split}/{number:06d}.txt", f"{number % 2} {x:.6f} {y:.6f} 0.25 0.25\n"
            )
    return buffer.getvalue()


def as_json_lines(facts: list[Fact]) -> str:
    return "".join(json.dumps({"at": fact.at, "kind": fact.kind, **fact.data}) + "\n" for fact in facts)

"""Experiments: asked for, watched, read; the detectors that they leave."""

import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.api.views import ExperimentView, JobView
from service.client.connection import Connection


class ExperimentCalls(Connection):
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


def chosen_frames(frames: str | Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's id alone means all its frames."""
    return {"dataset_id": frames} if isinstance(frames, str) else dict(frames)

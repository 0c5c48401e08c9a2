"""Generators: the catalogue, what is added to it, how one is trained."""

from typing import Any

from service.api.views import GeneratorView, JobView, TrainingView
from service.client.connection import Connection


class GeneratorCalls(Connection):
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

    def training(self, job_id: str) -> TrainingView:
        return TrainingView.model_validate(self._call("GET", f"/v1/trainings/{job_id}"))

    def sample(self, job_id: str, step: int) -> bytes:
        """A picture (PNG) of what a training could do after so many steps."""
        return self._send("GET", f"/v1/trainings/{job_id}/samples/{step}").content

"""Hostile uploads go through the whole ingest, in this process; all that a row promises is looked at."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from service.errors import DatasetRejected
from service.settings import Settings
from service.storage.object_store import PENDING_SUFFIX, ObjectStore
from tests.workers.conftest import Done, Workshop, _same_decoders, kit

__all__ = ["_same_decoders", "kit"]

MAX_MESSAGE_CHARS = 700


class Gate:
    """What an upload comes to: a dataset and findings, or a refusal and nothing."""

    def __init__(self, workshop: Workshop, folders: list[Path]) -> None:
        self.workshop = workshop
        self._folders = folders

    def refuses(self, content: Any, **wish: Any) -> dict[str, Any]:
        """The finding that says why; nothing was published."""
        with pytest.raises(DatasetRejected) as refusal:
            self.workshop.ingest(content, **wish)
        report = self.workshop.rejection
        published = ("manifest.jsonl", "card.json", "data.yaml")
        assert not [key for key in self.workshop.store.keys("datasets") if key.endswith(published)]
        self._look_at(report)
        assert report["is_rejected"] is True
        finding: dict[str, Any] = report["findings"][0]
        assert (finding["code"], finding["message"]) == (refusal.value.code, refusal.value.message)
        assert finding["severity"] == "error"
        assert finding["cure"]
        return finding

    def takes(self, content: Any, **wish: Any) -> Done:
        done = self.workshop.ingest(content, **wish)
        self._look_at(done.report)
        stored = {entry.image for entry in done.entries}
        assert stored == {name for name in done.files if name.startswith("images/")}
        return done

    def findings(self, done: Done) -> dict[str, list[dict[str, Any]]]:
        by_code: dict[str, list[dict[str, Any]]] = {}
        for finding in done.report["findings"]:
            by_code.setdefault(finding["code"], []).append(finding)
        return by_code

    def _look_at(self, report: dict[str, Any]) -> None:
        for finding in report["findings"]:
            assert max(len(finding["path"]), len(finding["pointer"])) <= 200
            assert len(finding["message"]) <= MAX_MESSAGE_CHARS
            assert finding["cure"] or finding["severity"] != "error"
        left = [path for folder in self._folders for path in folder.rglob("*") if _is_left_over(path, folder)]
        assert left == []


def _is_left_over(path: Path, folder: Path) -> bool:
    return path.is_file() and (PENDING_SUFFIX in path.name or folder.name == "scratch")


@pytest.fixture
def gate(store: ObjectStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr("workers.stages.ingest.looks_like_night", lambda _: 0.5)
    shop = Workshop(store, settings.model_copy(update={"device": "cpu"}))
    return Gate(shop, [settings.data_dir, scratch])

"""What workers and the reconciler count, and what the GPU's driver says."""

import subprocess
from typing import Any

import pytest
from prometheus_client import generate_latest
from sqlalchemy import update

from service.jobs.database import Database, database_now
from service.jobs.submit import Desk, IngestWish, submit_ingest
from service.jobs.tables import shards
from workers import metrics
from workers.reconciler import reconcile


def told(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(name) or 0.0


def test_a_lease_that_is_taken_back_is_counted(desk: Desk, database: Database, queue: Any) -> None:
    desk.library.add_upload("up-a", "day.zip", 1, "0" * 64)
    job = submit_ingest(desk, IngestWish("up-a"))
    assert desk.leases.claim(job.id, 0, "worker") is not None
    before = told("nightshift_leases_taken_back_total")
    reconcile(desk.leases, queue)
    assert told("nightshift_leases_taken_back_total") == before
    with database.writing() as connection:
        connection.execute(update(shards).values(lease_until=database_now() - 1))
    reconcile(desk.leases, queue)
    assert told("nightshift_leases_taken_back_total") == before + 1


def driver(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    def run(command: list[str], **_: Any) -> Any:
        assert command[-1] == "--id=0,1"
        return subprocess.CompletedProcess(command, 0, answer, "")

    monkeypatch.setattr(metrics, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(metrics.subprocess, "run", run)


def test_the_memory_of_the_worker_s_own_gpus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, "0, 1024, 143771\n1, [N/A], [N/A]\n")
    text = generate_latest(metrics.REGISTRY).decode()
    assert 'nightshift_gpu_memory_used_bytes{gpu="0"} 1.073741824e+09' in text
    assert 'gpu="1"' not in text


def test_a_driver_that_does_not_answer_leaves_its_figures_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> Any:
        raise subprocess.TimeoutExpired(command, 5)

    monkeypatch.setattr(metrics, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(metrics.subprocess, "run", run)
    assert b"gpu=" not in generate_latest(metrics.REGISTRY)

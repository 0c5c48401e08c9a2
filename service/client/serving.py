"""The commands that run a part of the service on this machine."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.client import local
from service.client.credentials import needed_key
from service.client.options import LOCAL_SERVER, BehindProxy, Host, Server, TlsCert, TlsKey
from service.listening import LOOPBACK, Listening
from service.worker_command import become_worker


def up(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    data: Annotated[Path, typer.Option(help="where everything is kept")] = Path("nightshift-data"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="how many ingest and translate")] = 1,
    trainers: Annotated[int, typer.Option(min=0, max=64, help="how many train generators and detectors")] = 1,
    host: Host = LOOPBACK,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = "",
) -> None:
    """Run API, workers and reconciler on this machine until Ctrl-C. No other server is needed."""
    listening = Listening(host, port, tls_cert, tls_key, behind_proxy)
    local.serve(data, listening, workers, trainers)


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    host: Host = LOOPBACK,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    behind_proxy: BehindProxy = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="how many processes answer")] = 1,
) -> None:
    """Run the API alone, one part of a cluster; where the others are stands in NIGHTSHIFT_* variables."""
    listening = Listening(host, port, tls_cert, tls_key, behind_proxy, workers)
    command = [sys.executable, "-m", "service.server", *listening.arguments()]
    os.execv(sys.executable, command)  # noqa: S606 - this process becomes the server: signals reach it


def key(server: Server = LOCAL_SERVER) -> None:
    """Print the API key that commands on this machine use, for curl and others."""
    print(needed_key(server))


def worker(
    gpu: Annotated[str, typer.Option(help="the GPU it owns, as nvidia-smi counts them")] = "",
    queues: Annotated[str, typer.Option(help="what it takes: ingest, shards, trainings")] = "ingest,shards",
    name: Annotated[str, typer.Option(help="unique on this machine; it stands in the logs")] = "",
) -> None:
    """Run one worker of a cluster until Ctrl-C; NIGHTSHIFT_* says where database, store and broker are."""
    become_worker(gpu, [queue.strip() for queue in queues.split(",") if queue.strip()], name)

"""The HTTP server: `python -m service.server --host 127.0.0.1 --port 8000`. Logs go to stderr."""

import argparse
import gc
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from service.api.edge.connections import MOST_HEAD_BYTES, Connection
from service.app import create_app
from service.errors import InvalidRequest
from service.listening import Listening
from service.settings import Settings

# Answers under way are finished; a stream of events would go on for ever.
GRACE_SECONDS = 8


def application() -> FastAPI:
    """In each process that answers."""
    Connection.head_seconds = Settings().slow_request_seconds
    app = create_app()
    _spare_the_collector()
    return app


def _spare_the_collector() -> None:
    """What is here by now stays: modules, models, routes, some 150,000 objects. Otherwise the collector goes
    through all of them every few thousand requests, and everybody waits for a fifth of a second.
    """
    gc.collect()
    gc.freeze()


def serve(listening: Listening) -> None:
    """Until SIGTERM or Ctrl-C."""
    uvicorn.run(
        "service.server:application",
        factory=True,
        host=listening.host,
        port=listening.port,
        ssl_certfile=listening.tls_cert,
        ssl_keyfile=listening.tls_key,
        # Anybody may write forwarded headers; only those of a known proxy say where a request came from.
        proxy_headers=bool(listening.proxies),
        forwarded_allow_ips=listening.proxies,
        workers=listening.workers,
        http=Connection,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        access_log=False,
        log_level="warning",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m service.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--behind-proxy", default="")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    try:
        listening = Listening(**vars(asked))
    except InvalidRequest as refusal:
        parser.error(str(refusal))
    serve(listening)


if __name__ == "__main__":
    main()

"""The parts around an application, in their order."""

from fastapi import FastAPI

from service.api.edge.bodies import Bodies
from service.api.edge.headers import SafeHeaders
from service.api.edge.request_ids import RequestIds
from service.api.edge.targets import Targets
from service.settings import Settings

STREAMED = ("/v1/uploads",)


def add_edge(app: FastAPI, settings: Settings) -> None:
    """The last one added is the first one passed."""
    app.add_middleware(Bodies, seconds=settings.slow_request_seconds, streamed=STREAMED)
    app.add_middleware(Targets, hosts=settings.allowed_hosts)
    app.add_middleware(RequestIds)
    app.add_middleware(SafeHeaders)

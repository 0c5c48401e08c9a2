"""The parts around an application, in their order."""

from collections.abc import Sequence

from fastapi import FastAPI

from service.api.edge.bodies import Bodies
from service.api.edge.headers import SafeHeaders
from service.api.edge.request_ids import RequestIds
from service.api.edge.targets import Targets
from service.settings import Settings

UPLOADS = ("/v1/uploads",)


def add_edge(app: FastAPI, settings: Settings, forms: Sequence[str] = ()) -> None:
    """`forms`: below these paths the pages send forms. The last one added is the first one passed."""
    app.add_middleware(Bodies, seconds=settings.slow_request_seconds, uploads=UPLOADS, forms=forms)
    app.add_middleware(Targets, hosts=settings.allowed_hosts)
    app.add_middleware(RequestIds)
    app.add_middleware(SafeHeaders)

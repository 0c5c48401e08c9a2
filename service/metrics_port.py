"""A port for a process's `/metrics` alone, open to whoever reaches it: the network must keep others out."""

from collections.abc import Callable

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from service.settings import Settings

log = structlog.get_logger(__name__)


def serve_metrics(settings: Settings, registry: CollectorRegistry) -> Callable[[], None]:
    """Nothing where the operator wants none. A port that is taken is said; the work goes on without it.

    Returns how to stop it.
    """
    if not settings.metrics_port:
        return lambda: None
    try:
        server, thread = start_http_server(settings.metrics_port, settings.metrics_host, registry)
    except OSError as error:
        log.warning("metrics not served", port=settings.metrics_port, reason=str(error))
        return lambda: None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop

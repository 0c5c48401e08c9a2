"""JSON logs on stderr, one line an event whatever is in it, and no secrets.

`request_id` is a context variable, bound while a request is answered; `worker`, `job_id` and `shard` are
bound while a worker holds a shard.
"""

import logging
import sys
from types import TracebackType

import structlog

from service.redaction import Redaction
from service.settings import Settings

log = structlog.get_logger(__name__)
# Uvicorn would write lines of its own kind, past the handler below.
SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
# Of whom only what is wrong is of interest; httpx would tell every URL that a client of ours calls.
QUIET = ("alembic", "httpx", "httpcore", "botocore", "aiobotocore", "s3fs", "urllib3")


def set_up_logs(settings: Settings) -> None:
    hide = Redaction.of(settings)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
                # The whole line, when nothing is added any more: traces of errors hold values of all kinds.
                lambda _logger, _method, line: hide(str(line)),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in SERVERS:
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For `sys.excepthook` of a process that has logs: its last words go through them, too."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the process ends", exc_info=(kind, error, trace))

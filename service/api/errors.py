"""Every error as `application/problem+json` (RFC 9457). The only place that knows HTTP status codes."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from service import errors
from service.api import refusals
from service.storage.outages import FULL, outage
from service.uploads import refusals as tus
from service.uploads.staging import StagedBytesLost

log = structlog.get_logger(__name__)

STATUS: dict[type[errors.NightshiftError], int] = {
    errors.Unauthorized: 401,
    errors.InsufficientScope: 403,
    errors.CrossSite: 403,
    errors.TooManyRequests: 429,
    errors.TooManyJobs: 429,
    errors.BrokenCursor: 422,
    errors.ForeignCursor: 400,
    errors.InUse: 409,
    errors.StorageQuotaExceeded: 413,
    errors.StorageFull: 409,
    errors.NotFound: 404,
    errors.ObjectNotFound: 404,
    errors.ImageUnreadable: 422,
    errors.UnknownGenerator: 422,
    errors.InvalidRequest: 422,
    errors.UriNotAllowed: 422,
    errors.DatasetRejected: 422,
    errors.DatasetNotReady: 409,
    errors.IllegalTransition: 409,
    errors.IdempotencyInProgress: 409,
    errors.IdempotencyMismatch: 422,
    errors.WebhooksOff: 403,
    errors.WebhookRefused: 422,
    errors.UploadTooLarge: 413,
    errors.UploadIncomplete: 409,
    tus.InvalidUpload: 400,
    tus.UnknownChecksum: 400,
    tus.UploadIsComplete: 403,
    tus.OffsetMismatch: 409,
    tus.UploadGone: 410,
    StagedBytesLost: 410,
    tus.UnsupportedTusVersion: 412,
    tus.MoreThanAnnounced: 413,
    tus.DigestMismatch: 422,
    tus.UploadLocked: 423,
    tus.ChecksumMismatch: 460,
    tus.DiskTooSmall: 507,
    errors.NoSpaceLeft: 507,
    errors.Unavailable: 503,
    refusals.MalformedRequest: 400,
    refusals.RequestTooSlow: 408,
    refusals.BodyTooLarge: 413,
    refusals.TargetTooLong: 414,
    refusals.UnsupportedMediaType: 415,
    refusals.RangeNotSatisfiable: 416,
    refusals.MisdirectedRequest: 421,
    refusals.HeadersTooLarge: 431,
}
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)
MOST_LOGGED = 1000
PROBLEM_TYPE = "application/problem+json"
MOST_FAULTS = 100
MAX_ECHO = 200  # of what a client sent; more of it helps nobody


def problem(status: int, code: str, message: str, cure: str = "", **more: Any) -> JSONResponse:
    body = {
        "type": f"urn:nightshift:problem:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": f"{message} {cure}".strip(),
        **_occurrence(),
        **more,
    }
    return JSONResponse(body, status, media_type=PROBLEM_TYPE)


def problem_of(error: errors.NightshiftError) -> JSONResponse:
    if isinstance(error, errors.BrokenCursor):
        return invalid_request([(error.pointer, str(error))])
    limit = {"max_allowed": error.max_allowed} if hasattr(error, "max_allowed") else {}
    response = problem(STATUS.get(type(error), 422), error.code, error.message, error.cure, **limit)
    if isinstance(error, errors.Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.TooManyRequests | errors.TooManyJobs | errors.Unavailable | tus.UploadLocked):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, refusals.RangeNotSatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size_bytes}"
    if isinstance(error, tus.OffsetMismatch):
        response.headers["Upload-Offset"] = str(error.offset_bytes)
    return response


def add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(errors.NightshiftError)
    async def known(_request: Request, error: errors.NightshiftError) -> JSONResponse:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return fault_of(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
        response = problem(error.status_code, code, str(error.detail)[:MAX_ECHO])
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = ", ".join(_methods(app, request.scope["path"]))
        return response


def fault_of(error: RequestValidationError) -> JSONResponse:
    return invalid_request([(_pointer(each["loc"][1:]), each["msg"]) for each in error.errors()])


def answer_to_failure(error: Exception, path: str) -> JSONResponse:
    """What nobody foresaw is our fault, unless it says that something we need is away or full."""
    known = _outage(error)
    if known is None:
        log.error("unforeseen error", path=path, exc_info=error)
        return problem(500, "internal-error", "Something went wrong here; the server's log says what.")
    log.warning("not answered", path=path, error=str(error)[:MOST_LOGGED])
    return problem_of(known)


def _outage(error: Exception) -> errors.NightshiftError | None:
    if isinstance(error, errors.NightshiftError):
        return error
    if isinstance(error, DATABASE_AWAY):
        return errors.Unavailable("database")
    if isinstance(error, OSError) and error.errno in FULL:
        return errors.NoSpaceLeft()
    return None if outage(error) is None else errors.Unavailable("store")


def invalid_request(faults: Sequence[tuple[str, str]], **more: Any) -> JSONResponse:
    """`faults`: a JSON pointer and what is wrong there, of each."""
    found = [
        {"pointer": pointer[:MAX_ECHO], "message": message[:MAX_ECHO], **more}
        for pointer, message in faults[:MOST_FAULTS]
    ]
    first = f"{found[0]['pointer']}: {found[0]['message']}." if found else ""
    return problem(422, "validation-error", f"The request is not valid. {first}".strip(), errors=found)


def _methods(app: FastAPI, path: str) -> list[str]:
    """Of all routes under a path; the framework names those of the first."""
    routes = iter_route_contexts(app.routes)
    return sorted(
        {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    )


def _pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _occurrence() -> dict[str, str]:
    """Which request it was, as the log names it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id is None:
        return {}
    return {"instance": f"urn:nightshift:request:{request_id}", "request_id": request_id}

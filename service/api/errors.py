"""Every error as `application/problem+json` (RFC 9457). The only place that knows HTTP status codes."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service import errors

log = structlog.get_logger(__name__)

STATUS: dict[type[errors.NightshiftError], int] = {
    errors.NotFound: 404,
    errors.ObjectNotFound: 404,
    errors.UnknownGenerator: 422,
    errors.InvalidRequest: 422,
    errors.DatasetRejected: 422,
    errors.DatasetNotReady: 409,
    errors.IllegalTransition: 409,
    errors.IdempotencyInProgress: 409,
    errors.IdempotencyMismatch: 422,
    errors.UploadTooLarge: 413,
    errors.NoSpaceLeft: 507,
}
MAX_ECHO = 200  # of what a client sent; more of it helps nobody


def problem(status: int, code: str, message: str, cure: str = "", **more: Any) -> JSONResponse:
    body = {
        "type": f"urn:nightshift:problem:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": f"{message} {cure}".strip(),
        **more,
    }
    return JSONResponse(body, status, media_type="application/problem+json")


def add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(errors.NightshiftError)
    async def known(_request: Request, error: errors.NightshiftError) -> JSONResponse:
        return problem(STATUS.get(type(error), 422), error.code, error.message, error.cure)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {
                "pointer": "/" + "/".join(str(part) for part in each["loc"][1:]),
                "message": each["msg"][:MAX_ECHO],
            }
            for each in error.errors()
        ]
        first = f"{found[0]['pointer']}: {found[0]['message']}." if found else ""
        return problem(422, "validation-error", f"The request is not valid. {first}".strip(), errors=found)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
        response = problem(error.status_code, code, str(error.detail)[:MAX_ECHO])
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        log.error("unforeseen error", path=request.url.path, exc_info=error)
        return problem(500, "internal-error", "Something went wrong here; the server's log says what.")

"""What the OpenAPI document says beyond what FastAPI derives: which problems an operation may answer with.

Most follow from what an operation is (guarded by a key, about one thing, with a body); a route declares what
is its own, such as 409, by `responses`. A fuzzer holds the document against the answers.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from service.api.edge.layers import UPLOADS
from service.api.errors import PROBLEM_TYPE

ANY = (400, 414, 421, 431)
GUARDED = (401, 403, 429, 503)
WITH_BODY = (408, 413, 415)
HEADERS = {401: "WWW-Authenticate", 416: "Content-Range", 429: "Retry-After", 503: "Retry-After"}
DESCRIPTIONS = {
    400: "not what an honest client sends",
    401: "no key, or one that is not valid",
    403: "the key lacks a scope, or the operator has not allowed it",
    404: "there is no such thing",
    408: "the request came too slowly",
    409: "not in this state",
    410: "it was given up, or removed after its time",
    412: "another version of tus than is spoken here",
    413: "larger than allowed",
    415: "not the kind of body that is taken here",
    416: "the range begins behind the end",
    421: "the server does not go by the name in the Host header",
    422: "the request makes no sense; `errors` points at the faults",
    423: "another request is sending to it",
    429: "too many requests",
    460: "the piece has another checksum than announced",
    503: "something that the server needs is away",
    507: "the server's disk is full",
}


class ProblemPart(BaseModel):
    """`pointer`: into the body (RFC 6901), or the name of a parameter."""

    pointer: str
    message: str
    code: str | None = None


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `request_id` names the request in the server's log."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str | None = None
    request_id: str | None = None
    max_allowed: int | None = None
    errors: list[ProblemPart] | None = None


def describe_problems(app: FastAPI) -> None:
    derive = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(derive())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for model in (ProblemPart, Problem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete(operation["responses"], set(_statuses(path, method, operation)))
    return document


def _statuses(path: str, method: str, operation: dict[str, Any]) -> Iterator[int]:
    yield from ANY
    if operation.get("security"):
        yield from GUARDED
    if operation.get("parameters"):
        yield 422
    if "{" in path:
        yield 404
    if method in ("post", "put", "patch"):
        yield from WITH_BODY
    if method == "post":
        yield from (404, 409, 422)
    if path.startswith(UPLOADS) and method != "get":
        yield from (404, 409, 507)


def _complete(responses: dict[str, Any], statuses: set[int]) -> None:
    for number in statuses:
        responses.setdefault(str(number), {})
    for number, response in ((int(status), response) for status, response in responses.items()):
        if number < 400 or (number != 422 and "content" in response):
            continue
        response["description"] = DESCRIPTIONS.get(number) or HTTPStatus(number).phrase
        response["content"] = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        if number in HEADERS:
            response["headers"] = {HEADERS[number]: {"schema": {"type": "string"}, "required": True}}

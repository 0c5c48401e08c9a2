"""The route class of all pages: whatever is wrong becomes a page, or a part of one, with the cure."""

import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from service.api.errors import answer_to_failure, fault_of, problem_of
from service.errors import NightshiftError, Unauthorized
from service.web.pages import is_part, page

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
SIGN_IN = "/sign-in"


class PageRoute(APIRoute):
    """Where nobody has signed in it shows the way to do it, and back."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_as_page(request: Request) -> Response:
            try:
                return await handle(request)
            except Unauthorized:
                return to_sign_in(request)
            except ClientDisconnect:
                raise
            except Exception as error:
                return problem_page(request, error)

        return handle_as_page


def to_sign_in(request: Request) -> Response:
    if is_part(request):
        return Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
    wanted = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"{SIGN_IN}?then={quote(wanted)}", 303)


def problem_page(request: Request, error: Exception) -> Response:
    return as_page(request, _answer_to(error, request))


def as_page(request: Request, answer: Response) -> Response:
    """A problem document as a whole page, or for a part of one the message alone, which is shown above what
    is there.
    """
    problem = json.loads(bytes(answer.body))
    template = "problem_message.html" if is_part(request) else "problem.html"
    shown = page(request, template, answer.status_code, problem=problem, section="")
    if "retry-after" in answer.headers:
        shown.headers["Retry-After"] = answer.headers["retry-after"]
    return shown


def _answer_to(error: Exception, request: Request) -> Response:
    if isinstance(error, NightshiftError):
        return problem_of(error)
    if isinstance(error, RequestValidationError):
        return fault_of(error)
    return answer_to_failure(error, request.url.path)

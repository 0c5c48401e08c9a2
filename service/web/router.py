"""All pages together."""

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from service.web import assets, keys, sign_in
from service.web.datasets import dataset, findings, library
from service.web.frames import frames, results
from service.web.generators import generators
from service.web.jobs import frames as job_frames
from service.web.jobs import jobs
from service.web.learning import experiments, trainings
from service.web.page_route import PageRoute, as_page
from service.web.translations import translations

# Below these paths the pages send their forms.
FORMS = (
    "/sign-in",
    "/sign-out",
    "/datasets",
    "/translations",
    "/jobs",
    "/generators",
    "/trainings",
    "/experiments",
    "/keys",
)

home = APIRouter(include_in_schema=False, route_class=PageRoute)


@home.get("/")
def show_home() -> RedirectResponse:
    return RedirectResponse(sign_in.HOME, 303)


def add_pages(app: FastAPI) -> None:
    _answer_browsers_with_pages(app)
    for part in (
        assets,
        sign_in,
        library,
        dataset,
        findings,
        frames,
        results,
        jobs,
        job_frames,
        translations,
        generators,
        trainings,
        experiments,
        keys,
    ):
        app.include_router(part.router)
    app.include_router(home)


def _answer_browsers_with_pages(app: FastAPI) -> None:
    """Also where there is no page; programs, which do not ask for one, get the API's answer as it is."""
    answer_of_api = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    async def answer(request: Request, error: HTTPException) -> Response:
        problem: Response = await answer_of_api(request, error)  # type: ignore[misc]
        is_page = "text/html" in request.headers.get("accept", "")
        return as_page(request, problem) if is_page and isinstance(problem, JSONResponse) else problem

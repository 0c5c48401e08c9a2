"""The frames of a dataset: a grid of small ones with their boxes, and one alone, large."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.datasets import list_frames
from service.api.dependencies import Cursor, Here
from service.api.views import FrameView
from service.datasets.dataset import Frame, Split
from service.datasets.manifest import frame_from_json
from service.frames.filter import FrameFilter
from service.frames.index import frame_entry, neighbours
from service.jobs.records import Dataset
from service.web.frames.filters import Asked, query_of
from service.web.frames.pairs import pair_of
from service.web.page_route import PageRoute
from service.web.pages import is_part, page

router = APIRouter(prefix="/datasets/{dataset_id}", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 60
Length = Annotated[int, Query(ge=1, le=PAGE_LENGTH)]


@router.get("/frames", dependencies=[needs(Scope.DATASETS_READ)])
def show_frames(
    request: Request,
    here: Here,
    dataset_id: str,
    wanted: Asked,
    limit: Length = PAGE_LENGTH,
    cursor: Cursor = None,
) -> Response:
    """With a cursor, and asked by a page that is open, only what comes after it."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    found = list_frames(dataset_id, here, wanted, limit, cursor)
    asked_limit = None if limit == PAGE_LENGTH else limit
    path, query = f"/datasets/{dataset_id}/frames", query_of(wanted)
    following = query_of(wanted, limit=asked_limit, cursor=found.next_cursor) if found.next_cursor else None
    values: dict[str, Any] = {
        "dataset": dataset,
        "tiles": [_tile(view) for view in found.items],
        "query": query,
        "next_path": None if following is None else path + following,
    }
    if cursor is not None and is_part(request):
        return page(request, "frames/_frame_page.html", **values)
    more: dict[str, Any] = {"wanted": wanted, "limit": asked_limit, "choices": _choices(dataset, wanted)}
    more["is_whole"] = cursor is None and found.next_cursor is None
    answer = page(request, "frames/frames.html", section="datasets", **values, **more)
    if is_part(request):
        asked = path + query_of(wanted, limit=asked_limit)
        # Whoever leaves a field unchanged asks again: that is no further step to go back.
        is_there = request.headers.get("hx-current-url", "").endswith(asked)
        answer.headers["HX-Push-Url"] = "false" if is_there else asked
    return answer


@router.get("/frames/{split}/{frame_id}", dependencies=[needs(Scope.DATASETS_READ)])
def show_frame(
    request: Request, here: Here, dataset_id: str, split: Split, frame_id: str, wanted: Asked
) -> Response:
    dataset = here.desk.library.ready_dataset(dataset_id)
    entry = frame_entry(here.store, dataset_id, split, frame_id)
    pair = pair_of(here, dataset_id, entry)
    return page(
        request,
        "frames/frame.html",
        section="datasets",
        dataset=dataset,
        entry=entry,
        pair=pair,
        frame=pair.frame.frame,
        categories=sorted(Counter(box.category for box in pair.frame.frame.boxes).items()),
        beside=neighbours(here.store, dataset_id, split, frame_id, wanted),
        query=query_of(wanted),
    )


@router.get("/pairs/{split}/{frame_id}", dependencies=[needs(Scope.DATASETS_READ)])
def show_pair(request: Request, here: Here, dataset_id: str, split: Split, frame_id: str) -> Response:
    """What lies on the stage of a slider, to be put in the place of another pair."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    pair = pair_of(here, dataset_id, frame_entry(here.store, dataset_id, split, frame_id))
    return page(request, "frames/_stage.html", pair=pair, categories=dataset.categories)


def _tile(view: FrameView) -> tuple[Frame, str, str | None]:
    """A frame, the address of its small image, and what it looks like if not like its tag."""
    return frame_from_json(view.entry["frame"]), view.thumbnail_url, view.entry.get("looks")


def _choices(dataset: Dataset, wanted: FrameFilter) -> dict[str, list[tuple[str, int]]]:
    """What can be asked for and how much there is of it; what was asked for stays, even if there is none."""
    chosen = {"timeofday": wanted.timeofday, "split": wanted.split, "category": wanted.category}
    counts: dict[str, Any] = dataset.counts
    tables = {"timeofday": "timeofday", "split": "splits", "category": "categories"}
    choices = {name: dict(counts.get(table, {})) for name, table in tables.items()}
    for name, value in chosen.items():
        if value is not None:
            choices[name].setdefault(value, 0)
    return {name: list(found.items()) for name, found in choices.items()}

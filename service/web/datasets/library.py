"""Datasets: the list, and above it the place to drop a new one and say how it is to be read."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.datasets import NewDataset, create_dataset, list_datasets
from service.api.dependencies import Cursor, Here
from service.datasets.categories import parse_category_map
from service.datasets.dataset import Split, TimeOfDay
from service.web.forms import lines, selected, wish
from service.web.page_route import PageRoute
from service.web.pages import go_to, page

router = APIRouter(prefix="/datasets", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 50
# Uploads are sent in pieces of this size, which no proxy should find too large.
PIECE_BYTES = 64 << 20


class DatasetForm(BaseModel):
    """`select` and `category_map` are lines of KEY=VALUE."""

    upload_id: str = ""
    source_uri: str = ""
    name: str = ""
    timeofday: list[str] = []
    split: list[str] = []
    select: str = ""
    category_map: str = ""
    licence: str = ""
    ignore_unknown: bool = False
    unlabelled: bool = False
    exclude_suspects: bool = False
    strict: bool = False

    def wish(self) -> NewDataset:
        """Raises:
        InvalidRequest, RequestValidationError: it asks for something that makes no sense.
        """
        same = ("name", "licence", "ignore_unknown", "unlabelled", "exclude_suspects", "strict")
        return wish(
            NewDataset,
            **{name: getattr(self, name) for name in same},
            upload_id=self.upload_id or None,
            source_uri=self.source_uri.strip() or None,
            select=selected(self.select, timeofday=self.timeofday, split=self.split),
            category_map=parse_category_map(lines(self.category_map)),
        )


@router.get("", dependencies=[needs(Scope.DATASETS_READ)])
def show_datasets(request: Request, here: Here, cursor: Cursor = None) -> Response:
    found = list_datasets(here, PAGE_LENGTH, cursor)
    return page(
        request,
        "datasets/datasets.html",
        section="datasets",
        datasets=found,
        is_first_page=cursor is None,
        may_write=Scope.DATASETS_WRITE in here.caller.scopes,
        most_bytes=here.settings.max_upload_bytes,
        kept_seconds=here.settings.upload_expiry_seconds,
        piece_bytes=PIECE_BYTES,
        has_buckets=bool(here.settings.import_buckets),
        times_of_day=list(TimeOfDay),
        splits=list(Split),
    )


@router.post("", dependencies=[needs(Scope.DATASETS_WRITE)])
def make_dataset(request: Request, here: Here, form: Annotated[DatasetForm, Form()]) -> Response:
    made = create_dataset(form.wish(), here)
    return go_to(request, f"/datasets/{made.dataset.id}")

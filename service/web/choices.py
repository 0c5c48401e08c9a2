"""What the forms have in common that ask for datasets: which there are, and which of their frames."""

from service.api.datasets import get_dataset, list_datasets
from service.api.dependencies import Services
from service.api.views import DatasetView
from service.errors import NotFound
from service.jobs.job import DatasetState
from service.web.forms import selected

MOST_DATASETS = 500


def ready_datasets(here: Services, *wanted: str) -> list[DatasetView]:
    """The newest, and those that a link asks for, however old."""
    newest = list_datasets(here, MOST_DATASETS).items
    known = {dataset.id for dataset in newest}
    older = [_found(here, dataset_id) for dataset_id in dict.fromkeys(wanted) if dataset_id not in known]
    found = [*newest, *(dataset for dataset in older if dataset is not None)]
    return [dataset for dataset in found if dataset.state is DatasetState.READY]


def chosen_frames(text: str) -> dict[str, list[str]]:
    """From `timeofday=night; split=train,val`, on one line. Raises InvalidRequest as `selected` does."""
    return selected(text.replace(";", "\n"))


def _found(here: Services, dataset_id: str) -> DatasetView | None:
    try:
        return get_dataset(dataset_id, here) if dataset_id else None
    except NotFound:
        return None

"""The fields of a form, as the API's wishes want them."""

from collections.abc import Iterable
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from service.datasets.selection import Selection

Wish = TypeVar("Wish", bound=BaseModel)


def wish(model: type[Wish], **values: Any) -> Wish:
    """Raises:
    RequestValidationError: the API would have refused them, too.
    """
    try:
        return model(**values)
    except ValidationError as error:
        faults = [{**fault, "loc": ("form", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from None


def lines(text: str) -> list[str]:
    """Those of a text area that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def selected(further: str = "", **chosen: Iterable[str]) -> dict[str, list[str]]:
    """`chosen`: the values ticked under each key, none for any. `further`: lines like `weather=rainy,snowy`.

    Raises:
        InvalidRequest: a line says something else.
    """
    ticked = {key: frozenset(values) for key, values in chosen.items() if values}
    written = Selection.parse(lines(further)).allowed
    both = {key: ticked.get(key, frozenset()) | written.get(key, frozenset()) for key in {*ticked, *written}}
    return Selection(both).to_json()

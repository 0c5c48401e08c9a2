"""The filter of a grid of frames as a form has it, where an empty field asks for nothing."""

from dataclasses import asdict
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from service.datasets.dataset import Split
from service.frames.filter import FrameFilter

Word = Annotated[str, Field(max_length=200)]


class FilterForm(BaseModel):
    """A model, as a path may have a `split` of its own."""

    timeofday: Word = ""
    category: Word = ""
    split: Split | Literal[""] = ""
    suspect: Literal["", "true", "false"] = ""
    text: Word = ""


def asked_filter(form: Annotated[FilterForm, Query()]) -> FrameFilter:
    return FrameFilter(
        form.timeofday or None,
        form.category or None,
        Split(form.split) if form.split else None,
        form.suspect == "true" if form.suspect else None,
        form.text.strip() or None,
    )


Asked = Annotated[FrameFilter, Depends(asked_filter)]


def query_of(wanted: FrameFilter, **more: str | int | None) -> str:
    """`?split=train&text=a`: what leads to the same frames again; empty if all are wanted."""
    asked = {name: value for name, value in {**asdict(wanted), **more}.items() if value is not None}
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
    return f"?{urlencode(words)}" if words else ""

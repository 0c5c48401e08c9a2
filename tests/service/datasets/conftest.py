"""An upload as a plain dict of names and contents."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import pytest

from service.datasets.dataset import Finding
from service.datasets.formats import Options, Plan, PlannedFrame, plan_dataset

Contents = Mapping[str, Any]


class Planned:
    """A plan whose frames were all read."""

    def __init__(self, plan: Plan) -> None:
        read = list(plan.frames())
        self.frames = [item for item in read if isinstance(item, PlannedFrame)]
        self.findings = [item for item in read if isinstance(item, Finding)]
        self.format = plan.format
        self.categories = plan.categories

    @property
    def codes(self) -> list[str]:
        return sorted(finding.code for finding in self.findings)

    def splits(self) -> dict[str, str]:
        return {frame.image: str(frame.split) for frame in self.frames}


def opener(contents: Contents) -> Callable[[str], BinaryIO]:
    def open_member(name: str) -> BinaryIO:
        content = contents[name]
        if isinstance(content, bytes):
            return io.BytesIO(content)
        text = content if isinstance(content, str) else json.dumps(content)
        return io.BytesIO(text.encode())

    return open_member


@pytest.fixture
def plan() -> Callable[..., Planned]:
    """`plan(contents, options)`: texts and bytes as they are, anything else as JSON; None for an image."""

    def run(contents: Contents, options: Options | None = None) -> Planned:
        return Planned(plan_dataset(list(contents), opener(contents), options or Options()))

    return run

"""The findings of a dataset: by code and gravity, and which frame each is about."""

import json
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.dependencies import Services
from service.datasets.dataset import Finding, Frame, Severity, Split
from service.datasets.manifest import ManifestEntry
from service.datasets.members import FrameIds, possible_ids
from service.frames.index import Neighbour
from service.jobs.report import Report as MadeReport
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.web.datasets.reports import frame_of, report_of

PART = st.text("abZ9 -_.ü", min_size=1, max_size=9).filter(lambda part: part.strip("."))


class OnlyStore:
    """Of the services that a page knows, the store alone."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store


@pytest.fixture
def here(store: ObjectStore) -> Services:
    return cast(Services, OnlyStore(store))


def finding(code: str, severity: Severity = Severity.ERROR, path: str = "a.jpg") -> Finding:
    return Finding(code, severity, path, "It is wrong.", "Mend it.")


def publish(here: Services, job_id: str, *findings: Finding) -> None:
    report = MadeReport()
    for each in findings:
        report.add(each)
    here.store.write(keys.report(job_id), json.dumps(report.to_json()).encode())


def test_the_gravest_and_commonest_codes_come_first(here: Services) -> None:
    notes = [finding("ignored-file", Severity.NOTE)] * 5
    publish(here, "job-1", *notes, finding("rare"), *[finding("common")] * 2, finding("mixed", Severity.NOTE),
            finding("mixed", Severity.WARNING))  # fmt: skip
    report = report_of(here, "job-1")
    assert [(each.code, each.count, each.severity) for each in report.codes] == [
        ("common", 2, "error"),
        ("rare", 1, "error"),
        ("mixed", 2, "warning"),
        ("ignored-file", 5, "note"),
    ]
    assert list(report.severities.items()) == [("error", 3), ("warning", 1), ("note", 6)]
    assert report.is_complete


def test_filters_take_what_they_name_and_nothing_else(here: Services) -> None:
    publish(here, "job-2", finding("a"), finding("a", Severity.NOTE), finding("b", Severity.NOTE))
    report = report_of(here, "job-2")
    assert [each.code for each in report.of(None, None)] == ["a", "a", "b"]
    assert report.of("a", "note") == [finding("a", Severity.NOTE)]
    assert report.of("c", None) == []


@given(parts=st.lists(PART, min_size=1, max_size=5), start=st.integers(0, 4))
def test_the_id_of_a_frame_is_among_those_its_file_may_have_given_it(parts: list[str], start: int) -> None:
    name = "/".join(parts[min(start, len(parts) - 1) :]) + ".jpg"
    assert FrameIds().make(name, Split.TRAIN) in possible_ids("/".join(parts) + ".jpg")


def test_a_finding_leads_to_its_frame_where_there_is_one(here: Services) -> None:
    frame = Frame("city/a.jpg", "city__a", Split.VAL, 8, 8)
    other = replace(frame, name="b.jpg", id="b", split=Split.TRAIN)
    entries = [ManifestEntry(each, f"images/{each.split}/{each.id}.jpg", "0" * 64) for each in (frame, other)]
    lines = "".join(entry.to_line() + "\n" for entry in entries)
    here.store.write(keys.manifest("ds-1"), lines.encode())

    def leads_to(path: str) -> Neighbour | None:
        return frame_of(here, "ds-1", finding("box-inverted", path=path))

    assert leads_to("images/val/city/a.jpg") == Neighbour(Split.VAL, "city__a")
    assert leads_to("labels/val/city/a.txt") == Neighbour(Split.VAL, "city__a")
    assert leads_to("photos/b.jpg") == Neighbour(Split.TRAIN, "b")
    assert leads_to("images/train/city/a.jpg") is None  # the split of that name has none
    assert leads_to("labels/det_20/det_train.json") is None
    assert leads_to("") is None

"""The labels of BDD100K and COCO datasets, record by record."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from service.datasets import bdd100k, coco
from service.datasets.categories import (
    Meaning,
    bdd100k_categories,
    bdd100k_meaning,
    declared_meaning,
    mapped_categories,
    name_fault,
)
from service.datasets.coco_file import CocoFile
from service.datasets.dataset import Finding, Severity
from service.datasets.label_files import LabelFile, reading
from service.datasets.members import stem
from service.datasets.plan import BDD100K_FORMATS, Format, LabelRecord, OpenMember, Options
from service.errors import DatasetRejected, LabelUnreadable
from service.wording import cut, shown


class BDD100KSource:
    """Label files of one or more of BDD100K's forms."""

    def __init__(self, files: Sequence[LabelFile], open_member: OpenMember, options: Options) -> None:
        self._files = files
        self._open = open_member
        self.format = min((file.form for file in files), key=BDD100K_FORMATS.index)
        self.categories = bdd100k_categories(options.category_map)
        self.declared: frozenset[str] = frozenset()
        self.meaning: Meaning = bdd100k_meaning(options.category_map)

    def records(self) -> Iterator[LabelRecord | Finding]:
        for file in self._files:
            if file.form is Format.BDD100K_2018_PER_IMAGE:
                yield self._image_record(file)
            else:
                yield from self._list_records(file)

    def _list_records(self, file: LabelFile) -> Iterator[LabelRecord]:
        with reading(file.member), self._open(file.member) as stream:
            for number, record in enumerate(bdd100k.records(stream)):
                yield _bdd100k_record(record, file, f"frame {number}")

    def _image_record(self, file: LabelFile) -> LabelRecord:
        try:
            with self._open(file.member) as stream:
                return _bdd100k_record(bdd100k.image_record(stream), file, "")
        except LabelUnreadable as error:
            fault = Finding(error.code, Severity.ERROR, file.member, error.problem, error.cure, error.where)
            return LabelRecord(stem(file.member), file.member, split=file.split, fault=fault)


class CocoSource:
    """One or more COCO documents; ids are matched within a document only."""

    format = Format.COCO

    def __init__(self, files: Sequence[LabelFile], open_member: OpenMember, options: Options) -> None:
        self._files = files
        self._open = open_member
        self._map = options.category_map
        self._own: dict[str, None] = {}
        self.meaning: Meaning = declared_meaning(options.category_map)

    @property
    def categories(self) -> tuple[str, ...]:
        return mapped_categories(list(self._own), self._map)

    @property
    def declared(self) -> frozenset[str]:
        return frozenset(self._own)

    def records(self) -> Iterator[LabelRecord | Finding]:
        for file in self._files:
            with reading(file.member), self._open(file.member) as stream:
                document = CocoFile(stream, file.member)
            with closing(document):
                self._declare(document.categories, file.member)
                yield from document.findings()
                for record in document.records():
                    yield _coco_record(record, file)

    def _declare(self, names: Sequence[str], path: str) -> None:
        for name in names:
            refuse_bad_name(name, path)
            self._own[name] = None


def refuse_bad_name(name: str, path: str) -> None:
    """Raises DatasetRejected if a declared category name cannot be stored."""
    if fault := name_fault(name):
        message = f"{cut(path)}: the category name {shown(name, 40)} {fault}."
        raise DatasetRejected("category-name", message, "Rename it in the label file.")


def _bdd100k_record(record: Mapping[str, Any], file: LabelFile, pointer: str) -> LabelRecord:
    return LabelRecord(
        name=record["name"],
        path=file.member,
        pointer=pointer,
        split=file.split,
        attributes=bdd100k.frame_attributes(record),
        categories=tuple(bdd100k.box_categories(record)),
        record=record,
    )


def _coco_record(record: Mapping[str, Any], file: LabelFile) -> LabelRecord:
    image = record["image"]
    return LabelRecord(
        name=image["file_name"],
        path=file.member,
        pointer=cut(f"image id {image.get('id')!r}"),
        split=file.split,
        attributes=coco.attributes_of(image),
        categories=tuple(name for name, _ in record["annotations"] if name is not None),
        record=record,
    )

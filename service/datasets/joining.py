"""Labels meet images: every image becomes one planned frame, or a finding says why not."""

from collections import Counter
from collections.abc import Iterator, Sequence

from service.datasets.dataset import Finding, Severity, Split
from service.datasets.image_table import ImageTable, is_plain
from service.datasets.members import FrameIds
from service.datasets.plan import Format, LabelRecord, LabelSource, Options, PlannedFrame
from service.errors import DatasetRejected
from service.wording import cut, shown

_MAX_LISTED = 100
_NO_RECORD = LabelRecord("", "")


class Plan:
    """What an upload holds. Nothing beyond tables of names is kept in memory."""

    def __init__(
        self, source: LabelSource, images: ImageTable, options: Options, findings: Sequence[Finding]
    ) -> None:
        self._source = source
        self._images = images
        self._options = options
        self._findings = tuple(findings)

    @property
    def format(self) -> Format:
        return self._source.format

    @property
    def categories(self) -> tuple[str, ...]:
        """The dataset's categories; complete once the frames were iterated."""
        return self._source.categories

    def frames(self) -> Iterator[PlannedFrame | Finding]:
        """Labelled frames in the order of the label files, then unlabelled ones by name; findings between.

        Raises:
            DatasetRejected: also at the very end, once all unknown categories are known.
        """
        yield from self._findings
        yield from _Join(self._source, self._images, self._options).run()


class _Join:
    """One pass over the labels of a plan."""

    def __init__(self, source: LabelSource, images: ImageTable, options: Options) -> None:
        self._source = source
        self._images = images.images
        self._table = images
        self._options = options
        self._ids = FrameIds()
        self._claims: dict[int, str] = {}
        self._first_label = ""
        self._labelled_splits: set[Split] = set()
        self._known: set[str] = set()
        self._renamed: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._seen: dict[str, Counter[str]] = {key: Counter() for key in options.selection.allowed}
        self._is_empty = True

    def run(self) -> Iterator[PlannedFrame | Finding]:
        for item in self._source.records():
            if isinstance(item, Finding):
                yield item
            else:
                yield from self._labelled(item)
        self._refuse_strangers()
        yield from self._unlabelled()
        self._refuse_unknown()
        self._refuse_nothing()
        yield from self._notes()

    def _labelled(self, record: LabelRecord) -> Iterator[PlannedFrame | Finding]:
        self._first_label = self._first_label or record.name
        place = record.image if record.image is not None else self._table.find(record.name, record.split)
        if place is not None:
            self._claim(place, record)
        split = self._split(place, record.split)
        if record.fault:
            yield record.fault
        elif self._accepts(split, record):
            if place is None:
                yield _without_image(record)
            else:
                self._count_categories(record)
                self._labelled_splits.add(split)
                yield self._planned(place, split, record)

    def _unlabelled(self) -> Iterator[PlannedFrame | Finding]:
        counted: Counter[Split] = Counter()
        for place, image in enumerate(self._images):
            split = self._split(place, None)
            if place in self._claims or not self._accepts(split, _NO_RECORD):
                continue
            if not self._options.unlabelled:
                counted[split] += 1
                message = "The image has no label: it counts as background, with nothing to find in it."
                yield Finding("unlabelled", Severity.NOTE, image.member, message)
            yield self._planned(place, split, _NO_RECORD)
        for split in sorted(set(counted) - self._labelled_splits):
            yield _unlabelled_split(split, counted[split])

    def _claim(self, place: int, record: LabelRecord) -> None:
        where = cut(f"{record.path} {record.pointer}".strip())
        if place in self._claims:
            raise DatasetRejected(
                "duplicate-label",
                f"{cut(self._images[place].member)} is labelled twice: by {self._claims[place]} "
                f"and by {where}.",
                "Remove one of the two: which one is meant cannot be known.",
            )
        self._claims[place] = where

    def _split(self, place: int | None, by_label: Split | None) -> Split:
        by_image = None if place is None else self._images[place].split
        return by_image or by_label or Split.TRAIN

    def _accepts(self, split: Split, record: LabelRecord) -> bool:
        selection = self._options.selection
        if not selection.allowed:
            return True
        meanings = filter(None, map(self._source.meaning, set(record.categories)))
        categories = {category for category, is_ignored in meanings if not is_ignored}
        if selection.accepts(split, record.attributes, categories):
            return True
        for key, values in selection.seen(split, record.attributes, categories).items():
            if len(self._seen[key]) < _MAX_LISTED:
                self._seen[key].update(values)
        return False

    def _count_categories(self, record: LabelRecord) -> None:
        for name in record.categories:
            if name in self._known:
                if name in self._renamed:
                    self._renamed[name] += 1
            elif (known := self._source.meaning(name)) is None:
                self._unknown[name] += 1
            else:
                self._known.add(name)
                if known[0] != name and not known[1]:
                    self._renamed[name] = 1

    def _planned(self, place: int, split: Split, record: LabelRecord) -> PlannedFrame:
        self._is_empty = False
        image = self._images[place]
        identity = self._ids.make(image.name, split)
        return PlannedFrame(image.member, image.name, identity, split, record.record, record.label)

    def _refuse_strangers(self) -> None:
        if self._first_label and not self._claims:
            raise DatasetRejected(
                "empty-dataset",
                f"No label belongs to an image: the first label is for {shown(self._first_label)}, "
                f"the first image is {shown(self._images[0].name)}.",
                "A label must name its image by the image's file name.",
            )

    def _refuse_unknown(self) -> None:
        if self._unknown and not self._options.ignore_unknown:
            names = sorted(self._unknown)
            listed = ", ".join(repr(name[:128]) for name in names[:_MAX_LISTED])
            more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            raise DatasetRejected(
                "unknown-category",
                f"The labels name categories that {self._source.format} does not have: {listed}{more}.",
                "Say what each means with --map-category NAME=CATEGORY, or leave their boxes out with "
                "--ignore-unknown.",
            )

    def _refuse_nothing(self) -> None:
        if not self._is_empty:
            return
        if not any(self._seen.values()) and not self._options.selection.allowed:
            raise DatasetRejected(
                "empty-dataset", "No image has a label that can be read.", "See the findings."
            )
        there = "; ".join(
            f"{key}: {', '.join(sorted(values)) or 'nothing'}" for key, values in sorted(self._seen.items())
        )
        raise DatasetRejected(
            "empty-selection",
            f"No frame is selected by {self._options.selection}.",
            f"The frames have {there}.",
        )

    def _notes(self) -> Iterator[Finding]:
        for name, count in sorted(self._unknown.items()):
            message = f"{count} box(es) of the unknown category {name[:128]!r} are left out."
            yield Finding("unknown-category", Severity.NOTE, "", message)
        for name, count in sorted(self._renamed.items()):
            category, _ = self._source.meaning(name) or ("", False)
            message = f"{count} box(es) of {shown(name, 128)} are counted as {shown(category, 128)}."
            yield Finding("category-renamed", Severity.NOTE, "", message)
        unused = set(self._options.category_map) - self._known - self._source.declared
        for name in sorted(unused):
            message = f"The category map names {name!r}, which no selected label has."
            yield Finding("unused-mapping", Severity.WARNING, "", message, "Check the spelling.")


def _without_image(record: LabelRecord) -> Finding:
    message = f"The label names {shown(record.name)}, which is not an image of this dataset; it is left out."
    if is_plain(record.name):
        cure = "Upload the image as well, or remove the label."
    else:
        cure = "Name the image by its file name: a path or address is never followed."
    return Finding("label-without-image", Severity.ERROR, record.path, message, cure, record.pointer)


def _unlabelled_split(split: Split, count: int) -> Finding:
    message = f"None of the {count} images of split {split} has a label: all count as background."
    cure = "Add their labels, or leave the split out with --select split=…"
    return Finding("unlabelled-split", Severity.WARNING, "", message, cure)

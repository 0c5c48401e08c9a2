"""Finds out by itself what an upload holds: lists of names in, planned frames out, then Frames.

A dataset is read in two steps, for its images are large and many. `plan_dataset` joins labels and images by
name; `build_frame` later makes a Frame of each, once its image is decoded and its size known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from service.datasets import bdd100k, coco, yolo
from service.datasets.categories import bdd100k_meaning, declared_meaning
from service.datasets.dataset import Finding, Frame, Severity
from service.datasets.image_table import ImageTable
from service.datasets.joining import Plan
from service.datasets.json_sources import BDD100KSource, CocoSource
from service.datasets.label_files import LabelFile, find_label_files, prefer
from service.datasets.members import ignored_files, is_image, stem, suffix, usable_members
from service.datasets.plan import BDD100K_FORMATS, Format, OpenMember, Options, PlannedFrame, Upload
from service.datasets.unlabelled import NoLabels
from service.datasets.yolo_folders import label_of
from service.datasets.yolo_plan import plan_yolo
from service.errors import DatasetRejected
from service.wording import cut

__all__ = ["Format", "Options", "Plan", "PlannedFrame", "build_frame", "plan_dataset"]

_LAYOUTS = (
    "Upload the label files too: BDD100K's JSON, a COCO JSON, or YOLO's data.yaml with images/ and labels/."
    " If the images are only to train a generator or to be compared with, upload them with --unlabelled."
)


def plan_dataset(members: Sequence[str], open_member: OpenMember, options: Options) -> Plan:
    """Recognise the format and prepare to join labels with images.

    Args:
        members: the names of all files, posix, in any order.
        open_member: gives a file's bytes; it is closed after use.

    Raises:
        DatasetRejected: if there is nothing to read, or more than one format.
    """
    used, findings = usable_members(members)
    images = [member for member in used if is_image(member)]
    if not images:
        cure = "Add the images (JPEG or PNG)."
        if any(finding.code == "nested-archive" for finding in findings):
            cure = "An archive within the upload is not opened: unpack it and upload the folder."
        raise DatasetRejected("empty-dataset", "The upload holds no images.", cure)
    upload = Upload(used, images, open_member, options)
    documents = find_label_files([member for member in used if suffix(member) == ".json"], open_member)
    texts = _label_texts(used, images)
    _refuse_mixture(documents, texts, images)
    if documents:
        return _plan_documents(upload, documents, findings)
    if texts:
        return plan_yolo(upload, texts, findings)
    if options.unlabelled:
        return Plan(NoLabels(), ImageTable.of(images), options, findings)
    raise DatasetRejected("empty-dataset", f"The upload holds {len(images)} images but no labels.", _LAYOUTS)


def build_frame(
    planned: PlannedFrame,
    label_format: Format,
    categories: Sequence[str],
    options: Options,
    *,
    width_px: int,
    height_px: int,
    label_text: str | None,
) -> tuple[Frame, list[Finding]]:
    """The frame of a decoded image, and what is wrong with its labels.

    Args:
        categories: those of the plan, after its frames were iterated.
        width_px, height_px: of the image as it is displayed.
        label_text: the text of `planned.label`, where there is one.
    """
    frame = Frame(planned.name, planned.id, planned.split, width_px, height_px)
    if label_format is Format.YOLO:
        names = (planned.record or {}).get("names", categories)
        meaning = declared_meaning(options.category_map)
        return yolo.read_label(label_text or "", frame, names, meaning, planned.label or planned.image)
    if planned.record is None:
        return frame, []
    notes = _size_findings(planned.record, label_format, frame, planned.image)
    if label_format is Format.COCO:
        meaning = declared_meaning(options.category_map)
        frame, findings = coco.read_record(planned.record, frame, meaning, planned.image)
    else:
        meaning = bdd100k_meaning(options.category_map)
        frame, findings = bdd100k.read_record(planned.record, frame, meaning, planned.image)
    return frame, notes + findings


def _size_findings(record: Mapping[str, Any], label_format: Format, frame: Frame, path: str) -> list[Finding]:
    """A warning if the label file was written for an image of another size."""
    said = record["image"] if label_format is Format.COCO else record.get("size")
    size = (said.get("width"), said.get("height")) if isinstance(said, dict) else (None, None)
    actual = (frame.width_px, frame.height_px)
    if None in size or size == actual:
        return []
    is_turned = size == actual[::-1]
    code = "orientation-ambiguous" if is_turned else "size-mismatch"
    said_size = "x".join(cut(str(side), 20) for side in size)
    message = f"The label is for an image of {said_size}, but the image is {actual[0]}x{actual[1]}."
    cure = "Turn the labels with the image." if is_turned else "Use the images that the labels were drawn on."
    return [Finding(code, Severity.WARNING, path, message, cure)]


def _label_texts(used: Sequence[str], images: Sequence[str]) -> list[str]:
    """The text members that can only be YOLO labels."""
    beside = {label_of(image) for image in images}
    texts = (member for member in used if suffix(member) == ".txt" and stem(member) != "classes")
    return [text for text in texts if text in beside or "labels" in text.split("/")[:-1]]


def _refuse_mixture(documents: Sequence[LabelFile], texts: Sequence[str], images: Sequence[str]) -> None:
    stems = set(map(stem, images))
    # A read-me beside JSON labels is no format of its own.
    texts = [text for text in texts if stem(text) in stems]
    examples: dict[str, str] = {}
    for document in documents:
        examples.setdefault("BDD100K" if document.form in BDD100K_FORMATS else "COCO", document.member)
    if texts:
        examples["YOLO"] = texts[0]
    if len(examples) > 1:
        listed = ", ".join(f"{name} ({cut(member)})" for name, member in sorted(examples.items()))
        raise DatasetRejected(
            "mixed-formats", f"The upload holds labels of several formats: {listed}.", "Keep one of them."
        )


def _plan_documents(upload: Upload, documents: Sequence[LabelFile], findings: Sequence[Finding]) -> Plan:
    kept, notes = prefer(documents)
    read = {document.member for document in documents}
    others = [member for member in upload.members if member not in read and not is_image(member)]
    notes += ignored_files(others, "neither images nor labels")
    make = CocoSource if kept[0].form is Format.COCO else BDD100KSource
    source = make(kept, upload.open_member, upload.options)
    return Plan(source, ImageTable.of(upload.images), upload.options, [*findings, *notes])

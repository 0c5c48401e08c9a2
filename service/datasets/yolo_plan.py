"""Recognising the layout of a YOLO dataset: its data.yaml, its class names, its listed folders."""

from collections.abc import Iterable, Sequence

from service.datasets.data_yaml import MAX_BYTES, DataYaml, parse_data_yaml
from service.datasets.dataset import Finding
from service.datasets.image_table import ImageTable, Placement
from service.datasets.joining import Plan
from service.datasets.json_sources import refuse_bad_name
from service.datasets.label_files import reading
from service.datasets.members import ignored_files, is_image, stem, suffix
from service.datasets.plan import OpenMember, Upload
from service.datasets.streams import decode_text
from service.datasets.yolo_folders import Listing, label_of
from service.datasets.yolo_source import YoloSource

_YAML = (".yaml", ".yml")


def plan_yolo(upload: Upload, labels: Sequence[str], findings: Sequence[Finding]) -> Plan:
    """The plan of a dataset with text labels; `labels` are those among the members."""
    used, images, open_member, options = upload.members, upload.images, upload.open_member, upload.options
    path, content = _data_yaml(used, open_member)
    names, read = _class_names(path, content, used, open_member)
    placement: Placement | None = None
    kept, notes = list(images), list(findings)
    if content and content.folders:
        listing = Listing(path, content, images, [member for member in used if suffix(member) == ".txt"])
        with reading(path):
            listing.read(open_member)
        kept, placement = listing.keep(images), listing.place
        notes += listing.findings
        read |= listing.files_read
    others = {member for member in used if not is_image(member)} - read - set(labels)
    notes += ignored_files(sorted(others), "neither images nor labels")
    wanted = _labels_of_kept(labels, images, kept)
    table = ImageTable.of(kept, placement)
    return Plan(YoloSource(table, wanted, names, open_member, options), table, options, notes)


def _data_yaml(used: Iterable[str], open_member: OpenMember) -> tuple[str, DataYaml | None]:
    """The YAML file that names classes; of several the one called data or dataset, or nearest to the top."""
    files = [member for member in used if suffix(member) in _YAML]
    for member in sorted(
        files, key=lambda name: (stem(name) not in ("data", "dataset"), name.count("/"), name)
    ):
        with open_member(member) as stream:
            data = stream.read(MAX_BYTES + 1)
        if content := parse_data_yaml(data, member):
            return member, content
    return "data.yaml", None


def _class_names(
    path: str, content: DataYaml | None, used: Iterable[str], open_member: OpenMember
) -> tuple[tuple[str, ...] | None, set[str]]:
    """The class names, if any file gives them, and the files read for them."""
    names, read = None, set[str]()
    if content:
        names, read = content.names, {path}
    # Labelling programs write the names beside the labels.
    elif len(files := [member for member in used if member.rpartition("/")[2] == "classes.txt"]) == 1:
        path, read = files[0], set(files)
        names = _listed_names(path, open_member)
    for name in names or ():
        refuse_bad_name(name, path)
    return names, read


def _listed_names(path: str, open_member: OpenMember) -> tuple[str, ...] | None:
    with reading(path), open_member(path) as stream:
        lines = decode_text(stream.read(MAX_BYTES), path).splitlines()
    return tuple(filter(None, map(str.strip, lines))) or None


def _labels_of_kept(labels: Iterable[str], images: Iterable[str], kept: Iterable[str]) -> list[str]:
    """The labels without those of images that are left out, which lack their image for a known reason."""
    left_out = {label_of(image) for image in set(images) - set(kept)}
    return [label for label in labels if label not in left_out]

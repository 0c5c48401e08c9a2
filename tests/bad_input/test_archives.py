"""Rows B34 and B40 to B56: archives that are none, that lie, or that would lead out of their folder."""

import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.bad_input.raw_zip import DEFLATED, ENCRYPTED, UTF8, Member, raw_zip
from workers.images import MAX_FILE_BYTES


def street(kit: Any) -> dict[str, Any]:
    """A sound YOLO dataset of three frames."""
    upload: dict[str, Any] = kit.upload("yolo")
    return upload


def members(kit: Any, *more: Member, **changes: Any) -> bytes:
    """The sound dataset with more members; `changes` replace fields of the image a.jpg's."""
    listed = []
    for name, content in street(kit).items():
        data = content if isinstance(content, bytes) else content.encode()
        fields = changes if name.endswith("train/a.jpg") else {}
        listed.append(Member(name.encode(), **{"content": data, **fields}))
    return raw_zip([*listed, *more])


def damaged_label(kit: Any) -> bytes:
    data = bytearray(kit.zipped(kit.upload("coco")))
    place = data.index(b'"annotations"')
    data[place : place + 4] = b"\xff\0\xff\0"
    return bytes(data)


def quoted_overlap(kit: Any) -> bytes:
    """The second entry's header lies inside what the first entry takes for its content."""
    inner = members(kit)
    return raw_zip(
        [
            Member(b"images/big.jpg", inner),
            Member(b"images/a.jpg", kit.picture(), at=30 + len(b"images/big.jpg")),
        ]
    )


def crowd(count: int, end_count: int = 0xFFFF) -> bytes:
    entry = raw_zip([Member(b"e")])[31:-22]
    directory = entry * count
    end = b"PK\5\6\0\0\0\0" + end_count.to_bytes(2, "little") * 2
    return (
        b"PK\3\4"
        + directory
        + end
        + len(directory).to_bytes(4, "little")
        + (4).to_bytes(4, "little")
        + b"\0\0"
    )


MODES = {
    "symlink": stat.S_IFLNK | 0o777,
    "device": stat.S_IFCHR | 0o600,
    "fifo": stat.S_IFIFO | 0o600,
    "socket": stat.S_IFSOCK | 0o600,
    "setuid": stat.S_IFREG | stat.S_ISUID | 0o755,
}
LONG = b"x" * 10_000

REFUSED: list[Any] = [
    pytest.param(lambda _: b"", "empty-archive", "empty", id="B34"),
    pytest.param(lambda kit: kit.picture(), "unrecognised-format", "not a zip", id="B40-photo"),
    pytest.param(lambda _: b"\x1f\x8b\x08\0" + bytes(200), "unrecognised-format", "not a zip", id="B40-gzip"),
    pytest.param(lambda _: b"Rar!\x1a\x07\0" + bytes(200), "unrecognised-format", "not a zip", id="B40-rar"),
    pytest.param(
        lambda kit: kit.zipped(street(kit))[:-200], "corrupt-archive", "cannot be read", id="B41-cut"
    ),
    pytest.param(
        lambda _: b"PK\3\4" + bytes(5000), "corrupt-archive", "cannot be read", id="B41-no-directory"
    ),
    pytest.param(lambda _: raw_zip([Member(b"")]), "corrupt-archive", "without a name", id="B41-nameless"),
    pytest.param(damaged_label, "corrupt-archive", "instances_train.json", id="B41-checksum"),
    pytest.param(lambda kit: members(kit, flags=ENCRYPTED), "encrypted-archive", "train/a.jpg", id="B42"),
    pytest.param(
        lambda kit: members(kit, Member(b"set/big.json", bytes(3_000_000), DEFLATED)),
        "archive-bomb",
        "set/big.json",
        id="B43-ratio",
    ),
    pytest.param(
        lambda kit: members(kit, Member(b"set/big.json", b"[]", size=250 * 2**30 % 2**32)),
        "archive-bomb",
        "set/big.json",
        id="B43-promise",
    ),
    pytest.param(
        lambda kit: raw_zip(
            [Member(b"images/a.jpg", kit.picture()), Member(b"images/b.jpg", kit.picture(), at=0)]
        ),
        "archive-overlap",
        "images/",
        id="B44-same",
    ),
    pytest.param(quoted_overlap, "archive-overlap", "images/big.jpg", id="B44-quoted"),
    pytest.param(
        lambda kit: members(kit, packed_size=len(kit.picture(seed=1)) + 40),
        "archive-overlap",
        "train/a.jpg",
        id="B44-longer-than-told",
    ),
    pytest.param(lambda _: crowd(1_000_000), "too-many-entries", "1,000,000", id="B46"),
    *(
        pytest.param(
            lambda kit, name=name: members(kit, Member(name, kit.picture())),
            "unsafe-path",
            "leads out",
            id=row,
        )
        for row, name in {
            "B47-up": b"../../evil.jpg",
            "B47-up-in-the-middle": b"set/images/../../../evil.jpg",
            "B47-windows-up": b"..\\..\\evil.jpg",
            "B47-absolute": b"/etc/evil.jpg",
            "B47-drive": b"C:\\windows\\evil.jpg",
            "B47-unc": b"\\\\server\\share\\evil.jpg",
            "B47-escaped": b"set/%2e%2e/%2E%2e/evil.jpg",
            "B47-long": b"../" + LONG + b".jpg",
        }.items()
    ),
    *(
        pytest.param(
            lambda kit, mode=mode: members(kit, Member(b"set/odd", b"/etc/passwd", mode=mode)),
            "unsafe-entry",
            "set/odd",
            id=f"B48-{name}",
        )
        for name, mode in MODES.items()
    ),
    pytest.param(
        lambda kit: raw_zip(
            [
                Member(b"labels/det_train.json", b"[]", local_name=b"labels/det_tra1n.json"),
                Member(b"images/a.jpg", kit.picture()),
            ]
        ),
        "archive-inconsistent",
        "det_train.json",
        id="B49-label-name",
    ),
    pytest.param(
        lambda kit: raw_zip(
            [Member(b"labels/det_train.json", b"[]", local_size=9), Member(b"images/a.jpg", kit.picture())]
        ),
        "archive-inconsistent",
        "det_train.json",
        id="B49-label-size",
    ),
    pytest.param(
        lambda kit: members(kit, Member(b"set/images/train/a.jpg", kit.picture())),
        "duplicate-name",
        "set/images/train/a.jpg",
        id="B51",
    ),
    pytest.param(
        lambda kit: members(kit, Member(b"set\\images\\train\\a.jpg", kit.picture())),
        "duplicate-name",
        "set/images/train/a.jpg",
        id="B51-by-backslash",
    ),
    pytest.param(
        lambda kit: members(kit, Member(b"set/images/train/A.jpg", kit.picture())),
        "name-collision",
        "'set/images/train/A.jpg' and 'set/images/train/a.jpg'",
        id="B52-case",
    ),
    pytest.param(
        lambda kit: members(
            kit,
            Member("set/images/train/café.jpg".encode(), kit.picture(), flags=UTF8),
            Member("set/images/train/cafe\u0301.jpg".encode(), kit.picture(), flags=UTF8),
        ),
        "name-collision",
        "set/images/train/café.jpg",
        id="B52-composed",
    ),
    pytest.param(
        lambda kit: members(kit, method=12), "unsupported-compression", "train/a.jpg", id="B56-bzip2"
    ),
    pytest.param(
        lambda kit: members(kit, method=93), "unsupported-compression", "train/a.jpg", id="B56-zstd"
    ),
]


@pytest.mark.parametrize(("make", "code", "named"), REFUSED)
def test_an_archive_that_cannot_be_trusted_is_refused_whole(
    gate: Any, kit: Any, make: Callable[[Any], bytes], code: str, named: str
) -> None:
    finding = gate.refuses(make(kit))
    assert finding["code"] == code
    assert named in finding["message"]


@pytest.mark.parametrize("row", [pytest.param("sum", id="B43-sum")])
def test_members_together_may_not_unfold_beyond_the_limit(gate: Any, kit: Any, row: str) -> None:
    shop = gate.workshop
    small = shop.settings.model_copy(update={"max_upload_bytes": 1_000})
    gate.workshop = type(shop)(shop.store, small)
    assert gate.refuses(kit.zipped(street(kit)))["code"] == "archive-bomb"


LYING = b"set/images/train/lies.jpg"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        # What the directory does not promise is not inflated: the member ends early, its checksum is wrong.
        pytest.param(
            lambda _: Member(LYING, bytes(9_000_000), DEFLATED, size=1000, local_size=1000),
            "corrupt-archive",
            id="B43-more-than-promised",
        ),
        pytest.param(
            lambda _: Member(LYING, size=MAX_FILE_BYTES, packed_size=0), "archive-bomb", id="B43-image"
        ),
        # An image is looked at when its turn comes; then a lie costs its own frame, as damage does (B41).
        # A look at every header first would fetch the whole archive from an object store once more.
        pytest.param(
            lambda kit: Member(LYING, kit.picture(), local_name=LYING.replace(b"lies", b"true")),
            "archive-inconsistent",
            id="B49-image-name",
        ),
        pytest.param(
            lambda kit: Member(LYING, kit.picture(), local_size=3),
            "archive-inconsistent",
            id="B49-image-size",
        ),
        pytest.param(
            lambda kit: Member(LYING, kit.picture(), DEFLATED, packed_size=0),
            "corrupt-archive",
            id="B41-image",
        ),
    ],
)
def test_an_image_that_is_not_what_the_directory_says_costs_its_own_frame(
    gate: Any, kit: Any, make: Callable[[Any], Member], code: str
) -> None:
    data = members(kit, make(kit))
    if code == "archive-bomb":
        assert gate.refuses(data)["code"] == code
        return
    done = gate.takes(data)
    assert [entry.frame.name for entry in done.entries] == ["a.jpg", "b.png", "c.jpg"]
    [finding] = gate.findings(done)[code]
    assert finding["path"] == LYING.decode()
    assert finding["cure"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"set/more.zip", id="B45-zip"),
        pytest.param(b"set/images/train/more.tar.gz", id="B45-tar"),
        pytest.param(b"set/labels/train/more.7z", id="B45-7z"),
    ],
)
def test_an_archive_within_an_archive_is_named_and_not_opened(gate: Any, kit: Any, name: bytes) -> None:
    done = gate.takes(members(kit, Member(name, kit.zipped(street(kit)))))
    assert len(done.entries) == 3
    [finding] = gate.findings(done)["nested-archive"]
    assert (finding["path"], finding["severity"]) == (name.decode(), "warning")
    assert "Unpack" in finding["cure"]


@pytest.mark.parametrize("row", [pytest.param("only", id="B45-only")])
def test_an_upload_of_nothing_but_archives_says_what_to_do(gate: Any, kit: Any, row: str) -> None:
    finding = gate.refuses({"bdd100k_images.zip": kit.zipped(street(kit))})
    assert finding["code"] == "empty-dataset"
    assert "unpack" in finding["cure"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("evil\0.jpg", id="B50-nul"),
        pytest.param("line\nbreak\x1b[31m.jpg", id="B50-control"),
        pytest.param("x" * 300 + ".jpg", id="B50-255-bytes"),
        pytest.param("é" * 200 + ".jpg", id="B50-255-bytes-of-letters"),
        pytest.param("folder. /street.jpg", id="B50-space"),
        pytest.param("folder./street.jpg", id="B50-dot"),
        pytest.param("CON.jpg", id="B50-device"),
        pytest.param("lpt1.street.jpg", id="B50-port"),
        pytest.param("-rf.jpg", id="B50-dash"),
        pytest.param("street.jpg:stream.jpg", id="B50-stream"),
        pytest.param("a\u202egpj.exe.jpg", id="B53-right-to-left"),
        pytest.param("a\u2066b\u2069.jpg", id="B53-isolate"),
        pytest.param("zero\u200bwidth.jpg", id="B53-zero-width"),
    ],
)
def test_an_image_of_an_illegal_name_is_kept_under_another(gate: Any, kit: Any, name: str) -> None:
    data = members(kit, Member(f"set/images/train/{name}".encode(), kit.picture(), flags=UTF8))
    done = gate.takes(data)
    assert len(done.entries) == 4
    [finding] = gate.findings(done)["illegal-name"]
    assert finding["path"].endswith(name[-100:])
    assert (finding["severity"], bool(finding["cure"])) == ("warning", True)
    for entry in done.entries:
        assert entry.frame.id.isascii()
        assert len(entry.frame.id) <= 120
        assert entry.image.rpartition("/")[2].partition(".")[0].upper() not in ("CON", "LPT1")
        assert not set(entry.frame.id) & set(' /\\:\0\n"<>|?*')
        assert not entry.frame.id.startswith(("-", "."))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("улица.jpg", id="B53-cyrillic"),
        pytest.param("раypal.jpg", id="B53-homoglyph"),
        pytest.param("شارع.jpg", id="B53-arabic"),
        pytest.param("🌃.jpg", id="B53-emoji"),
        pytest.param("𝔫ight.jpg", id="B53-four-bytes"),
    ],
)
def test_every_printable_name_is_taken_as_it_is(gate: Any, kit: Any, name: str) -> None:
    done = gate.takes(members(kit, Member(f"set/images/train/{name}".encode(), kit.picture(), flags=UTF8)))
    assert name in [entry.frame.name for entry in done.entries]
    assert set(gate.findings(done)) == {"unlabelled"}


@pytest.mark.parametrize(
    ("name", "read_as"),
    [
        pytest.param("夜.jpg".encode(), "夜.jpg", id="B54-utf8-without-the-flag"),
        pytest.param(
            "夜景.jpg".encode("shift-jis"), "夜景.jpg".encode("shift-jis").decode("cp437"), id="B54-shift-jis"
        ),
        pytest.param("straße.jpg".encode("cp437"), "straße.jpg", id="B54-cp437"),
    ],
)
def test_a_name_of_unknown_encoding_is_guessed_and_finds_its_label_by_its_bytes(
    gate: Any, kit: Any, name: bytes, read_as: str
) -> None:
    # Unlike the table, which reads cp437: most packers that forget the flag do write UTF-8.
    label = b"set/labels/train/" + name.removesuffix(b".jpg") + b".txt"
    row = b"0 0.5 0.5 0.25 0.5\n"
    done = gate.takes(members(kit, Member(b"set/images/train/" + name, kit.picture()), Member(label, row)))
    [entry] = [entry for entry in done.entries if entry.frame.name == read_as]
    assert len(entry.frame.boxes) == 1
    guessed = gate.findings(done)["name-encoding-guessed"]
    assert [finding["path"].rpartition("/")[2].partition(".")[0] for finding in guessed] == [
        read_as.partition(".")[0]
    ] * 2


@pytest.mark.parametrize("row", [pytest.param("junk", id="B55")])
def test_what_systems_leave_in_a_folder_is_passed_over_and_counted(gate: Any, kit: Any, row: str) -> None:
    junk = {
        "__MACOSX/set/images/train/._a.jpg": b"\0\5\x16\7",
        "set/images/.DS_Store": b"Bud1",
        "set/images/train/Thumbs.db": b"\xd0\xcf",
        "set/desktop.ini": "[.ShellClassInfo]",
    }
    done = gate.takes(street(kit) | junk)
    assert len(done.entries) == 3
    found = gate.findings(done)
    assert set(found) == {"ignored-file"}
    assert sum(int(finding["message"].split()[0]) for finding in found["ignored-file"]) == 4


def test_the_lies_are_told_well() -> None:
    """The writer of hostile archives writes a sound one when it is told no lie."""
    data = raw_zip([Member(b"a.txt", b"hello"), Member(b"b.txt", b"hello" * 99, DEFLATED, mode=0o100644)])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("b.txt") == b"hello" * 99
        assert zlib.crc32(b"hello" * 99) == archive.infolist()[1].CRC

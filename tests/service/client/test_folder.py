"""What the client sends and what it unpacks."""

import io
import zipfile
from pathlib import Path

import pytest

from service.client.folder import UploadSource, refuse_used, unpack
from service.errors import InvalidRequest


def test_a_folder_is_sent_as_a_zip_of_the_announced_size(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.JPG").write_bytes(b"pixels")
    (tmp_path / "data.yaml").write_text("names: [car]")
    (tmp_path / "notes.docx").write_bytes(b"not wanted")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/hidden.txt").write_text("hidden")
    source = UploadSource(tmp_path)
    content = b"".join(source.chunks())
    assert len(content) == source.size_bytes
    assert source.filename == f"{tmp_path.name}.zip"
    assert source.skipped == 1
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == ["data.yaml", "images/a.JPG"]
        assert archive.read("images/a.JPG") == b"pixels"


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    path.write_bytes(bytes(range(256)) * 10)
    source = UploadSource(path)
    assert (b"".join(source.chunks(block_bytes=100)), source.filename) == (path.read_bytes(), "day.zip")


def test_a_path_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no file or folder"):
        UploadSource(tmp_path / "nothing")
    with pytest.raises(InvalidRequest, match="neither images nor labels"):
        UploadSource(tmp_path)


def test_a_used_folder_is_not_written_into(tmp_path: Path) -> None:
    refuse_used(tmp_path)
    refuse_used(tmp_path / "new")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InvalidRequest, match="not an empty folder"):
            refuse_used(path)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt"])
def test_an_archive_never_writes_outside_its_folder(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "evil")
    with pytest.raises(InvalidRequest, match="unsafe name"):
        unpack(archive, tmp_path / "target")
    assert not list(tmp_path.rglob("evil.txt"))

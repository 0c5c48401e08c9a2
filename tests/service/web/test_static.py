"""What is sent as a script or style, and where it is from."""

import hashlib
import json

import pytest
from fastapi.testclient import TestClient

from service.web.assets import FOLDER, files, static
from tests.serving import Serving

LIBRARIES = json.loads((FOLDER / "vendor/libraries.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["name"])
def test_a_library_is_as_its_package_has_it_and_says_its_licence(library: dict[str, object]) -> None:
    vendor = FOLDER / "vendor"
    for name, digest in dict(library["sha256"]).items():  # type: ignore[call-overload]
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest
    assert (vendor / str(library["licence_file"])).stat().st_size > 0


def test_every_library_is_listed() -> None:
    listed = {name for library in LIBRARIES for name in library["sha256"]}
    assert {path.name for path in (FOLDER / "vendor").iterdir() if path.suffix in (".js", ".css")} == listed


def test_files_may_be_kept_for_ever_under_an_address_that_changes_with_them(serving: Serving) -> None:
    client: TestClient = serving()
    answer = client.get(static("nightshift.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["../pages.py", "vendor/libraries.json", "nothing.js", "/etc/passwd"])
def test_nothing_else_is_sent(serving: Serving, name: str) -> None:
    assert serving().get(f"/static/x/{name}").status_code in (400, 404)


def test_no_file_names_another_host() -> None:
    own = [
        path for name, path in files().items() if not name.startswith("vendor/") and path.suffix != ".webp"
    ]
    for path in [*own, *(FOLDER.parent / "templates").rglob("*.html")]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in "".join(
            part for part in text.split() if part.startswith(("src=", "href=", "url("))
        )
        assert "http://" not in text
        assert "https://" not in text

"""The form of an import: a checkpoint's files are uploaded already, here is what they are."""

from typing import Any

from pydantic import BaseModel, field_validator

from service.errors import InvalidRequest
from service.web.forms import lines

SAID = ("title", "paper", "training_data", "licence")


class ImportForm(BaseModel):
    """`upload_id`: one for each file, in their order. `options`: `NAME=VALUE` on each line."""

    upload_id: list[str] = []
    name: str = ""
    architecture: str = ""
    direction: str = ""
    options: str = ""
    title: str = ""
    paper: str = ""
    training_data: str = ""
    licence: str = ""
    shared: bool = False

    @field_validator("name")
    @classmethod
    def _without_spaces_around(cls, name: str) -> str:
        return name.strip()

    def values(self) -> dict[str, Any]:
        """As the API's wish wants them.

        Raises:
            InvalidRequest: there is no file, or a line of the options says nothing.
        """
        first, *parts = [upload_id for upload_id in self.upload_id if upload_id] or [""]
        if not first:
            raise InvalidRequest("There is no checkpoint yet.", "Choose its file and wait for its upload.")
        said = {name: getattr(self, name).strip() for name in SAID}
        return {
            "upload_id": first,
            "part_upload_ids": parts,
            "name": self.name,
            "architecture": self.architecture,
            "direction": self.direction,
            "options": dict(map(option, lines(self.options))),
            "card": {name: text for name, text in said.items() if text},
            "shared": self.shared,
        }


def option(line: str) -> tuple[str, bool | int | float | str]:
    """`align_corners=true`, `ratio=0.4`: a truth, a number or a word, by how it is written."""
    name, equals, text = (part.strip() for part in line.partition("="))
    if not (name and equals and text):
        raise InvalidRequest(f"{line[:100]!r} is not an option.", "Write NAME=VALUE, one on each line.")
    if text.lower() in ("true", "false"):
        return name, text.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(text)
        except ValueError:
            continue
    return name, text

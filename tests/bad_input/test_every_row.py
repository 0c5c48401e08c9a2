"""Each row of the list of bad input is the id of at least one test case."""

import ast
import re
from pathlib import Path

ROWS = [
    *range(1, 16), *range(20, 36), *range(40, 57), *range(60, 75), *range(80, 103), *range(110, 123),
]  # fmt: skip


def rows_of(source: str) -> set[int]:
    """The numbers of strings that begin like a row's id, those with a place for a name in them too."""
    texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    found = (re.match(r"B(\d{2,3})(?:-|$)", text) for text in texts if isinstance(text, str))
    return {int(match[1]) for match in found if match}


def test_every_row_is_a_case() -> None:
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    found = set().union(*(rows_of(path.read_text()) for path in files))
    assert sorted(set(ROWS) - found) == []
    assert sorted(found - set(ROWS)) == []


def test_rows_are_found_in_ids() -> None:
    assert rows_of('param(1, id="B42"); param(2, id=f"B110-{x}"); "a B12"; "B7"; "B43x"') == {42, 110}

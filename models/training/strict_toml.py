"""Frozen dataclasses from TOML and back, one table for each nested dataclass; nothing is guessed."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from models.training.errors import RecipeRejected

Value = TypeVar("Value")


def read_toml(text: str, kind: type[Value]) -> Value:
    """A `kind` from TOML; keys that are left out keep their defaults.

    Raises:
        RecipeRejected: naming the unknown key and the nearest valid one, or the key whose value does not do.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeRejected(f"The recipe is not TOML: {error}.") from error
    return from_table(table, kind)


def from_table(table: Mapping[str, Any], kind: type[Value]) -> Value:
    """The same from a table that was read already."""
    return changed(kind(), table)


def changed(value: Value, table: Mapping[str, Any]) -> Value:
    """The same value but for what the table says, which is checked as above."""
    built: Value = _changed(value, table, "", tuple(_dotted_keys(type(value))))
    return built


def to_toml(value: Any) -> str:
    """What `read_toml` reads as the same value again: plain keys first, then a table for each dataclass."""
    table = asdict(value)
    plain = [_line(key, entry) for key, entry in table.items() if not isinstance(entry, dict)]
    tables = [
        "\n".join([f"\n[{name}]", *(_line(key, entry) for key, entry in entries.items())])
        for name, entries in table.items()
        if isinstance(entries, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _line(key: str, value: object) -> str:
    # numbers, strings and booleans are written alike in JSON and in TOML
    return f"{key} = {json.dumps(value)}"


def _dotted_keys(kind: Any, before: str = "") -> list[str]:
    keys = []
    for name, wanted in get_type_hints(kind).items():
        keys += _dotted_keys(wanted, f"{before}{name}.") if is_dataclass(wanted) else [f"{before}{name}"]
    return keys


def _changed(defaults: Any, table: Mapping[str, Any], before: str, valid: tuple[str, ...]) -> Any:
    """The same dataclass with what the table says; what it does not say stays, also within its tables."""
    wanted = get_type_hints(type(defaults))
    known = {each.name for each in fields(defaults)}
    values = {}
    for key, value in table.items():
        name = f"{before}{key}"
        if key not in known:
            raise _unknown(name, valid)
        is_table = is_dataclass(wanted[key]) or get_origin(wanted[key]) is Mapping
        if is_table and not isinstance(value, Mapping):
            raise RecipeRejected(f"{name!r} in the recipe is a table.", f"Write it as [{name}].")
        if is_dataclass(wanted[key]):
            values[key] = _changed(getattr(defaults, key), value, f"{name}.", valid)
        elif is_table:
            kind = get_args(wanted[key])[1]
            values[key] = {each: _checked(f"{name}.{each}", entry, kind) for each, entry in value.items()}
        else:
            values[key] = _checked(name, value, wanted[key])
    return replace(defaults, **values)


def _unknown(name: str, valid: tuple[str, ...]) -> RecipeRejected:
    """A key may be misspelled, or right but in another table."""
    last = name.rpartition(".")[2]
    elsewhere = [key for key in valid if key.rpartition(".")[2] == last]
    nearest = elsewhere or get_close_matches(name, valid, n=1, cutoff=0.0)
    return RecipeRejected(
        f"The recipe has an unknown key {name!r}.", f"The nearest valid one is {nearest[0]!r}."
    )


def _checked(name: str, value: object, wanted: Any) -> Any:
    if get_origin(wanted) is Literal:
        if value in get_args(wanted):
            return value
        choices = ", ".join(repr(choice) for choice in get_args(wanted))
        raise RecipeRejected(f"{name!r} in the recipe is {value!r}.", f"It can be one of: {choices}.")
    if wanted is float and type(value) is int:
        return float(value)
    if get_origin(wanted) is tuple and isinstance(value, list):
        kind = get_args(wanted)[0]
        return tuple(_checked(f"{name}[{place}]", each, kind) for place, each in enumerate(value))
    # not isinstance: True is an int to Python
    if type(value) is not wanted:
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
        raise RecipeRejected(
            f"{name!r} in the recipe is {value!r}.", f"It must be {kinds.get(wanted, 'a list of strings')}."
        )
    return value

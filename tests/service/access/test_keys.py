"""Keys as text: told from other text, and from each other, by their checksum; never shown by accident."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.keys import check_tenant, mint, parse, parse_scopes
from service.access.scopes import ALL_SCOPES
from service.errors import InvalidRequest


def test_a_key_is_read_back_as_it_was_minted() -> None:
    key = mint()
    assert parse(str(key)) == key
    assert re.fullmatch(r"ns_[a-z0-9]{8}_[A-Za-z0-9_-]{43}_[0-9a-f]{8}", str(key))


def test_no_two_keys_are_alike() -> None:
    minted = [mint() for _ in range(200)]
    assert len({key.id for key in minted}) == len({key.secret for key in minted}) == 200


@given(st.integers(0, 63), st.sampled_from("abcXYZ019_-"))
def test_a_key_with_one_letter_wrong_is_no_key(place: int, letter: str) -> None:
    text = str(mint())
    wrong = text[:place] + letter + text[place + 1 :]
    assert (parse(wrong) is None) == (wrong != text)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert parse(text) is None
    assert parse(f"ns_{text}") is None


@pytest.mark.parametrize("change", [lambda key: f" {key}", lambda key: f"{key}\n", lambda key: key[:-1]])
def test_what_stands_around_a_key_is_not_taken_for_it(change) -> None:  # type: ignore[no-untyped-def]
    assert parse(change(str(mint()))) is None


def test_only_the_secret_opens_what_its_hash_keeps() -> None:
    key, other = mint(), mint()
    assert key.matches(key.secret_sha256)
    assert not key.matches(other.secret_sha256)


def test_a_key_in_a_log_shows_its_id_alone() -> None:
    key = mint()
    assert key.secret not in repr(key)
    assert key.id in repr(key)


@pytest.mark.parametrize("name", ["", "Upper", "with space", "a/b", "-a", "a" * 41, "a\n", "ü"])
def test_a_tenant_has_a_plain_name(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_tenant(name)
    assert check_tenant("acme.night-2") == "acme.night-2"


def test_scopes_are_read_from_words() -> None:
    assert parse_scopes(map(str, ALL_SCOPES)) == ALL_SCOPES
    with pytest.raises(InvalidRequest, match="jobs:write"):
        parse_scopes(["jobs:delete"])

"""How often one may ask: counted in Redis where there is one, here while it is away."""

from pathlib import Path
from typing import Any

import pytest

from service.access.rate_limits import Allowance, RateLimits
from service.errors import TooManyRequests
from service.settings import Settings

SLOW = {"requests_per_second": 0.01, "request_burst": 3, "failed_keys_per_minute": 2}


def limits(folder: Path, **more: Any) -> RateLimits:
    return RateLimits(Settings(data_dir=folder, **{**SLOW, **more}))


def left(allowance: Allowance | None) -> int:
    assert allowance is not None
    return allowance.remaining


def test_a_burst_is_admitted_and_then_no_more(tmp_path: Path) -> None:
    counted = limits(tmp_path)
    assert [left(counted.admit("a")) for _ in range(5)] == [2, 1, 0, -1, -1]
    assert left(counted.admit("b")) == 2, "each key has its own"


def test_what_is_left_is_told_in_headers(tmp_path: Path) -> None:
    counted = limits(tmp_path)
    told = [counted.admit("a") for _ in range(4)]
    headers = [each.headers() for each in told if each is not None]
    assert [each["RateLimit-Remaining"] for each in headers] == ["2", "1", "0", "0"]
    assert {each["RateLimit-Limit"] for each in headers} == {"3"}
    assert all(0 < int(each["RateLimit-Reset"]) <= 300 for each in headers)


def test_without_a_limit_nothing_is_counted(tmp_path: Path) -> None:
    assert limits(tmp_path, requests_per_second=0).admit("a") is None


def test_too_many_wrong_keys_from_one_address_are_refused_for_a_while(tmp_path: Path) -> None:
    counted = limits(tmp_path)
    for _ in range(2):
        counted.note_failure("192.0.2.1")
    with pytest.raises(TooManyRequests) as refused:
        counted.note_failure("192.0.2.1")
    assert 1 <= refused.value.retry_after_seconds <= 60
    counted.note_failure("192.0.2.2")


def test_while_redis_is_away_each_server_counts_for_itself(tmp_path: Path) -> None:
    away = limits(tmp_path, broker_url="redis://127.0.0.1:1/0")
    assert [left(away.admit("a")) for _ in range(4)] == [2, 1, 0, -1]


@pytest.mark.servers
def test_servers_count_together_in_redis(tmp_path: Path, redis_server: Any) -> None:
    one, other = (limits(tmp_path, broker_url=redis_server.url) for _ in range(2))
    assert [left(counter.admit("shared")) for counter in (one, other, one, other)] == [2, 1, 0, -1]
    one.note_failure("192.0.2.9")
    other.note_failure("192.0.2.9")
    with pytest.raises(TooManyRequests):
        one.note_failure("192.0.2.9")

"""How often a key may ask, and how often an address may be wrong.

A moving window: `burst` requests in the time that `burst` requests may take at the steady rate. All servers
count together in Redis where the broker is one; while it is away each counts for itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import TooManyRequests
from service.settings import Settings

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer")
REDIS_PATIENCE_SECONDS = 0.25
# A Redis that is away is not asked again at once: each question would cost its patience.
REDIS_REST_SECONDS = 5.0
# A page of sixty frames is one look of one person, and sixty requests.
PAGE_FACTOR = 10


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may still send."""

    limit: int
    remaining: int
    reset_after_seconds: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.remaining)),
            "RateLimit-Reset": str(self.reset_after_seconds),
        }


class RateLimits:
    def __init__(self, settings: Settings) -> None:
        self._requests = _request_limit(settings)
        self._page_requests = _request_limit(settings, PAGE_FACTOR)
        self._failures = RateLimitItemPerMinute(settings.failed_keys_per_minute)
        self._here = MovingWindowRateLimiter(MemoryStorage())
        self._shared = _shared_limiter(settings.broker_url)
        self._rests_until = 0.0

    def admit(self, key_id: str, is_page: bool = False) -> Allowance | None:
        """One request more with this key; None if there is no limit. An allowance whose `remaining` is
        negative is a refusal. A browser that has signed in with it is counted apart, and may send more.
        """
        limit, counted_as = (self._page_requests, "page") if is_page else (self._requests, "key")
        if limit is None:
            return None
        return self._ask(lambda counter: _count(counter, limit, counted_as, key_id))

    def note_failure(self, address: str) -> None:
        """Raises:
        TooManyRequests: this address has sent too many wrong keys.
        """
        allowance = self._ask(lambda counter: _count(counter, self._failures, "address", address))
        if allowance.remaining < 0:
            what = "Too many wrong API keys came from this address."
            raise TooManyRequests(what, max(1, allowance.reset_after_seconds))

    def _ask(self, question: Callable[[MovingWindowRateLimiter], Answer]) -> Answer:
        if self._shared is not None and time.monotonic() >= self._rests_until:
            try:
                return question(self._shared)
            except StorageError as error:
                self._rests_until = time.monotonic() + REDIS_REST_SECONDS
                log.warning("rate limits are counted here", error=type(error.storage_error).__name__)
        return question(self._here)


def _count(counter: MovingWindowRateLimiter, limit: RateLimitItem, *names: str) -> Allowance:
    is_admitted = counter.hit(limit, *names)
    window = counter.get_window_stats(limit, *names)
    reset_after = max(0, round(window.reset_time - time.time()))
    return Allowance(limit.amount, window.remaining if is_admitted else -1, reset_after)


def _request_limit(settings: Settings, factor: int = 1) -> RateLimitItem | None:
    if settings.requests_per_second == 0:
        return None
    seconds = max(1, round(settings.request_burst / settings.requests_per_second))
    return RateLimitItemPerSecond(round(factor * settings.requests_per_second * seconds), seconds)


def _shared_limiter(broker_url: str) -> MovingWindowRateLimiter | None:
    if not broker_url.startswith(("redis://", "rediss://")):
        return None
    storage = RedisStorage(
        broker_url,
        wrap_exceptions=True,
        socket_timeout=REDIS_PATIENCE_SECONDS,
        socket_connect_timeout=REDIS_PATIENCE_SECONDS,
    )
    return MovingWindowRateLimiter(storage)

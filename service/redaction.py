"""Hides secrets in text that leaves a process: log lines, reasons in events, errors that users see.

Two nets: the values that the settings hold, wherever they turn up; and whatever looks like a secret: keys,
signatures of presigned URLs, passwords in URLs. It is the last line of defence, not the first: secrets are
not handed to loggers. Own code: libraries that scrub logs hook into loggers, not into plain text.
"""

import json
import re
import urllib.parse
from collections.abc import Iterable

from pydantic import SecretStr

from service.settings import Settings

HIDDEN = "[hidden]"
SHORTEST = 6  # a shorter value is no secret, and would be hidden in the middle of words
_WORDS = (
    r"pass(?:word|wd|phrase)|secret(?:[_-]?(?:access)?[_-]?key)?|api[_-]?key|authorization|"
    r"(?:access|session|security)[_-]?token"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"(\bns_[a-z0-9]{8}_)[a-z0-9_-]{16,}", rf"\1{HIDDEN}"),
        (r"(\bwhsec_)[a-z0-9+/=]{8,}", rf"\1{HIDDEN}"),
        (r"(\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{6,}", rf"\1{HIDDEN}"),
        (r"(\b[a-z][a-z0-9+.-]*://[^\s/:@\"']*:)[^\s/\"']+(?=@)", rf"\1{HIDDEN}"),
        (r"(\b(?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|credential)=)"
         r"[^&\s,\"'\\<>]+", rf"\1{HIDDEN}"),
        (r"([?&](?:token|access_token|key|sig)=)[^&\s\"'\\<>]+", rf"\1{HIDDEN}"),
        (rf"((?:{_WORDS})[\"'\\]*\s*[:=]\s*[\"'\\]*)(?!\[hidden\])[^\s\"'\\,;&}}]+", rf"\1{HIDDEN}"),
    )
)  # fmt: skip


class Redaction:
    """`secrets`: values to hide wherever they stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # The longest first: one may be a part of another.
        alternatives = "|".join(re.escape(form) for form in sorted(spelled, key=len, reverse=True))
        self._known = re.compile(alternatives) if alternatives else None

    @classmethod
    def of(cls, settings: Settings) -> "Redaction":
        return cls(secrets_in(settings))

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text


def secrets_in(settings: Settings) -> Iterable[str]:
    """What is a secret by its type, and the passwords in addresses."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, str) and "://" in value:
            yield from _password(value)


def _password(url: str) -> Iterable[str]:
    user, _, rest = url.partition("://")[2].rpartition("@")[0].partition(":")
    if user or rest:
        yield rest
        yield urllib.parse.unquote(rest)


def _forms(secret: str) -> Iterable[str]:
    """As it is, in a URL, and in JSON."""
    yield secret
    yield urllib.parse.quote(secret, safe="")
    yield json.dumps(secret)[1:-1]

"""What is refused before a route sees it: what no honest client sends, and what is larger than allowed."""

from service.errors import NightshiftError


class MalformedRequest(NightshiftError):
    code = "bad-request"


class BodyTooLarge(NightshiftError):
    """Of a request that is no upload: those have a limit of their own."""

    code = "body-too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The body is larger than {limit_bytes:,} bytes.",
            "Only uploads are larger: PUT them to /v1/uploads.",
        )
        self.max_allowed = limit_bytes


class UnsupportedMediaType(NightshiftError):
    code = "unsupported-media-type"


class RequestTooSlow(NightshiftError):
    code = "request-timeout"

    def __init__(self, least_bytes: int, seconds: float) -> None:
        super().__init__(
            f"In {seconds:g} s fewer than {least_bytes:,} bytes of the request came.",
            "Send it again; an upload in pieces goes on where it stopped.",
        )


class TargetTooLong(NightshiftError):
    code = "target-too-long"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The path is longer than {limit_bytes:,} bytes.")
        self.max_allowed = limit_bytes


class HeadersTooLarge(NightshiftError):
    code = "headers-too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The headers are larger than {limit_bytes:,} bytes.")
        self.max_allowed = limit_bytes


class MisdirectedRequest(NightshiftError):
    """For a name that this server does not go by: a page may have bent its own to this address."""

    code = "misdirected-request"

    def __init__(self) -> None:
        super().__init__(
            "This server does not go by the name in the Host header.",
            "The operator names those it goes by in NIGHTSHIFT_ALLOWED_HOSTS.",
        )


class RangeNotSatisfiable(NightshiftError):
    code = "range-not-satisfiable"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The range begins behind the end of these {size_bytes:,} bytes.")
        self.size_bytes = size_bytes

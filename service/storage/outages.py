"""Which errors say that the store is full or away: nobody's fault, and gone again some day."""

import errno
import sys

from service.errors import NoSpaceLeft, Unavailable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A network's, and those that s3fs makes of "internal error" and "slow down".
AWAY = frozenset({
    errno.EBUSY, errno.EREMOTEIO, errno.EROFS, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH,
    errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT,
})  # fmt: skip


def outage(error: BaseException) -> str | None:
    """What to tell of an error that time will cure; None for every other one."""
    if isinstance(error, NoSpaceLeft) or (isinstance(error, OSError) and error.errno in FULL):
        return f"the store or a disk is full ({error})"
    if isinstance(error, Unavailable | ConnectionError | TimeoutError):
        return f"the store is away ({error})"
    if isinstance(error, OSError) and error.errno in AWAY:
        return f"the store is away ({error})"
    if isinstance(error, _of_the_client()):
        return f"the store is away ({type(error).__name__}: {error})"
    return None


def _of_the_client() -> tuple[type[BaseException], ...]:
    """What the S3 client raises of the connection itself. Whoever uses no S3 has not loaded it."""
    if "s3fs" not in sys.modules:
        return ()
    from botocore.exceptions import ConnectionError as NoConnection  # noqa: PLC0415
    from botocore.exceptions import HTTPClientError  # noqa: PLC0415
    from s3fs.core import S3_RETRYABLE_ERRORS  # noqa: PLC0415

    return (NoConnection, HTTPClientError, *S3_RETRYABLE_ERRORS)

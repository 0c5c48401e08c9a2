"""Makes the bucket of `NIGHTSHIFT_STORE_URL` where there is none yet: `python -m service.storage.new_bucket`.

Once, when a cluster is set up; a bucket of a cloud is better made with the rest of what one has there.
"""

import sys
import time
from typing import Any

from service.settings import Settings
from service.storage.outages import outage
from service.storage.s3 import open_s3

WAIT_SECONDS = 60.0


def make_bucket(settings: Settings) -> bool:
    """Whether it was made now. The store may need a while until it answers.

    Raises:
        OSError: it did not answer in time, or refused.
    """
    bucket = settings.store.removeprefix("s3://").partition("/")[0]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            filesystem = open_s3(settings)
            if filesystem.exists(bucket):
                return False
            filesystem.call_s3("create_bucket", Bucket=bucket, **_place(settings.s3_region))
            return True
        except Exception as error:
            if outage(error) is None or time.monotonic() > deadline:
                raise
            time.sleep(1.0)


def _place(region: str) -> dict[str, Any]:
    """S3's first region must not be named, all others must."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def main() -> int:
    settings = Settings()
    if not settings.store.startswith("s3://"):
        print("NIGHTSHIFT_STORE_URL names no bucket.", file=sys.stderr)
        return 1
    print("The bucket was made." if make_bucket(settings) else "The bucket is there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

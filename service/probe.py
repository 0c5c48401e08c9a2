"""Whether a process of this container answers: `python -m service.probe URL`. Images have no curl."""

import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 4.0


def main() -> int:
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310 - ours
            return 0 if answer.status == 200 else 1
    except (OSError, urllib.error.URLError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

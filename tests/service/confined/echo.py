"""A confined child that says what it is told: by its first word, how."""

import os
import signal

from service.confined.child import Answer, serve


def obey(data: bytes) -> Answer:
    word, _, rest = data.partition(b" ")
    if word == b"END":
        os.kill(os.getpid(), signal.SIGKILL)
    return Answer({"word": word.decode()}, rest, rest[::-1])


if __name__ == "__main__":
    serve(obey)

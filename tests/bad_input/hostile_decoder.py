"""A decoder in the hands of an enemy: it runs what an image tells it, inside the same confinement.

`RUN` runs Python; `TRY` runs it and refuses the image with the name of what it raised.
"""

import os
import resource
import signal
import struct
import sys
import time
from functools import partial

import service.confined.child
import service.confined.confinement
import workers.decoder
from workers.images import ImageRejected, PlainImage, make_plain

MODULES = {"os": os, "resource": resource, "signal": signal, "struct": struct, "time": time}


def obey(data: bytes) -> PlainImage:
    order, _, code = data.partition(b" ")
    if order == b"RUN":
        exec(code, MODULES)  # noqa: S102 - that is its purpose
    if order == b"TRY":
        try:
            exec(code, MODULES)  # noqa: S102
        except (OSError, RuntimeError) as error:
            raise ImageRejected("failed", "OSError", str(error)) from None
        except Exception as error:
            raise ImageRejected("failed", type(error).__name__, str(error)) from None
        raise ImageRejected("escaped", "it worked", "None.")
    return make_plain(data)


if __name__ == "__main__":
    import socket  # noqa: F401 - so that it is there to be tried

    for argument in sys.argv[1:]:
        seconds = int(argument.partition("=")[2])
        service.confined.child.grant_cpu = partial(service.confined.confinement.grant_cpu, seconds)
    workers.decoder.warm_up()
    service.confined.child.serve(partial(workers.decoder.answer, obey))

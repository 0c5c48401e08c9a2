"""The inside of a confined child: bytes in, an answer out, locked in before the first byte.

A message is three lengths and three blocks: JSON, and two of bytes. What is sent here may be hostile, and so
may be what comes back: the other end believes none of it.
"""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.confined.confinement import confine, grant_cpu

PIPE = 0  # a socket, read and written
REQUEST = struct.Struct(">Q")
ANSWER = struct.Struct(">QQQ")


@dataclass(frozen=True, slots=True)
class Answer:
    facts: dict[str, Any]
    first: bytes = b""
    second: bytes = b""


def refusal(code: str, message: str, cure: str) -> Answer:
    return Answer({"refused": [code, message, cure]})


def serve(work: Callable[[bytes], Answer]) -> None:
    """Answer until the other end closes the pipe. `work` must have loaded all that it needs by now: no file
    can be opened any more. What it raises ends the process.
    """
    confine()
    _send(Answer({"ready": True}))
    while head := _receive(REQUEST.size):
        data = _receive(*REQUEST.unpack(head))
        grant_cpu()
        _send(work(data))


def _send(answer: Answer) -> None:
    text = json.dumps(answer.facts).encode()
    head = ANSWER.pack(len(text), len(answer.first), len(answer.second))
    for block in (head + text, answer.first, answer.second):
        left = memoryview(block)
        while left:
            left = left[os.write(PIPE, left) :]


def _receive(size: int) -> bytes:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = os.readv(PIPE, [left])
        if not count:
            return b""
        left = left[count:]
    return bytes(data)

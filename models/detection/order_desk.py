"""Where a detector's process takes its orders: JSON lines in on stdin, events out as JSON lines on stdout."""

import json
import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from models.detection.orders import Order, order_from_json

Report = Callable[[dict[str, Any]], None]


class OrderRefused(Exception):
    """The order cannot be carried out; the message is for the user."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


def serve(carry_out: Callable[[Order, Report], None]) -> None:
    """Order after order, until stdin ends: then the whole process does, whatever it is at."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an event
    lock = threading.Lock()

    def report(event: dict[str, Any]) -> None:
        with lock:
            answers.write(json.dumps(event) + "\n")
            answers.flush()

    orders = _orders_from_stdin()
    while True:
        try:
            carry_out(orders.get(), report)
        except OrderRefused as refusal:
            report({"event": "refused", "message": refusal.message, "cure": refusal.cure})


def _orders_from_stdin() -> "SimpleQueue[Order]":
    orders: SimpleQueue[Order] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            orders.put(order_from_json(json.loads(line)))
        os._exit(0)  # whoever asked is gone: nobody waits for what runs

    threading.Thread(target=read, daemon=True, name="stdin").start()
    return orders

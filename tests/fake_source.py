"""A connection that batches of events come from, whose other side is the test.

Knows: what the workers of a connection ask of it. Must not know: what they do with a batch.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

from pyro_events.client.dispatch.batch import ReceivedBatch
from pyro_events.client.dispatch.workers import ConnectionEnded
from pyro_events.codec.message import encode


def rows(*messages: Any) -> tuple[tuple[Any, ...], ...]:
    return tuple(("S", 1.0, number, 0, encode(message)) for number, message in enumerate(messages))


class FakeSource:
    """What the test sends is read; what is acknowledged the test can wait for."""

    def __init__(self) -> None:
        self.incoming: queue.Queue[ReceivedBatch | BaseException] = queue.Queue()
        self.replied: queue.Queue[tuple[int, list[int]]] = queue.Queue()
        self.left = False
        self.ended = threading.Event()
        self.closed = threading.Event()

    def send(self, seq: int, *messages: Any) -> None:
        self.incoming.put(ReceivedBatch(seq, rows(*messages)))

    def leave(self) -> None:
        self.left = True
        self.incoming.put(ConnectionEnded())

    def acknowledged(self) -> tuple[int, list[int]]:
        """The next answer: to which batch, and the positions that raised."""
        return self.replied.get(timeout=10)

    # What the workers ask

    def read(self) -> ReceivedBatch:
        batch = self.incoming.get()
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def acknowledge(self, batch: ReceivedBatch) -> None:
        self.replied.put((batch.seq, sorted(batch.failed)))

    def has_data(self) -> bool:
        return not self.incoming.empty()

    def is_gone(self) -> bool:
        return self.left

    def shutdown(self) -> None:
        self.ended.set()
        self.incoming.put(ConnectionEnded())

    def close(self) -> None:
        self.closed.set()

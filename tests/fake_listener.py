"""A listener with a connection of its own, whose every answer is the test's, as a FakeSubscriber's are.

Knows: how such a connection is made, and frames. It has no thread: what the service sends waits in the socket
until the test looks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import msgpack
from fake_subscriber import FakeSubscriber, fake_subscriber
from raw_client import RawClient, raw_client

from pyro_events.codec.message import decode
from pyro_events.wire.frames import MSGPACK, RESULT, Frame, write_frame
from pyro_events.wire.own_connection import id_of


class FakeListener:
    """A listener, which connects when it subscribes first, or again after it has left.

    uri: what the service calls it. window: how many batches the service sends it before it acknowledges one.
    """

    def __init__(self) -> None:
        self.uri = ""
        self.window = 2
        self.seq = 0  # of the last call
        self.key: dict[str, str] = {}
        self.client: RawClient | None = None
        self._unanswered: list[int] = []

    def subscribe(self, uri: str, subjects: Any, **options: Any) -> None:
        """Subscribe at the service with that URI."""
        self.window = 1 if options.get("overflow") == "latest" else self.window
        with raw_client(uri) as control:
            if self.client is None:
                self.client = RawClient(uri)
                self.client.greet()
                self.key = self.client.attach(**self.key, **options)
                self.uri = f"OWN:{id_of(self.key['key'])}@127.0.0.1"
            assert type(control.call("subscribe", subjects, self.key, options)) is int

    def rename(self) -> None:
        """Call itself something else when it subscribes next."""
        self.key = {}

    def unsubscribe(self, uri: str, subjects: Any) -> None:
        with raw_client(uri) as control:
            control.call("unsubscribe", subjects, self.key)

    def greet(self, *methods: str) -> None:
        """Nothing: the connection is made already, and such a listener always takes batches."""

    def _connection(self) -> RawClient:
        assert self.client is not None
        return self.client

    def send(self, kind: int, seq: int, value: Any, flags: int = 0) -> None:
        self._connection().sock.sendall(write_frame(kind, flags, MSGPACK, seq, msgpack.packb(value)))

    def frame(self) -> Frame | None:
        """The next frame, None at the end of the connection; raises TimeoutError after 10 s."""
        return self._connection().frame()

    def batch(self) -> list[list[Any]]:
        """The rows of the next call of `events`: [subject, time, seq, missed, payload]."""
        self.seq, rows = self._connection().batch()
        self._unanswered.append(self.seq)
        return rows

    def answer(self, value: Any = ..., flags: int = 0) -> None:
        """Acknowledge the batches that were read, or answer the last with something else."""
        unanswered, self._unanswered = self._unanswered, []
        for seq in unanswered:
            last = seq == self.seq
            self.send(RESULT, seq, [] if value is ... or not last else value, flags if last else 0)

    def take(self, count: int) -> list[list[Any]]:
        """At least `count` rows, each batch acknowledged."""
        rows: list[list[Any]] = []
        while len(rows) < count:
            rows += self.batch()
            self.answer()
        return rows

    def messages(self, count: int) -> list[Any]:
        """The messages of at least `count` events, acknowledged."""
        return [decode(row[4]) for row in self.take(count)]

    def wait_for_end(self) -> None:
        """Read until the service closes the connection; then the next subscribing makes another one."""
        self._connection().wait_for_end()
        self.leave()

    def leave(self) -> None:
        """Close the connection."""
        if self.client is not None:
            self.client.close()
            self.client = None
        self._unanswered = []


@contextlib.contextmanager
def fake_listener(name: str = "") -> Iterator[FakeListener]:
    """A FakeListener, closed at the end of the block."""
    listener = FakeListener()
    try:
        yield listener
    finally:
        listener.leave()


# A subscriber that is called back, or one with a connection of its own; and what makes one of them.
Fake: TypeAlias = FakeSubscriber | FakeListener
Listener: TypeAlias = Callable[..., AbstractContextManager[Fake]]
FAKES: dict[str, Listener] = {"callback": fake_subscriber, "own connection": fake_listener}

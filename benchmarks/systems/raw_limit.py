"""The raw limit: three plain Python processes that only pass the same bytes through sockets.

Knows: how many bytes an event of pyro_events takes on the wire, and its batching. Must not know: what the
bytes mean.

A publisher sends prepared frames of the size of our `publish_encoded` calls. The relay acknowledges each and
forwards a prepared frame of the size of our `events` call. The subscriber acknowledges that. Nothing is
encoded, matched, queued by subject or decoded, so everything that we need beyond this is our own cost.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..children.counter import Counter, Decode
from ..children.tasks import Listener
from .base import Publisher, System, host_and_port

# The batching of `Publisher.pipeline` and of the service's deliveries, in events, calls and bytes.
FRAME_EVENTS: Final = 512
FRAME_BYTES: Final = 60 * 1024
PUBLISHER_WINDOW: Final = 4
SUBSCRIBER_WINDOW: Final = 2
# A Pyro header takes 40 bytes; ours uses some of them: the length of what follows, the number of events, the
# size of one event's payload, and when it was sent (nanoseconds).
_HEADER: Final = struct.Struct("!IIIQ20x")
_ACKNOWLEDGEMENT: Final = _HEADER.pack(1, 0, 0, 0) + b"\0"
# The bytes around the events of a call: object id, method and the arrays.
_PUBLISH_ENVELOPE: Final = 45
_EVENTS_ENVELOPE: Final = 55
_PUBLISHER, _SUBSCRIBER = b"P", b"S"


def publish_frame(subject: str, payload: int, count: int, sent: int = 0) -> bytes:
    """A frame as large as our call that publishes `count` events of `payload` bytes."""
    size = _PUBLISH_ENVELOPE + count * (1 + 1 + len(subject) + (2 if payload < 256 else 5) + payload)
    return _HEADER.pack(size, count, payload + len(subject), sent) + bytes(size)


def events_frame(width: int, count: int, sent: int = 0) -> bytes:
    """A frame as large as our call that delivers; width: of subject and payload together."""
    size = _EVENTS_ENVELOPE + count * (1 + 1 + 9 + 3 + 1 + (2 if width < 256 else 5) + width)
    return _HEADER.pack(size, count, width, sent) + bytes(size)


class Stream:
    """Frames from a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._data = bytearray()

    def receive(self) -> bool:
        """Read what is there, or wait for something. False at the end."""
        data = self.sock.recv(1 << 18)
        self._data += data
        return bool(data)

    def header(self) -> tuple[int, int, int, int] | None:
        """Remove and return the header of the next whole frame; None if there is none."""
        data = self._data
        if len(data) < _HEADER.size:
            return None
        found: tuple[int, int, int, int] = _HEADER.unpack_from(data)
        end = _HEADER.size + found[0]
        if len(data) < end:
            return None
        del data[:end]
        return found

    def wait(self) -> tuple[int, int, int, int]:
        """The header of the next frame. Raises EOFError."""
        while (found := self.header()) is None:
            if not self.receive():
                raise EOFError
        return found


class _Publisher(Publisher):
    def __init__(self, address: str, kind: str) -> None:
        self._stream = Stream(socket.create_connection(host_and_port(address)))
        self._stream.sock.sendall(_PUBLISHER)

    def publish(self, subject: str, message: Any) -> None:
        self.acked([subject], message)

    def acked(self, subjects: Iterable[str], message: Any) -> None:
        stream = self._stream
        frame, size = b"", _encoded_size(message)
        for subject in subjects:
            frame = frame or publish_frame(subject, size, 1)
            stream.sock.sendall(frame)
            stream.wait()

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        stream = self._stream
        size, outstanding, frame, held = _encoded_size(message), 0, b"", 0
        together = max(1, min(FRAME_EVENTS, FRAME_BYTES // (size + 24)))
        rest = iter(subjects)
        while some := list(itertools.islice(rest, together)):
            if len(some) != held:
                frame, held = publish_frame(some[0], size, len(some)), len(some)
            if outstanding == PUBLISHER_WINDOW:
                stream.wait()
                outstanding -= 1
            stream.sock.sendall(frame)
            outstanding += 1
        for _ in range(outstanding):
            stream.wait()

    def paced(self, subjects: Iterable[str], name: str, rate: float) -> None:
        stream = self._stream
        size = _encoded_size((name, time.perf_counter_ns()))
        due = time.perf_counter()
        for subject in subjects:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            stream.sock.sendall(publish_frame(subject, size, 1, time.perf_counter_ns()))
            stream.wait()

    def close(self) -> None:
        self._stream.sock.close()


def _encoded_size(message: Any) -> int:
    from pyro_events.codec.message import encode

    return len(encode(message))


class RawLimit(System):
    """Not a system that anybody could use: the limit of sockets and Python."""

    name = "raw-limit"
    title = "raw limit (bytes through sockets)"
    speaks = True

    def address(self, port: int, first_line: str) -> str:
        found: str = json.loads(first_line)["address"]
        return found

    def serve(self, ready: Callable[[str], None]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ready("127.0.0.1:{1}".format(*listener.getsockname()))
            ends: dict[bytes, Stream] = {}
            while len(ends) < 2:
                sock, _ = listener.accept()
                stream = Stream(sock)
                ends[sock.recv(1)] = stream
        _relay(ends[_PUBLISHER], ends[_SUBSCRIBER])

    def publisher(self, address: str, kind: str) -> Publisher:
        return _Publisher(address, kind)

    def decoder(self, kind: str) -> Decode:
        return lambda header: header

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        stream = Stream(socket.create_connection(host_and_port(address)))
        stream.sock.sendall(_SUBSCRIBER)
        ready()
        while True:
            _, count, _, sent = stream.wait()
            if sent:
                counter.take(("", sent))
            else:
                counter.add(count)
            stream.sock.sendall(_ACKNOWLEDGEMENT)


def _relay(publisher: Stream, subscriber: Stream) -> None:
    """Acknowledge what the publisher sends, and forward it as long as the subscriber keeps up."""
    waiting: deque[bytes] = deque()
    outstanding = 0
    made: dict[tuple[int, int], bytes] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(publisher.sock, selectors.EVENT_READ, publisher)
        selector.register(subscriber.sock, selectors.EVENT_READ, subscriber)
        while True:
            for key, _ in selector.select():
                if not key.data.receive():
                    return
            while (found := publisher.header()) is not None:
                _, count, width, sent = found
                frame = made.get((width, count)) if not sent else None
                if frame is None:
                    frame = events_frame(width, count, sent)
                    if not sent:
                        made[width, count] = frame
                waiting.append(frame)
                publisher.sock.sendall(_ACKNOWLEDGEMENT)
            while subscriber.header() is not None:
                outstanding -= 1
            while waiting and outstanding < SUBSCRIBER_WINDOW:
                subscriber.sock.sendall(waiting.popleft())
                outstanding += 1

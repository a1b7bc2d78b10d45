"""The raw limit: three plain Python processes that only pass the same bytes through sockets.

Knows: the batching of pyro_events. Must not know: what the bytes mean.

A publisher sends prepared frames of the size of our `publish_encoded` calls. The relay acknowledges each and
forwards a prepared frame of the size of our `events` call. The subscriber acknowledges that. Nothing is
encoded, matched, queued by subject or decoded, so everything that we need beyond this is our own cost.
"""

from __future__ import annotations

import itertools
import json
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ..children.counter import Counter, Decode
from ..children.tasks import Listener
from .base import OverUnix, Publisher, System, host_and_port
from .raw_frames import ACKNOWLEDGEMENT, Stream, events_frame, publish_frame

# The batching of `Publisher.pipeline` and of the service's deliveries, in events, calls and bytes.
FRAME_EVENTS: Final = 512
FRAME_BYTES: Final = 60 * 1024
PUBLISHER_WINDOW: Final = 4
SUBSCRIBER_WINDOW: Final = 2
# Of events in close succession, few wait a moment for each other: events, and seconds.
FEW: Final = 32
CLOSE: Final = 0.0005
MOMENT: Final = 0.001
_PUBLISHER, _SUBSCRIBER = b"P", b"S"


def _connected(address: str, role: bytes) -> Stream:
    """A connection to the relay. address: host and port, or the path of a Unix socket."""
    if "/" in address:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
    else:
        sock = socket.create_connection(host_and_port(address))
    sock.sendall(role)
    return Stream(sock)


class _Publisher(Publisher):
    def __init__(self, address: str, kind: str) -> None:
        self._stream = _connected(address, _PUBLISHER)

    def publish(self, subject: str, message: Any) -> None:
        self.acked([subject], message)

    def acked(self, subjects: Iterable[str], message: Any) -> None:
        stream = self._stream
        send, wait = stream.sock.sendall, stream.wait
        frame, size = b"", _encoded_size(message)
        for subject in subjects:
            frame = frame or publish_frame(subject, size, 1)
            send(frame)
            wait()

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
            _serve(listener)

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
        stream = _connected(address, _SUBSCRIBER)
        ready()
        send, wait = stream.sock.sendall, stream.wait
        while True:
            _, count, _, sent = wait()
            if sent:
                counter.take(("", sent))
            else:
                counter.add(count)
            send(ACKNOWLEDGEMENT)


class RawLimitUnix(OverUnix, RawLimit):
    """The same over Unix sockets."""

    name = "raw-limit-unix"
    title = "raw limit (Unix sockets)"

    def serve(self, ready: Callable[[str], None]) -> None:
        path = "./raw-limit"  # in the folder of the measurement, where all its children run
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            ready(path)
            _serve(listener)


def _serve(listener: socket.socket) -> None:
    """Wait for the publisher and the subscriber, and pass events from one to the other."""
    ends: dict[bytes, Stream] = {}
    while len(ends) < 2:
        sock, _ = listener.accept()
        ends[sock.recv(1)] = Stream(sock)
    Relay(ends[_PUBLISHER], ends[_SUBSCRIBER]).run()


class Relay:
    """Acknowledges what the publisher sends, and forwards it as long as the subscriber keeps up."""

    def __init__(self, publisher: Stream, subscriber: Stream) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        self._send = subscriber.sock.sendall
        # How many events wait, and the size of each. `_due`: until when they wait for others, 0.0 for not.
        self._waiting = 0
        self._width = 0
        self._due = 0.0
        self._close_until = 0.0
        self._outstanding = 0
        self._made: dict[int, bytes] = {}

    def run(self) -> None:
        """Go on until one of the two has ended."""
        streams = {stream.sock.fileno(): stream for stream in (self._publisher, self._subscriber)}
        poll = select.poll()
        for number in streams:
            poll.register(number, select.POLLIN)
        while True:
            wait = max(0.0, self._due - time.monotonic()) * 1e3 if self._due else None
            for number, _ in poll.poll(wait):
                if not streams[number].receive():
                    return
            self._take()
            while self._subscriber.header() is not None:
                self._outstanding -= 1
            while self._waiting and self._outstanding < SUBSCRIBER_WINDOW and self._may_go():
                self._forward()

    def _take(self) -> None:
        """Acknowledge and note each frame of the publisher."""
        while (found := self._publisher.header()) is not None:
            _, count, width, sent = found
            if sent:  # the time for the latency goes with its own event
                self._send(events_frame(width, count, sent))
                self._outstanding += 1
            else:
                self._waiting += count
                if width != self._width:
                    self._width = width
                    self._made.clear()
            self._publisher.sock.sendall(ACKNOWLEDGEMENT)

    def _may_go(self) -> bool:
        """Whether what waits need not wait for other events; as in the service, a few do for a moment."""
        if self._waiting >= FEW:
            return True
        now = time.monotonic()
        if self._due:
            return now >= self._due
        if now >= self._close_until:
            return True
        self._due = now + MOMENT
        return False

    def _forward(self) -> None:
        """Send one frame of what waits."""
        count = min(self._waiting, FRAME_EVENTS, max(1, FRAME_BYTES // (self._width + 24)))
        frame = self._made.get(count)
        if frame is None:
            frame = self._made[count] = events_frame(self._width, count)
        self._send(frame)
        self._waiting -= count
        self._outstanding += 1
        self._due = 0.0
        self._close_until = time.monotonic() + CLOSE

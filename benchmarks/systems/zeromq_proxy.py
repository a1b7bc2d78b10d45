"""ZeroMQ with pyzmq: publishers and subscribers on both sides of an XSUB/XPUB proxy.

Knows: pyzmq. Must not know: any other system.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ..children.counter import Counter, Decode, Take
from ..children.tasks import Listener, is_large
from .base import OverUnix, Publisher, System, packed

# Subject and message are in one frame, as in ZeroMQ's guide: a second frame doubles the cost of a small
# event. A message of 1 MiB has its own frame, so that it is not copied. The subject ends at a space.
_END = b" "
# Nothing tells a publisher that subscriptions have reached it; before that its events are dropped.
_SETTLE = 0.5


class _Publisher(Publisher):
    def __init__(self, address: str, kind: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # subscriptions are messages too
        self._socket.connect(address.split()[0])
        self._pack = packed(kind)
        self._parted = is_large(kind)
        end = time.monotonic() + _SETTLE
        while time.monotonic() < end:
            self._socket.getsockopt(zmq.EVENTS)  # takes in what has come
            time.sleep(0.01)

    def publish(self, subject: str, message: Any) -> None:
        # There is no acknowledgement: this is for the warm-up and for latency.
        self.streamed([subject], message)

    def streamed(self, subjects: Iterable[str], message: Any) -> None:
        socket, pack = self._socket, self._pack
        if self._parted:
            for subject in subjects:
                socket.send_multipart((subject.encode() + _END, pack(message)), copy=False)
            return
        for subject in subjects:
            socket.send(subject.encode() + _END + pack(message))

    def close(self) -> None:
        self._context.destroy(linger=10_000)


class ZeroMq(System):
    """A proxy in its own process, with its loop inside libzmq; no high-water marks."""

    name = "zeromq"
    title = "pyzmq, XSUB/XPUB proxy"
    packages = ("pyzmq",)
    speaks = True
    # Where the proxy takes events, and where it hands them out.
    ends: ClassVar[tuple[str, str]] = ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")

    def address(self, port: int, first_line: str) -> str:
        found: str = json.loads(first_line)["address"]
        return found

    def serve(self, ready: Callable[[str], None]) -> None:
        import zmq

        context = zmq.Context()
        inward, outward = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
        ends = []
        for socket, end in zip((inward, outward), self.ends, strict=True):
            socket.setsockopt(zmq.SNDHWM, 0)
            socket.setsockopt(zmq.RCVHWM, 0)
            socket.bind(end)
            ends.append(socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
        ready(" ".join(ends))
        zmq.proxy(inward, outward)

    def publisher(self, address: str, kind: str) -> Publisher:
        return _Publisher(address, kind)

    def decoder(self, kind: str) -> Decode:
        decode = super().decoder(kind)
        return decode if is_large(kind) else lambda frame: decode(frame.partition(_END)[2])

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        import zmq

        take, parted = counter.take, is_large(kind)
        context = zmq.Context()
        sockets = []
        for listener in listeners:
            socket = context.socket(zmq.SUB)
            socket.setsockopt(zmq.RCVHWM, 0)
            socket.setsockopt(zmq.SNDHWM, 0)  # its subscriptions too
            socket.connect(address.split()[1])
            for beginning in [f"{name}{_END.decode()}" for name in listener.subjects] + listener.prefixes:
                socket.setsockopt(zmq.SUBSCRIBE, beginning.encode())
            sockets.append(socket)
        time.sleep(_SETTLE)
        ready()
        if len(sockets) == 1:
            only = sockets[0]
            while parted:
                take(only.recv_multipart(copy=False)[1].buffer)
            while True:
                take(only.recv())
        poller = zmq.Poller()
        for socket in sockets:
            poller.register(socket, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                _drain(socket, take, zmq)


class ZeroMqUnix(OverUnix, ZeroMq):
    """The same over Unix sockets, which ZeroMQ calls ipc."""

    name = "zeromq-unix"
    title = "pyzmq, XSUB/XPUB proxy (Unix)"
    ends = ("ipc://./in", "ipc://./out")


def _drain(socket: Any, take: Take, zmq: Any) -> None:
    """Read what a socket has, but let the others have their turn too."""
    for _ in range(100):
        try:
            take(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return

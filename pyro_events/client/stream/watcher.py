"""The watcher: one thread for all streams of a program, which reads while the program does not.

Knows: when to look at which stream. Must not know: what comes, or what follows from it; and it never touches
an event of the program's.

A program that takes its events reads the socket itself, because another thread would cost more than
everything else. While it does something else, the service's heartbeats must be answered, and the end of a
connection must be noticed: for that a look once a second is enough. A stream whose descriptor the program
waits for is looked at as soon as something comes.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Final, Protocol

from ...errors import EventServiceError
from ...log.background import get_logger
from ..forks import tell_in_child

log = get_logger("pyro_events.stream")

# Seconds between two looks at streams that are not waited for. The service waits 5 s for an answer.
INTERVAL: Final = 1.0
# How long a stream that another thread is reading is left alone.
_BUSY: Final = 0.01


class Watched(Protocol):
    """A stream, as the watcher sees it."""

    def fileno(self) -> int:
        """The descriptor of its connection, -1 for none."""

    @property
    def signals(self) -> bool:
        """Whether the program waits for its descriptor."""

    def look(self) -> bool:
        """Read what has come, without waiting. False if another thread is reading."""

    def rest(self) -> None:
        """Release what was not used for a while, and check what nobody looks at otherwise."""


class StreamWatcher:
    """All streams of one program. The thread runs while there are any."""

    def __init__(self, interval: float = INTERVAL) -> None:
        """interval: seconds between two looks at streams that are not waited for."""
        self._interval = interval
        self._begin()
        tell_in_child(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._streams: set[Watched] = set()
        self._thread: threading.Thread | None = None
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None

    def forked(self) -> None:
        """In a forked child: the streams and the thread are the parent's."""
        for sock in (self._near, self._far):
            if sock is not None:
                sock.close()
        self._begin()

    def add(self, stream: Watched) -> None:
        """Watch a stream from now on. Raises EventServiceError if the system allows no more threads."""
        with self._lock:
            self._streams.add(stream)
            if self._thread is None:
                self._near, self._far = socket.socketpair()
                self._far.setblocking(False)
                self._thread = threading.Thread(target=self._run, name="pyro_events-streams", daemon=True)
                try:
                    self._thread.start()
                except BaseException as error:
                    self._streams.discard(stream)
                    self._end()
                    if not isinstance(error, RuntimeError):
                        raise
                    text = f"no thread can be started that answers the service for streams: {error}"
                    raise EventServiceError(text) from error
        self.wake()

    def remove(self, stream: Watched) -> None:
        """Watch it no longer; the thread may be looking at it once more."""
        with self._lock:
            self._streams.discard(stream)
        self.wake()

    def wake(self) -> None:
        """What is waited for has changed."""
        far = self._far
        if far is not None:
            with contextlib.suppress(OSError):  # it is full, so the thread wakes anyway; or is closed
                far.send(b"!")

    def _end(self) -> None:
        self._thread = None
        for sock in (self._near, self._far):
            if sock is not None:
                sock.close()
        self._near = self._far = None

    # The thread.

    def _run(self) -> None:
        due, busy = 0.0, False
        while True:
            with self._lock:
                near, streams = self._near, list(self._streams)
                if near is None or self._thread is not threading.current_thread():
                    return
                if not streams:
                    self._end()
                    return
            now = time.monotonic()
            if now >= due:
                due = now + self._interval
                self._look(self._ready(streams, None, 0.0))
                self._rest(streams)
                continue
            patience = min(due - now, _BUSY) if busy else due - now
            waited_for = [] if busy else [stream for stream in streams if stream.signals]
            busy = not self._look(self._ready(waited_for, near, patience))

    @staticmethod
    def _look(streams: list[Watched]) -> bool:
        """Look at streams. Returns whether no other thread was reading one of them."""
        alone = True
        for stream in streams:
            try:
                alone = stream.look() and alone
            except BaseException:  # this thread serves other streams too
                log.exception("reading for a stream failed", about="watcher")
        return alone

    @staticmethod
    def _rest(streams: list[Watched]) -> None:
        for stream in streams:
            try:
                stream.rest()
            except BaseException:  # as above
                log.exception("releasing what a stream does not use failed", about="watcher")

    @staticmethod
    def _ready(streams: list[Watched], near: socket.socket | None, patience: float) -> list[Watched]:
        """Those of the streams for which something has come within `patience` seconds, or before `wake`."""
        by_descriptor = {number: stream for stream in streams if (number := stream.fileno()) >= 0}
        wanted = list(by_descriptor) if near is None else [*by_descriptor, near.fileno()]
        found = _polled(wanted, patience)
        if near is not None and near.fileno() in found:
            with contextlib.suppress(OSError):
                near.recv(4096)
        return [stream for number, stream in by_descriptor.items() if number in found]


def _polled(descriptors: list[int], patience: float) -> set[int]:
    """Those that are readable within so many seconds, or were closed meanwhile."""
    if hasattr(select, "poll"):
        poller = select.poll()
        for number in descriptors:
            poller.register(number, select.POLLIN)
        return {number for number, _ in poller.poll(max(0.0, patience) * 1000)}
    try:
        return set(select.select(descriptors, [], [], max(0.0, patience))[0])
    except (OSError, ValueError):  # one was closed meanwhile
        return set(descriptors)


# The program's watcher.
shared: Final = StreamWatcher()

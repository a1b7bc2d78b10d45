"""The thread that reads for all streams while the program does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import eventually

from pyro_events import EventServiceError
from pyro_events.client.stream import watcher as module
from pyro_events.client.stream.watcher import StreamWatcher


class FakeStream:
    """A stream at one end of a pair of sockets."""

    def __init__(self, signals: bool = False) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.signals = signals
        self.busy = self.fails = False
        self.looked = self.rested = 0
        self.read = b""

    def fileno(self) -> int:
        return self.near.fileno()

    def look(self) -> bool:
        self.looked += 1
        if self.busy:
            return False
        self.read += self.near.recv(100)
        if self.fails:
            raise RuntimeError("look")
        return True

    def rest(self) -> None:
        self.rested += 1
        if self.fails:
            raise RuntimeError("rest")

    def close(self) -> None:
        self.near.close()
        self.far.close()


Make = Callable[..., FakeStream]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes streams, which are closed at the end."""
    made: list[FakeStream] = []

    def make(**settings: Any) -> FakeStream:
        made.append(FakeStream(**settings))
        return made[-1]

    yield make
    for stream in made:
        stream.close()


class Watching:
    """A watcher of some streams, until the end of a block; then its thread has ended."""

    def __init__(self, *streams: FakeStream, interval: float = 3600.0) -> None:
        self.watcher = StreamWatcher(interval)
        self.streams = streams

    def __enter__(self) -> StreamWatcher:
        for stream in self.streams:
            self.watcher.add(stream)
        return self.watcher

    def __exit__(self, *failure: object) -> None:
        for stream in self.streams:
            self.watcher.remove(stream)
        eventually(lambda: not any(each.name == "pyro_events-streams" for each in threading.enumerate()))


def test_a_stream_is_looked_at_now_and_then(make: Make) -> None:
    one, other = make(), make()
    with Watching(one, other, interval=0.01):
        one.far.send(b"hello")
        eventually(lambda: one.read == b"hello" and other.rested > 1)
        assert not other.looked  # nothing has come


def test_one_that_is_waited_for_is_looked_at_at_once(make: Make) -> None:
    waited_for, other = make(signals=True), make()
    with Watching(waited_for, other) as watcher:
        waited_for.far.send(b"now")
        eventually(lambda: waited_for.read == b"now")
        other.far.send(b"later")
        waited_for.far.send(b"again")
        eventually(lambda: waited_for.read == b"nowagain")
        assert not other.read
        other.signals = True
        watcher.wake()
        eventually(lambda: other.read == b"later")


def test_one_that_another_thread_reads_is_looked_at_when_that_has_ended(make: Make) -> None:
    stream = make(signals=True)
    stream.busy = True
    with Watching(stream):
        stream.far.send(b"x")
        eventually(lambda: stream.looked > 2)
        stream.busy = False
        eventually(lambda: stream.read == b"x")


def test_one_that_fails_harms_no_other(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    failing, good = make(), make()
    failing.fails = True
    with Watching(failing, good, interval=0.01):
        failing.far.send(b"x")
        eventually(lambda: "reading for a stream failed" in caplog.text)
        eventually(lambda: "releasing what a stream does not use failed" in caplog.text)
        good.far.send(b"y")
        eventually(lambda: good.read == b"y")


def test_one_whose_connection_is_gone_is_skipped(make: Make) -> None:
    gone, good = make(), make()
    gone.near.close()
    with Watching(gone, good, interval=0.01):
        good.far.send(b"y")
        eventually(lambda: good.read == b"y")
        assert not gone.looked


def test_the_thread_comes_back_with_the_next_stream(make: Make) -> None:
    watching = Watching(make(), interval=0.01)
    (stream,) = watching.streams
    for text in (b"1", b"2"):
        with watching:
            stream.far.send(text)
            eventually(lambda text=text: stream.read.endswith(text))  # type: ignore[misc]


def test_without_poll_it_is_select(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module.select, "poll")
    stream, closed = make(), make()
    assert module._polled([stream.fileno()], 0.0) == set()
    stream.far.send(b"x")
    assert module._polled([stream.fileno()], 0.0) == {stream.fileno()}
    number = closed.fileno()
    closed.close()
    assert number in module._polled([stream.fileno(), number], 0.0)


def test_a_thread_that_cannot_be_started_leaves_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    stream = make(signals=True)
    watching = Watching(stream)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(EventServiceError, match="no thread can be started .* can't start"):
            watching.watcher.add(stream)
    with watching:
        stream.far.send(b"x")
        eventually(lambda: stream.read == b"x")

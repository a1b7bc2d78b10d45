"""The threads of one connection: what they read, handle and acknowledge, and when they come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from fake_source import FakeSource
from waiting import eventually

from pyro_events.client.dispatch.batch import Slice
from pyro_events.client.dispatch.limits import DispatchLimits, DispatchOptions
from pyro_events.client.dispatch.workers import ConnectionWorkers
from pyro_events.event import Event

OPTIONS = DispatchOptions(max_threads=3, max_batches=3, stall_after=0.0)


class Connection:
    """One connection, its workers, and a handler that waits at the messages that the test holds."""

    def __init__(self) -> None:
        self.limits = DispatchLimits(OPTIONS.max_threads)
        self.source = FakeSource()
        self.started: list[object] = []
        self.held: dict[object, threading.Event] = {}
        self.closed: list[ConnectionWorkers] = []
        self.workers = self.begin()

    def begin(self) -> ConnectionWorkers:
        """Start the first thread, as the daemon does."""
        begun: list[ConnectionWorkers] = []

        def serve() -> None:
            workers = ConnectionWorkers(self.source, self.limits, OPTIONS, self.handle, self.closed.append)
            begun.append(workers)
            workers.run()

        threading.Thread(target=serve).start()
        return eventually(lambda: begun)[0]

    def handle(self, part: Slice) -> None:
        for row in part.rows:
            message = Event.from_payload(*row).msg
            self.started.append(message)
            if message in self.held:
                assert self.held[message].wait(10)

    def hold(self, *messages: object) -> None:
        self.held.update((message, threading.Event()) for message in messages)

    def check(self) -> None:
        """What the monitor does; an event that is running has stalled, as far as these options say."""
        with self.limits.lock:
            self.workers.check(time.monotonic())

    def end(self) -> None:
        for held in self.held.values():
            held.set()
        with self.limits.lock:
            self.limits.closed = True
            self.workers.end()
            self.limits.changed.notify_all()
        assert self.source.closed.wait(10)
        assert self.closed == [self.workers] and not self.workers.threads


@pytest.fixture
def connection() -> Iterator[Connection]:
    connection = Connection()
    yield connection
    connection.end()


def test_batches_are_read_handled_and_acknowledged_by_one_thread(connection: Connection) -> None:
    for seq in range(5):
        connection.source.send(seq, seq * 2, seq * 2 + 1)
    assert [connection.source.acknowledged() for _ in range(5)] == [(seq, []) for seq in range(5)]
    assert connection.started == list(range(10))
    assert len(connection.workers.threads) == 1
    assert (connection.limits.handled, connection.limits.running) == (10, 0)


def test_a_connection_that_has_ended_is_closed_by_its_last_thread(connection: Connection) -> None:
    connection.hold("A")
    connection.source.send(1, "A")
    connection.source.send(2, "B")
    eventually(lambda: connection.started == ["A"])
    connection.check()
    eventually(lambda: connection.started == ["A", "B"])
    connection.source.leave()
    assert connection.source.ended.wait(10)
    assert not connection.source.closed.is_set() and not connection.closed
    connection.held["A"].set()
    assert connection.source.closed.wait(10)
    assert connection.source.replied.empty()  # nobody would read it


@pytest.mark.parametrize("error", [ZeroDivisionError("on purpose"), SystemExit()])
def test_an_error_while_reading_ends_the_connection_with_a_word(
    connection: Connection, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    connection.source.incoming.put(error)
    assert connection.source.closed.wait(10)
    assert "closed because of an error" in caplog.text


def test_what_waits_behind_a_long_event_gets_a_thread(connection: Connection) -> None:
    connection.hold(0, 1)
    connection.source.send(1, 0, 1, 2)
    eventually(lambda: connection.started == [0])
    connection.check()
    eventually(lambda: connection.started == [0, 1])
    assert connection.source.replied.empty()
    connection.held[1].set()
    eventually(lambda: connection.started == [0, 1, 2])
    assert connection.source.replied.empty()
    connection.held[0].set()
    assert connection.source.acknowledged() == (1, [])


def test_what_waits_on_the_connection_too(connection: Connection) -> None:
    connection.hold(0)
    connection.source.send(1, 0)
    eventually(lambda: connection.started == [0])
    connection.check()
    assert len(connection.workers.threads) == 1  # nothing waits
    connection.source.send(2, 1)
    connection.check()
    eventually(lambda: connection.started == [0, 1])


def test_a_thread_that_has_read_meanwhile_goes_on_by_itself(connection: Connection) -> None:
    """Beside a long event, without a check."""
    connection.hold(0, 1)
    connection.source.send(1, 0, 1)
    eventually(lambda: connection.started == [0])
    connection.check()
    eventually(lambda: connection.started == [0, 1])
    connection.held[0].set()
    connection.source.send(2, 2)
    eventually(lambda: connection.started == [0, 1, 2])
    assert connection.source.replied.empty()


def test_threads_are_bounded(connection: Connection) -> None:
    connection.hold(*range(10))
    connection.source.send(1, *range(10))
    for count in range(1, OPTIONS.max_threads + 1):
        eventually(lambda count=count: len(connection.started) == count)  # type: ignore[misc]
        connection.check()
    assert len(connection.workers.threads) == OPTIONS.max_threads
    assert connection.started == list(range(OPTIONS.max_threads))


def test_threads_that_are_not_needed_any_more_end(connection: Connection) -> None:
    connection.hold(0, 1)
    connection.source.send(1, 0, 1)
    eventually(lambda: connection.started == [0])
    connection.check()
    eventually(lambda: connection.started == [0, 1])
    assert len(connection.workers.threads) == 2
    for held in connection.held.values():
        held.set()
    eventually(lambda: len(connection.workers.threads) == 1)
    connection.source.send(2, 2)
    assert [connection.source.acknowledged() for _ in range(2)] == [(1, []), (2, [])]


def test_where_the_system_allows_no_thread_those_that_there_are_go_on(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.hold(0)
    connection.source.send(1, 0, 1, 2)
    eventually(lambda: connection.started == [0])

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        connection.check()
    assert connection.started == [0] and len(connection.workers.threads) == 1
    connection.check()  # it is tried again
    eventually(lambda: connection.started == [0, 1, 2])
    connection.held[0].set()
    assert connection.source.acknowledged() == (1, [])


def test_a_check_finds_that_the_other_side_has_left(connection: Connection) -> None:
    connection.hold(0)
    connection.source.send(1, 0, 1)
    eventually(lambda: connection.started == [0])
    connection.source.left = True
    connection.check()
    assert connection.source.ended.is_set()
    connection.held[0].set()
    assert connection.source.closed.wait(10)
    assert connection.started == [0]


def test_a_thread_that_must_wait_finds_that_the_other_side_has_left_meanwhile(connection: Connection) -> None:
    connection.limits.paused = True
    connection.source.send(1, 0)
    eventually(lambda: connection.source.incoming.empty() and connection.workers._waiting)
    connection.source.left = True
    with connection.limits.lock:
        connection.limits.paused = False
        connection.limits.changed.notify_all()
    assert connection.source.closed.wait(10)
    assert connection.started == []


def test_nothing_is_started_in_a_pause_and_what_was_taken_comes_first(connection: Connection) -> None:
    connection.hold(0)
    connection.source.send(1, 0, 1, 2)
    eventually(lambda: connection.started == [0])
    with connection.limits.lock:
        connection.limits.paused = True
        connection.workers.split_off_rest()
    connection.held[0].set()
    eventually(lambda: not connection.limits.running)
    connection.check()
    assert connection.started == [0]
    with connection.limits.lock:
        connection.limits.paused = False
        connection.limits.changed.notify_all()
    assert connection.source.acknowledged() == (1, [])
    assert connection.started == [0, 1, 2]

"""The crew: order, threads, and what is acknowledged when, without a socket."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from waiting import eventually

from pyro_events.client.dispatch import stall_monitor
from pyro_events.client.dispatch.connection_queue import MAX_BATCHES, Batch, ConnectionEnded
from pyro_events.client.dispatch.dispatcher import MAX_THREADS, Crew
from pyro_events.codec.message import encode
from pyro_events.event import Event


def rows(*messages: Any) -> tuple[tuple[Any, ...], ...]:
    return tuple(("S", 1.0, number, 0, encode(message)) for number, message in enumerate(messages))


class FakeCarrier:
    """A connection whose other side is the test."""

    def __init__(self) -> None:
        self.incoming: queue.Queue[Batch | None] = queue.Queue()
        self.replied: queue.Queue[tuple[int, list[int]]] = queue.Queue()
        self.left = False
        self.closed = threading.Event()

    def send(self, seq: int, *messages: Any) -> None:
        self.incoming.put(Batch(seq, rows(*messages)))

    def leave(self) -> None:
        self.left = True
        self.incoming.put(None)

    def read(self) -> Batch | None:
        batch = self.incoming.get()
        if batch is None:
            raise ConnectionEnded
        return batch

    def reply(self, batch: Batch) -> None:
        self.replied.put((batch.seq, sorted(batch.failed)))

    def waiting(self) -> bool:
        return not self.incoming.empty()

    def gone(self) -> bool:
        return self.left

    def wake(self) -> None:
        self.incoming.put(None)

    def close(self) -> None:
        self.closed.set()

    def acknowledged(self) -> tuple[int, list[int]]:
        return self.replied.get(timeout=10)


class Stage:
    """A crew, its connections, and a handler that does as the message says.

    A callable in `actions` under the message is called; all that starts is kept in `started`.
    """

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.threads: set[int] = set()
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()
        self.actions: dict[Any, Callable[[], object]] = {}
        self.crew = Crew(lambda: self.event)
        self.carriers: list[FakeCarrier] = []

    def event(self, event: Event) -> None:
        message = event.msg
        with self.lock:
            self.started.append(message)
            self.threads.add(threading.get_ident())
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            if message in self.actions:
                self.actions[message]()
        finally:
            with self.lock:
                self.inside -= 1

    def connect(self) -> FakeCarrier:
        carrier = FakeCarrier()
        admitted = threading.Event()

        def serve() -> None:
            lane = self.crew.admit(carrier)
            admitted.set()
            if lane is None:
                carrier.close()
            else:
                lane.run()

        threading.Thread(target=serve).start()
        assert admitted.wait(10)
        self.carriers.append(carrier)
        return carrier


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.crew.close()
    for carrier in stage.carriers:
        assert carrier.closed.wait(10), "a connection was left open"


def test_batches_are_handled_in_order_in_one_thread(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stall_monitor, "LOOK_EVERY", 60.0)  # or a thread held up by the system is overtaken
    carrier = stage.connect()
    for seq in range(50):
        carrier.send(seq, *range(seq * 10, seq * 10 + 10))
    assert [carrier.acknowledged() for _ in range(50)] == [(seq, []) for seq in range(50)]
    assert stage.started == list(range(500))
    assert len(stage.threads) == 1 and stage.crew.handled == 500


def test_an_empty_batch_is_acknowledged(stage: Stage) -> None:
    carrier = stage.connect()
    carrier.send(7)
    assert carrier.acknowledged() == (7, [])


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_raises_is_reported_and_logged(
    stage: Stage, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("on purpose")

    stage.actions[2] = fail
    carrier = stage.connect()
    carrier.send(1, 1, 2, 3, 2)
    assert carrier.acknowledged() == (1, [1, 3])
    assert stage.started == [1, 2, 3, 2]
    assert (stage.crew.handled, stage.crew.failed) == (2, 2)
    assert caplog.records[0].name == "pyro_events.subscriber"
    assert f"{error.__name__} for subject 'S'" in caplog.text and "on purpose" in caplog.text


@pytest.mark.parametrize("split", [True, False], ids=["next batch", "same batch"])
def test_a_handler_that_waits_for_the_next_event_gets_it(stage: Stage, split: bool) -> None:
    second = threading.Event()
    stage.actions[1] = lambda: second.wait(10)
    stage.actions[2] = second.set
    carrier = stage.connect()
    if split:
        carrier.send(1, 1)
        carrier.send(2, 2)
        assert carrier.acknowledged() == (1, [])
        assert carrier.acknowledged() == (2, [])
    else:
        carrier.send(1, 1, 2, 3)
        assert carrier.acknowledged() == (1, [])
        assert stage.started == [1, 2, 3]
    assert second.is_set()


def test_replies_keep_the_order_of_the_batches(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[1] = lambda: go.wait(10)
    carrier = stage.connect()
    carrier.send(1, 0, 1)
    carrier.send(2, 2)
    eventually(lambda: stage.started == [0, 1, 2])
    assert carrier.replied.empty()
    go.set()
    assert [carrier.acknowledged()[0] for _ in range(2)] == [1, 2]


def test_threads_are_bounded_and_start_in_order(stage: Stage) -> None:
    go = threading.Event()
    for number in range(40):
        stage.actions[number] = lambda: go.wait(10)
    carrier = stage.connect()
    carrier.send(1, *range(40))
    eventually(lambda: stage.inside == MAX_THREADS)
    go.set()
    assert carrier.acknowledged() == (1, [])
    assert stage.most == MAX_THREADS
    assert stage.started[:MAX_THREADS] == list(range(MAX_THREADS))
    assert sorted(stage.started) == list(range(40))


def test_slow_handlers_run_side_by_side(stage: Stage) -> None:
    pause = threading.Event()
    for number in range(200):
        stage.actions[number] = lambda: pause.wait(0.02)
    carrier = stage.connect()
    carrier.send(1, *range(200))
    carrier.acknowledged()
    assert stage.most > 8
    assert sorted(stage.started) == list(range(200))


def test_a_connection_is_not_read_without_bound(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    carrier = stage.connect()
    carrier.send(0, 0)
    for seq in range(1, 10):
        carrier.send(seq, seq)
    eventually(lambda: len(stage.started) == MAX_BATCHES)
    go.set()
    assert [carrier.acknowledged()[0] for _ in range(10)] == list(range(10))
    assert stage.started == list(range(10))


def test_without_threading_there_are_never_two_at_once(stage: Stage) -> None:
    stage.crew.set_threading(False)
    pause = threading.Event()
    for number in range(20):
        stage.actions[number] = lambda: pause.wait(0.005)
    one, two = stage.connect(), stage.connect()
    for seq in range(5):
        one.send(seq, seq * 2, seq * 2 + 1)
        two.send(seq, 10 + seq * 2, 10 + seq * 2 + 1)
    for carrier in (one, two):
        assert [carrier.acknowledged()[0] for _ in range(5)] == list(range(5))
    assert stage.most == 1
    assert [number for number in stage.started if number < 10] == list(range(10))


def test_switching_threading_off_takes_effect_at_once(stage: Stage) -> None:
    first, second = threading.Event(), threading.Event()
    stage.actions[0] = lambda: first.wait(10)
    stage.actions[1] = lambda: (stage.crew.set_threading(False), second.wait(10))
    carrier = stage.connect()
    carrier.send(1, 0, 1, 2, 3)
    eventually(lambda: stage.started == [0, 1] and not stage.crew.threading)
    second.set()
    eventually(lambda: stage.inside == 1)
    assert stage.started == [0, 1]
    first.set()
    assert carrier.acknowledged() == (1, [])
    assert stage.started == [0, 1, 2, 3]


def test_a_pause_holds_what_has_not_started(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: (stage.crew.pause(), go.wait(10))
    carrier = stage.connect()
    carrier.send(1, 0, 1, 2)
    carrier.send(2, 3)
    eventually(lambda: stage.started == [0])
    go.set()
    eventually(lambda: stage.inside == 0)
    assert stage.started == [0] and carrier.replied.empty()
    stage.crew.resume()
    assert [carrier.acknowledged()[0] for _ in range(2)] == [1, 2]
    assert stage.started == [0, 1, 2, 3]


def test_a_resumed_crew_does_not_wait_for_the_handler_that_paused_it(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: (stage.crew.pause(), go.wait(10))
    carrier = stage.connect()
    carrier.send(1, 0, 1)
    eventually(lambda: stage.started == [0] and stage.crew.paused)
    stage.crew.resume()
    eventually(lambda: stage.started == [0, 1])
    go.set()
    carrier.acknowledged()


def test_what_has_not_started_dies_with_its_connection(stage: Stage) -> None:
    stage.crew.set_threading(False)
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    carrier = stage.connect()
    carrier.send(1, 0, 1, 2)
    eventually(lambda: stage.started == [0])
    carrier.leave()
    fresh = stage.connect()
    fresh.send(1, 10)
    go.set()
    assert fresh.acknowledged() == (1, [])
    assert carrier.closed.wait(10)
    assert stage.started == [0, 10] and stage.most == 1


def test_the_watch_finds_a_connection_that_is_gone(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    stage.crew.set_threading(False)
    carrier = stage.connect()
    carrier.send(1, 0, 1)
    eventually(lambda: stage.started == [0])
    carrier.left = True
    (lane,) = stage.crew._lanes
    eventually(lambda: lane._ended)
    go.set()
    assert carrier.closed.wait(10)
    assert stage.started == [0] and carrier.replied.empty()


def test_closing_from_inside_a_handler(stage: Stage) -> None:
    closed = threading.Event()
    stage.actions[0] = lambda: (stage.crew.close(), closed.set())
    carrier = stage.connect()
    carrier.send(1, 0, 1)
    assert closed.wait(10) and carrier.closed.wait(10)
    assert stage.started == [0]
    stage.connect()
    assert stage.carriers[-1].closed.wait(10)


def test_rows_that_came_as_a_stock_call(stage: Stage) -> None:
    stage.actions[1] = lambda: 1 / 0
    assert stage.crew.run([list(row) for row in rows(0, 1, 2)]) == [1]
    assert stage.started == [0, 1, 2]


def test_a_row_that_is_none_is_a_failure(stage: Stage) -> None:
    carrier = stage.connect()
    carrier.incoming.put(Batch(1, ((), ("S",), *rows(5), 17)))  # type: ignore[arg-type]
    assert carrier.acknowledged() == (1, [0, 1, 3])
    assert stage.started == [5]


def test_many_connections(stage: Stage) -> None:
    carriers = [stage.connect() for _ in range(20)]
    for carrier in carriers:
        carrier.send(1, *range(10))
    assert all(carrier.acknowledged() == (1, []) for carrier in carriers)
    for carrier in carriers[:10]:
        carrier.leave()
        assert carrier.closed.wait(10)

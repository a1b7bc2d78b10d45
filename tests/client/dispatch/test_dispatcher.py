"""The dispatcher: order, threads, and what is acknowledged when, without a socket."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_source import FakeSource, rows
from waiting import eventually

from pyro_events.client.dispatch.batch import ReceivedBatch
from pyro_events.client.dispatch.dispatcher import Dispatcher
from pyro_events.client.dispatch.handlers import FailureLoggedError
from pyro_events.client.dispatch.handover import Call
from pyro_events.client.dispatch.limits import DEFAULT_OPTIONS, DispatchOptions
from pyro_events.client.dispatch.stall_monitor import StallMonitor
from pyro_events.event import Event


class Stage:
    """A dispatcher, its connections, and a handler that does as the message says.

    A callable in `actions` under the message is called; all that starts is kept in `started`.
    """

    def __init__(self, options: DispatchOptions = DEFAULT_OPTIONS) -> None:
        self.started: list[Any] = []
        self.threads: set[int] = set()
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()
        self.actions: dict[Any, Callable[[], object]] = {}
        self.dispatcher = Dispatcher(lambda: self.event, options)
        self.sources: list[FakeSource] = []

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

    def connect(self) -> FakeSource:
        source = FakeSource()
        admitted = threading.Event()

        def serve() -> None:
            workers = self.dispatcher.add(source)
            admitted.set()
            if workers is None:
                source.close()
            else:
                workers.run()

        threading.Thread(target=serve).start()
        assert admitted.wait(10)
        self.sources.append(source)
        return source


@contextlib.contextmanager
def a_stage(**options: Any) -> Iterator[Stage]:
    stage = Stage(DispatchOptions(**options))
    yield stage
    stage.dispatcher.close()
    for source in stage.sources:
        assert source.closed.wait(10), "a connection was left open"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with a_stage() as stage:
        yield stage


def test_batches_are_handled_in_order_in_one_thread() -> None:
    with a_stage(stall_after=60.0) as stage:  # a thread that the system holds up is not relieved
        source = stage.connect()
        for seq in range(50):
            source.send(seq, *range(seq * 10, seq * 10 + 10))
        assert [source.acknowledged() for _ in range(50)] == [(seq, []) for seq in range(50)]
        assert stage.started == list(range(500))
        assert len(stage.threads) == 1 and stage.dispatcher.limits.handled == 500


def test_an_empty_batch_is_acknowledged(stage: Stage) -> None:
    source = stage.connect()
    source.send(7)
    assert source.acknowledged() == (7, [])


def test_a_child_that_is_forked_by_a_handler_starts_no_other_event(stage: Stage) -> None:
    """Whatever the other threads of the parent held."""

    def fork() -> None:
        held = threading.Event()
        leave = threading.Event()

        def hold() -> None:
            with stage.dispatcher.limits.lock, workers._acknowledging:
                held.set()
                leave.wait(10)

        other = threading.Thread(target=hold)
        other.start()
        assert held.wait(10)
        stage.dispatcher.disown()
        leave.set()
        other.join()

    stage.actions[2] = fork
    source = stage.connect()
    (workers,) = stage.dispatcher._connections
    source.send(1, 1, 2, 3)
    source.send(2, 4)
    assert source.closed.wait(10)
    assert stage.started == [1, 2] and source.replied.empty()
    assert not source.ended.is_set(), "the connection is the parent's"
    assert stage.dispatcher.handle_rows([]) == []


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_raises_is_reported_and_logged(
    stage: Stage, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("on purpose")

    stage.actions[2] = fail
    source = stage.connect()
    source.send(1, 1, 2, 3, 2)
    assert source.acknowledged() == (1, [1, 3])
    assert stage.started == [1, 2, 3, 2]
    assert (stage.dispatcher.limits.handled, stage.dispatcher.limits.failed) == (2, 2)
    assert caplog.records[0].name == "pyro_events.subscriber"
    assert f"{error.__name__} for subject 'S'" in caplog.text and "on purpose" in caplog.text


def test_a_handler_that_cannot_be_had_has_raised(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def get() -> Callable[[Event], object]:
        raise AttributeError("it is not there yet")

    stage.dispatcher._handler = get
    source = stage.connect()
    source.send(1, 1, 2)
    assert source.acknowledged() == (1, [0, 1])
    assert "AttributeError for subject 'S'" in caplog.text and "not there yet" in caplog.text
    stage.dispatcher._handler = lambda: stage.event
    source.send(2, 3)
    assert source.acknowledged() == (2, [])


def test_another_handler_is_used_from_the_next_slice_on(stage: Stage) -> None:
    source = stage.connect()
    source.send(1, 1)
    assert source.acknowledged() == (1, [])
    others: list[Any] = []
    stage.dispatcher.use(lambda: lambda event: others.append(event.msg))
    source.send(2, 2)
    assert source.acknowledged() == (2, [])
    assert (stage.started, others) == ([1], [2])


def test_a_failure_that_was_logged_is_counted_only(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise FailureLoggedError

    stage.actions[2] = fail
    source = stage.connect()
    source.send(1, 1, 2)
    assert source.acknowledged() == (1, [1])
    assert (stage.dispatcher.limits.failed, caplog.text) == (1, "")


def handing_over(stage: Stage) -> queue.SimpleQueue[Call]:
    """Have the stage's events handed over; returns what is handed over."""
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
    run = stage.dispatcher.handovers.run

    def hand_over(event: Event) -> None:
        run(lambda call: calls.put(call), Call("event()", functools.partial(stage.event, event)))  # type: ignore[arg-type]

    stage.dispatcher.use(lambda: hand_over)
    return calls


def test_abort_ends_the_wait_for_what_was_handed_over_and_starts_nothing_else() -> None:
    """C21a: the events behind it start when the program listens again."""
    with a_stage(max_threads=1) as stage:
        calls = handing_over(stage)
        source = stage.connect()
        source.send(1, 1, 2, 3)
        first = calls.get(timeout=10)
        stage.dispatcher.pause()
        eventually(lambda: not stage.dispatcher.limits.running)
        first()
        assert stage.started == [] and calls.empty()
        stage.dispatcher.resume()
        for _ in range(2):
            calls.get(timeout=10)()
        assert source.acknowledged() == (1, [0])
        assert stage.started == [2, 3]


def test_the_thread_that_runs_calls_may_close(stage: Stage) -> None:
    """In the middle of a call, and while others wait for it: none of them keeps `close` waiting."""
    calls = handing_over(stage)
    source = stage.connect()
    source.send(1, *range(5))
    first, second = calls.get(timeout=10), calls.get(timeout=10)
    (workers,) = stage.dispatcher._connections
    threads, alive = set(workers.threads), list[threading.Thread]()

    def close() -> None:
        stage.dispatcher.close()
        alive.extend(thread for thread in threads if thread.is_alive())

    stage.actions[0] = close
    first()
    assert len(threads) >= 2 and alive == []
    second()
    assert stage.started == [0]


def test_a_call_of_the_parents_does_not_run_in_a_forked_child(stage: Stage) -> None:
    calls = handing_over(stage)
    stage.connect().send(1, 1)
    call = calls.get(timeout=10)
    stage.dispatcher.disown()
    call()
    assert stage.started == []


@pytest.mark.parametrize("split", [True, False], ids=["next batch", "same batch"])
def test_a_handler_that_waits_for_the_next_event_gets_it(stage: Stage, split: bool) -> None:
    second = threading.Event()
    stage.actions[1] = lambda: second.wait(10)
    stage.actions[2] = second.set
    source = stage.connect()
    if split:
        source.send(1, 1)
        source.send(2, 2)
        assert source.acknowledged() == (1, [])
        assert source.acknowledged() == (2, [])
    else:
        source.send(1, 1, 2, 3)
        assert source.acknowledged() == (1, [])
        assert stage.started == [1, 2, 3]
    assert second.is_set()


def test_replies_keep_the_order_of_the_batches(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[1] = lambda: go.wait(10)
    source = stage.connect()
    source.send(1, 0, 1)
    source.send(2, 2)
    eventually(lambda: stage.started == [0, 1, 2])
    assert source.replied.empty()
    go.set()
    assert [source.acknowledged()[0] for _ in range(2)] == [1, 2]


def test_threads_are_bounded_and_start_in_order(stage: Stage) -> None:
    go = threading.Event()
    for number in range(40):
        stage.actions[number] = lambda: go.wait(10)
    source = stage.connect()
    source.send(1, *range(40))
    eventually(lambda: stage.inside == DEFAULT_OPTIONS.max_threads)
    go.set()
    assert source.acknowledged() == (1, [])
    assert stage.most == DEFAULT_OPTIONS.max_threads
    assert stage.started[: DEFAULT_OPTIONS.max_threads] == list(range(DEFAULT_OPTIONS.max_threads))
    assert sorted(stage.started) == list(range(40))


def test_slow_handlers_run_side_by_side(stage: Stage) -> None:
    pause = threading.Event()
    for number in range(200):
        stage.actions[number] = lambda: pause.wait(0.02)
    source = stage.connect()
    source.send(1, *range(200))
    source.acknowledged()
    assert stage.most > 8
    assert sorted(stage.started) == list(range(200))


def test_a_connection_is_not_read_without_bound(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    source = stage.connect()
    source.send(0, 0)
    for seq in range(1, 10):
        source.send(seq, seq)
    eventually(lambda: len(stage.started) == DEFAULT_OPTIONS.max_batches)
    go.set()
    assert [source.acknowledged()[0] for _ in range(10)] == list(range(10))
    assert stage.started == list(range(10))


def test_without_threading_there_are_never_two_at_once(stage: Stage) -> None:
    stage.dispatcher.set_threading(False)
    pause = threading.Event()
    for number in range(20):
        stage.actions[number] = lambda: pause.wait(0.005)
    one, two = stage.connect(), stage.connect()
    for seq in range(5):
        one.send(seq, seq * 2, seq * 2 + 1)
        two.send(seq, 10 + seq * 2, 10 + seq * 2 + 1)
    for source in (one, two):
        assert [source.acknowledged()[0] for _ in range(5)] == list(range(5))
    assert stage.most == 1
    assert [number for number in stage.started if number < 10] == list(range(10))


def test_switching_threading_off_takes_effect_at_once(stage: Stage) -> None:
    first, second = threading.Event(), threading.Event()
    stage.actions[0] = lambda: first.wait(10)
    stage.actions[1] = lambda: (stage.dispatcher.set_threading(False), second.wait(10))
    source = stage.connect()
    source.send(1, 0, 1, 2, 3)
    eventually(lambda: stage.started == [0, 1] and not stage.dispatcher.limits.threading)
    second.set()
    eventually(lambda: stage.inside == 1)
    assert stage.started == [0, 1]
    first.set()
    assert source.acknowledged() == (1, [])
    assert stage.started == [0, 1, 2, 3]


def test_a_pause_holds_what_has_not_started(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: (stage.dispatcher.pause(), go.wait(10))
    source = stage.connect()
    source.send(1, 0, 1, 2)
    source.send(2, 3)
    eventually(lambda: stage.started == [0])
    go.set()
    eventually(lambda: stage.inside == 0)
    assert stage.started == [0] and source.replied.empty()
    stage.dispatcher.resume()
    assert [source.acknowledged()[0] for _ in range(2)] == [1, 2]
    assert stage.started == [0, 1, 2, 3]


def test_a_resumed_dispatcher_does_not_wait_for_the_handler_that_paused_it(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: (stage.dispatcher.pause(), go.wait(10))
    source = stage.connect()
    source.send(1, 0, 1)
    eventually(lambda: stage.started == [0] and stage.dispatcher.limits.paused)
    stage.dispatcher.resume()
    eventually(lambda: stage.started == [0, 1])
    go.set()
    source.acknowledged()


def test_what_has_not_started_dies_with_its_connection(stage: Stage) -> None:
    stage.dispatcher.set_threading(False)
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    source = stage.connect()
    source.send(1, 0, 1, 2)
    eventually(lambda: stage.started == [0])
    source.leave()
    fresh = stage.connect()
    fresh.send(1, 10)
    go.set()
    assert fresh.acknowledged() == (1, [])
    assert source.closed.wait(10)
    assert stage.started == [0, 10] and stage.most == 1


def test_the_monitor_finds_a_connection_that_is_gone(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[0] = lambda: go.wait(10)
    stage.dispatcher.set_threading(False)
    source = stage.connect()
    source.send(1, 0, 1)
    eventually(lambda: stage.started == [0])
    source.left = True
    assert source.ended.wait(10)
    go.set()
    assert source.closed.wait(10)
    assert stage.started == [0] and source.replied.empty()


def test_closing_from_inside_a_handler(stage: Stage) -> None:
    closed = threading.Event()
    stage.actions[0] = lambda: (stage.dispatcher.close(), closed.set())
    source = stage.connect()
    source.send(1, 0, 1)
    assert closed.wait(10) and source.closed.wait(10)
    assert stage.started == [0]
    stage.connect()
    assert stage.sources[-1].closed.wait(10)


def test_closing_while_the_monitor_waits_for_this_thread(stage: Stage) -> None:
    """As a signal's handler does that runs in the middle of something that the check needs."""
    checking, go = threading.Event(), threading.Event()

    def is_gone() -> bool:
        checking.set()
        return not go.wait(10)

    stage.actions[0] = lambda: go.wait(10)
    source = stage.connect()
    source.is_gone = is_gone  # type: ignore[method-assign]
    source.send(1, 0, 1)
    assert checking.wait(10)
    stage.dispatcher.close(patience=0.01)
    assert not go.is_set() and stage.inside == 1
    go.set()
    eventually(lambda: not stage.inside)
    source.leave()


def test_rows_that_came_as_a_stock_call(stage: Stage) -> None:
    stage.actions[1] = lambda: 1 / 0
    assert stage.dispatcher.handle_rows([list(row) for row in rows(0, 1, 2)]) == [1]
    assert stage.started == [0, 1, 2]


def test_a_row_that_is_none_is_a_failure(stage: Stage) -> None:
    source = stage.connect()
    source.incoming.put(ReceivedBatch(1, ((), ("S",), *rows(5), 17)))  # type: ignore[arg-type]
    assert source.acknowledged() == (1, [0, 1, 3])
    assert stage.started == [5]


def test_many_connections(stage: Stage) -> None:
    sources = [stage.connect() for _ in range(20)]
    for source in sources:
        source.send(1, *range(10))
    assert all(source.acknowledged() == (1, []) for source in sources)
    for source in sources[:10]:
        source.leave()
        assert source.closed.wait(10)


def test_a_check_says_whether_there_was_work(stage: Stage) -> None:
    go = threading.Event()
    stage.actions[1] = lambda: go.wait(10)
    dispatcher = Dispatcher(lambda: stage.event, stall_monitor=StallMonitor(interval=60.0))
    stage.dispatcher.close()
    stage.dispatcher = dispatcher
    assert not dispatcher.check()
    source = stage.connect()
    source.send(1, 0)
    source.acknowledged()
    assert dispatcher.check() and not dispatcher.check()
    source.send(2, 1)
    eventually(lambda: stage.inside)
    assert dispatcher.check() and dispatcher.check()
    with dispatcher.limits.lock:
        held: list[bool] = []
        thread = threading.Thread(target=lambda: held.append(dispatcher.check()))
        thread.start()
        thread.join(10)
        assert held == [True]  # without a wait for the lock
    go.set()
    source.acknowledged()
    eventually(lambda: not dispatcher.limits.running)
    dispatcher.check()
    assert not dispatcher.check()

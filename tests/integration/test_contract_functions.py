"""The contract on functions (docs/contract.md, C35), with real services, sockets and processes."""

from __future__ import annotations

import importlib.util
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import in_background, running, statistics
from listening import listening
from processes import Spawner
from waiting import eventually

from pyro_events import Event, EventServiceStarter, Publisher, Subscriber

PROGRAMS = Path(__file__).parent / "programs"
LOOPS = ["asyncio", "queue", *(["tk"] if importlib.util.find_spec("tkinter") else [])]


class Ticker(Subscriber):
    """Keeps what its functions get, with the function's name and the subject."""

    def __init__(self, es_uri: str) -> None:
        super().__init__(es_uri=es_uri)
        self.setThreading(False)
        self.got: list[tuple[str, str]] = []
        self.calls: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()

    def event(self, event: Event) -> None:
        self.got.append(("event", event.subject))

    def keep(self, name: str) -> Callable[[Event], None]:
        """A function that keeps what it gets."""
        return lambda event: self.got.append((name, event.subject))


@pytest.fixture
def ticker(service: EventServiceStarter) -> Iterator[Ticker]:
    ticker = Ticker(service.uri)
    with listening(ticker):
        yield ticker


@pytest.fixture
def publisher(service: EventServiceStarter) -> Iterator[Publisher]:
    with Publisher(es_uri=service.uri) as publisher:
        yield publisher


def test_c35_each_function_gets_what_its_own_names_and_patterns_match(
    ticker: Ticker, publisher: Publisher
) -> None:
    ticker.subscribe("D")
    ticker.on("A", "b", match="^C[0-9]")(ticker.keep("one"))
    ticker.on("B", overflow="drop-oldest", backlog=500)(ticker.keep("two"))
    ticker.subscribeMatch("^a$")
    # One delivery of each event, whatever the number of functions.
    assert publisher.publish(["A", "B", "C1", "C", "d"], 1) == 4
    eventually(lambda: len(ticker.got) == 6)
    assert ticker.got == [
        *(("event", "A"), ("one", "A")),
        *(("one", "B"), ("two", "B")),
        *(("one", "C1"), ("event", "d")),
    ]
    eventually(lambda: ticker.statistics().handled == 4)


def test_c35_options_are_the_subscribers(service: EventServiceStarter, ticker: Ticker) -> None:
    for overflow in ("drop-oldest", "latest"):
        ticker.on("A", overflow=overflow)(ticker.keep(overflow))
        (account,) = statistics(service.uri)["subscribers"]
        assert account["overflow"] == overflow


def test_c35_off_and_unsubscribe(ticker: Ticker, publisher: Publisher) -> None:
    one, two = ticker.on("A", "B", "C")(ticker.keep("one")), ticker.on("B", "C")(ticker.keep("two"))
    ticker.subscribe("C")
    ticker.off(one, "B", "C")
    assert publisher.publish(["A", "B", "C"], 1) == 3
    eventually(lambda: len(ticker.got) == 4)
    assert ticker.got == [("one", "A"), ("two", "B"), ("two", "C"), ("event", "C")]
    ticker.off(one)
    ticker.off(two)
    ticker.got.clear()
    assert publisher.publish(["A", "B", "C"], 1) == 1  # which `subscribe` asked for
    eventually(lambda: ticker.got == [("event", "C")])
    ticker.on("C")(one)
    ticker.unsubscribe("C")
    assert publisher.publish(["A", "B", "C"], 1) == 0


def test_c35_the_same_function_with_other_names_gets_an_event_once(
    ticker: Ticker, publisher: Publisher
) -> None:
    one = ticker.on("A", match="^A")(ticker.keep("one"))
    ticker.on("a", "B", match="^.$")(one)
    publisher.publish(["A", "B"], 1)
    eventually(lambda: ticker.statistics().handled == 2)
    assert ticker.got == [("one", "A"), ("one", "B")]


def test_c35_one_that_raises_loses_the_event_for_itself_alone(
    ticker: Ticker, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    @ticker.on("A")
    def broken(event: Event) -> None:
        raise ValueError("on purpose")

    ticker.on("A")(broken_too := lambda event: 1 / 0)
    ticker.on("A")(ticker.keep("one"))
    publisher.publish("A", 1)
    eventually(lambda: ticker.statistics().failed == 1)
    assert ticker.got == [("one", "A")] and ticker.statistics().handled == 0
    assert "broken() raised ValueError for subject 'A'" in caplog.text and "on purpose" in caplog.text
    assert f"{broken_too.__qualname__}() raised ZeroDivisionError" in caplog.text
    ticker.off(broken)
    ticker.off(broken_too)
    publisher.publish("A", 1)
    eventually(lambda: ticker.statistics().handled == 1)


def test_c35_functions_may_register_and_remove_functions(ticker: Ticker, publisher: Publisher) -> None:
    two = ticker.keep("two")

    @ticker.on("A")
    def one(event: Event) -> None:
        ticker.on("B")(two)
        ticker.off(one)
        publisher.publish("B", 1)

    publisher.publish("A", 1)
    eventually(lambda: ticker.got == [("two", "B")])
    assert publisher.publish("A", 2) == 0


def test_c35_inside_event_and_from_many_threads(ticker: Ticker, publisher: Publisher) -> None:
    functions = [ticker.keep(str(number)) for number in range(40)]

    def register(some: list[Callable[[Event], None]]) -> None:
        for function in some:
            ticker.on("A", f"B{functions.index(function)}")(function)

    threads = [in_background(lambda part=part: register(functions[part::4])) for part in range(4)]
    for thread in threads:
        thread.result()
    ticker.event = lambda event: ticker.off(functions[0])  # type: ignore[method-assign]
    ticker.subscribe("C")
    publisher.publish(["C", "A"], 1)
    eventually(lambda: len(ticker.got) == 39)
    assert {name for name, _ in ticker.got} == {str(number) for number in range(1, 40)}
    assert publisher.publish([f"B{number}" for number in range(40)], 1) == 39


@pytest.mark.usefixtures("each_way")
def test_c35_before_listen(service: EventServiceStarter, publisher: Publisher) -> None:
    ticker = Ticker(service.uri)
    ticker.on("A")(ticker.keep("one"))
    publisher.publish("A", 1)
    assert ticker.got == []
    with listening(ticker):
        eventually(lambda: ticker.got == [("one", "A")])


@pytest.mark.parametrize("threads", [True, False])
def test_c35_without_threading_one_function_at_a_time(
    service: EventServiceStarter, publisher: Publisher, threads: bool
) -> None:
    ticker = Ticker(service.uri)
    ticker.setThreading(threads)
    go, lock = threading.Event(), threading.Lock()
    inside: list[int] = []
    most: list[int] = []
    for _ in range(3):

        @ticker.on("A")
        def function(event: Event) -> None:
            with lock:
                inside.append(event.msg)
                most.append(len(inside))
            assert go.wait(20)
            with lock:
                inside.remove(event.msg)

    with listening(ticker):
        for number in range(20):
            publisher.publish("A", number)
        if threads:
            eventually(lambda: len(inside) > 1)
        else:
            threading.Event().wait(0.2)  # time enough to start another
        go.set()
        eventually(lambda: len(most) == 60)
        assert (max(most) == 1) is not threads


@pytest.mark.usefixtures("each_way")
def test_c35_an_event_is_acknowledged_when_the_call_has_run(
    service: EventServiceStarter, ticker: Ticker, publisher: Publisher
) -> None:
    ticker.on("A", via=ticker.calls.put)(ticker.keep("one"))
    publisher.publish("A", 1)
    call = ticker.calls.get(timeout=20)
    assert statistics(service.uri)["delivered"] == 0 and ticker.got == []
    call()
    eventually(lambda: statistics(service.uri)["delivered"] == 1)
    assert ticker.got == [("one", "A")]


def test_c35_a_slow_window_holds_up_publishers() -> None:
    """As a slow `event` does: with `block`, as many events wait as the backlog takes, and none is lost."""
    with running(backlog=5, delivery_deadline=60) as service, Publisher(es_uri=service.uri) as publisher:
        ticker = Ticker(service.uri)
        ticker.on("A", via=ticker.calls.put)(ticker.keep("one"))
        with listening(ticker):
            held = in_background(lambda: [publisher.publish("A", number) for number in range(50)])
            eventually(lambda: statistics(service.uri)["subscribers"][0]["backlog"] >= 5)
            assert not held.done
            for _ in range(50):
                ticker.calls.get(timeout=20)()
            assert held.result() == [1] * 50
            eventually(lambda: statistics(service.uri)["delivered"] == 50)
            assert len(ticker.got) == 50


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("threads", [True, False])
def test_c35_abort_and_close_end_the_wait(
    service: EventServiceStarter, publisher: Publisher, threads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread that has to run the calls is the one that aborts and closes."""
    ticker = Ticker(service.uri)
    ticker.setThreading(threads)
    ticker.on("A", via=ticker.calls.put)(ticker.keep("one"))
    ticker.listen_in_background()
    publisher.publish(["A"] * 10, 1)
    call = ticker.calls.get(timeout=20)
    ticker.abort()
    eventually(lambda: not ticker.statistics().running)
    call()
    assert ticker.got == []
    assert "an event is lost for Ticker.keep.<locals>.<lambda>(), subject 'A'" in caplog.text
    while not ticker.calls.empty():  # of other threads
        ticker.calls.get()()
    ticker.listen_in_background()  # the other events are still there
    ticker.calls.get(timeout=20)()
    eventually(lambda: ticker.got)
    before = len(ticker.got)
    ticker.close()
    while not ticker.calls.empty():
        ticker.calls.get()()
    assert len(ticker.got) == before and not ticker.statistics().running


@pytest.mark.usefixtures("each_way")
def test_c35_functions_get_their_events_when_the_service_has_come_back(free_port: Callable[[], int]) -> None:
    port = free_port()
    with EventServiceStarter("127.0.0.1", port, use_ns=False) as service:
        ticker = Ticker(service.uri)
        one = ticker.on("A", match="^B")(ticker.keep("one"))
        ticker.on("C")(ticker.keep("two"))
        ticker.off(one, "^B")
    with (
        listening(ticker),
        EventServiceStarter("127.0.0.1", port, use_ns=False) as service,
        Publisher(es_uri=service.uri) as publisher,
    ):
        eventually(lambda: publisher.publish("A", 1) == 1)
        assert publisher.publish(["B", "C"], 1) == 1
        eventually(lambda: ticker.got[-1:] == [("two", "C")])
        assert {name for name, _ in ticker.got[:-1]} == {"one"}


@pytest.mark.usefixtures("each_way")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other threads run while we fork
def test_c35_in_a_forked_child_no_function_runs(ticker: Ticker, publisher: Publisher) -> None:
    """Neither a call that waits in a window's queue, nor the next function of the event."""
    parent, children = os.getpid(), list[int]()
    reading, writing = os.pipe()

    def keep(event: Event) -> None:
        if os.getpid() != parent:
            os.write(writing, b"ran")
            os._exit(1)
        ticker.got.append(("keep", event.subject))

    @ticker.on("A")
    def fork(event: Event) -> None:
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends it should it not end by itself
        else:
            children.append(child)

    ticker.on("A")(keep)
    publisher.publish("A", 1)
    eventually(lambda: ticker.got == [("keep", "A")])
    # It ends when its only thread, this handler's, has returned. With which status is decided by what the
    # libraries in the process do at the end of a thread.
    assert os.waitstatus_to_exitcode(os.waitpid(children.pop(), 0)[1]) != -signal.SIGALRM
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b""
    ticker.off(fork)
    ticker.on("A", via=ticker.calls.put)(keep)
    publisher.publish("A", 2)
    call = ticker.calls.get(timeout=20)
    child = os.fork()
    if child == 0:
        call()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    call()
    eventually(lambda: len(ticker.got) == 2)


@pytest.mark.parametrize("end", ["stop", "close"])
@pytest.mark.parametrize("loop", LOOPS)
def test_c35_functions_run_in_the_main_threads_loop(spawn: Spawner, es: Any, loop: str, end: str) -> None:
    """And the program ends in order where one of them ends the loop, or closes the subscriber."""
    program = spawn(str(PROGRAMS / "function_listener.py"), es.uri, loop, ready="ready")
    with Publisher(es_uri=es.uri) as publisher:
        assert publisher.publish(["STOCK.SUN", "NEWS.1", "OTHER"], 1) == 2
        program.wait_for("window NEWS.1 1 main")
        publisher.publish("STOCK.SUN", "fail")
        program.wait_for("log STOCK.SUN fail another")
        publisher.publish("NEWS.2", end)
    assert program.wait(20) == 0, program
    lines = program.stdout.splitlines()
    assert lines[1:-2] == [
        *("window STOCK.SUN 1 main", "log STOCK.SUN 1 another", "window NEWS.1 1 main"),
        *("window STOCK.SUN fail main", "log STOCK.SUN fail another"),
    ]
    assert lines[-2:] == [f"window NEWS.2 {end} main", "ended 1"]
    assert "window() raised ValueError for subject 'STOCK.SUN'" in program.stderr

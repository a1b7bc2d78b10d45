"""Calls that other threads run: what they come to, and what ends the wait for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from pyro_events.client.dispatch.handover import Call, CallStoppedError, Handovers, ViaFailedError
from pyro_events.client.dispatch.limits import DispatchLimits


class Window:
    """The other thread: it runs calls when the test says so. work: what the function does."""

    def __init__(self) -> None:
        self.limits = DispatchLimits(4)
        self.handovers = Handovers(self.limits)
        self.calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.ran: list[str] = []
        self.work: Callable[[], object] = lambda: self.ran.append(threading.current_thread().name)

    def wait(self, via: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Hand a call over, and wait until it has run."""
        self.handovers.run(self.calls.put if via is None else via, Call("show()", self.work))

    def abort(self) -> None:
        self.limits.paused = True
        self.handovers.stop()

    def close(self) -> None:
        self.limits.closed = True
        self.handovers.stop(release=True)


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def in_the_middle(
    window: Window, threads: ThreadPoolExecutor
) -> tuple[Future[None], Future[object], Future[None]]:
    """A call that has begun and does not end: the wait for it, its run, and what lets it end."""
    go_on: Future[None] = Future()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        go_on.result(10)

    window.work = work
    waiting = threads.submit(window.wait)
    running = threads.submit(window.calls.get(timeout=10))
    assert begun.wait(10)
    return waiting, running, go_on


def test_a_call_runs_where_via_has_it_run_and_is_waited_for(
    window: Window, threads: ThreadPoolExecutor
) -> None:
    waiting = threads.submit(window.wait)
    call = window.calls.get(timeout=10)
    assert not waiting.done() and repr(call) == "<call of show()>"
    call()
    assert waiting.result(10) is None
    assert window.ran == ["MainThread"]


def test_via_may_run_it_at_once(window: Window) -> None:
    window.wait(lambda call: call())
    assert window.ran == ["MainThread"]


def test_what_it_raises_comes_to_the_thread_that_waits(window: Window, threads: ThreadPoolExecutor) -> None:
    window.work = lambda: 1 / 0
    waiting = threads.submit(window.wait)
    window.calls.get(timeout=10)()  # does not raise: it is a window's loop
    with pytest.raises(ZeroDivisionError):
        waiting.result(10)
    with pytest.raises(ZeroDivisionError):
        window.wait(lambda call: call())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_meant_to_end_the_other_thread_reaches_it_too(
    window: Window, threads: ThreadPoolExecutor, error: type[BaseException]
) -> None:
    def work() -> None:
        raise error

    window.work = work
    waiting = threads.submit(window.wait)
    with pytest.raises(error):
        window.calls.get(timeout=10)()
    assert isinstance(waiting.exception(10), error)
    with pytest.raises(error):  # and once where it is the same thread
        window.wait(lambda call: call())


def test_it_runs_once(window: Window, threads: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture) -> None:
    waiting = threads.submit(window.wait)
    call = window.calls.get(timeout=10)
    for _ in range(3):
        call()
    waiting.result(10)
    assert len(window.ran) == 1
    assert "via= ran a call of show() again, which did nothing" in caplog.text


def test_via_that_raises_has_not_taken_it(
    window: Window, threads: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    def via(call: Callable[[], object]) -> None:
        window.calls.put(call)
        raise RuntimeError("main thread is not in main loop")

    with pytest.raises(ViaFailedError) as caught:
        window.wait(via)
    assert isinstance(caught.value.error, RuntimeError) and "main loop" in str(caught.value)
    window.calls.get(timeout=10)()  # too late
    assert window.ran == [] and caplog.text == ""


def test_via_that_raises_although_it_has_run_it(window: Window) -> None:
    def via(call: Callable[[], object]) -> None:
        call()
        raise RuntimeError("and more")

    with pytest.raises(ViaFailedError, match="and more"):
        window.wait(via)
    assert window.ran == ["MainThread"]


def test_via_that_makes_a_coroutine_runs_nothing(window: Window) -> None:
    async def via(call: Callable[[], object]) -> None:
        call()

    with pytest.raises(ViaFailedError, match="via= returned a coroutine"):
        window.wait(lambda call: via(call))
    assert window.ran == []


def test_what_via_returns_does_not_matter(window: Window, threads: ThreadPoolExecutor) -> None:
    class Handle:
        """As asyncio's future: it can be awaited, and need not."""

        def __await__(self) -> Iterator[None]:
            yield

    def via(call: Callable[[], object]) -> Handle:
        threads.submit(call)
        return Handle()

    window.wait(via)
    assert len(window.ran) == 1


@pytest.mark.parametrize("end", [Window.abort, Window.close])
def test_a_call_that_has_not_begun_never_does_when_the_subscriber_is_stopped(
    window: Window,
    threads: ThreadPoolExecutor,
    end: Callable[[Window], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    waiting = threads.submit(window.wait)
    call = window.calls.get(timeout=10)
    end(window)
    with pytest.raises(CallStoppedError, match="stopped before the call ran"):
        waiting.result(10)
    with pytest.raises(CallStoppedError):  # nor is another one given to via
        window.wait()
    call()
    assert window.ran == [] and window.calls.empty()
    assert caplog.text == "" and window.handovers.closed is (end is Window.close)


def test_a_call_that_has_begun_is_waited_for_after_abort(window: Window, threads: ThreadPoolExecutor) -> None:
    waiting, running, go_on = in_the_middle(window, threads)
    window.abort()
    assert not wait([waiting], 0.1).done
    go_on.set_result(None)
    assert waiting.result(10) is None and running.result(10) is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_that_has_begun_is_not_waited_for_after_close(
    window: Window, threads: ThreadPoolExecutor, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be the call that closes. What it raises can only be logged."""
    waiting, running, go_on = in_the_middle(window, threads)
    window.close()
    assert waiting.result(10) is None and not wait([running], 0.1).done
    if fails:
        go_on.set_exception(ZeroDivisionError())
    else:
        go_on.set_result(None)
    assert running.result(10) is None
    assert ("show() raised ZeroDivisionError" in caplog.text) is fails


def test_a_stop_that_comes_while_via_is_called_is_not_overlooked(window: Window) -> None:
    with pytest.raises(CallStoppedError):
        window.wait(lambda call: window.abort())


def test_what_has_ended_is_forgotten(window: Window) -> None:
    window.wait(lambda call: call())
    with pytest.raises(ViaFailedError):
        window.wait(lambda call: 1 / 0)
    assert window.handovers._calls == set()

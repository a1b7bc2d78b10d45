"""The calls of one client, without a socket: one after the other, answered in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import pytest
import serpent
from log_lines import counted

from pyro_events.log.background import background
from pyro_events.server.clients.call_queue import CallQueue
from pyro_events.server.limits.scheduler import Work
from pyro_events.server.objects import Caller, DeferredResult
from pyro_events.wire.frames import (
    EXCEPTION,
    INVOKE,
    MSGPACK,
    ONEWAY,
    RESULT,
    SERPENT,
    Frame,
    FrameLimits,
    FrameReader,
)

ANSWERS = FrameLimits(types=frozenset({RESULT}), size=1 << 24)


class FakePool:
    """Other threads: work is done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Work] = []

    def submit(self, address: str, call: Callable[[], Any]) -> Work:
        self.waiting.append(Work(call))
        return self.waiting[-1]

    def finish(self) -> None:
        work = self.waiting.pop(0)
        assert work.call is not None
        work.settle(work.call())


class FakeClient:
    """The connection, which notes what its calls have it do."""

    peer = "192.0.2.1"
    label = "'market' (192.0.2.1)"

    def __init__(self) -> None:
        self.closing = False
        self.done: list[str] = []

    def hold(self) -> None:
        self.done.append("hold")

    def go_on(self) -> None:
        self.done.append("go on")

    def send(self) -> None:
        self.done.append("send")

    def next_turn(self, work: Callable[[], None]) -> None:
        raise AssertionError("only a batch needs another turn")

    def refuse(self, reason: str) -> None:
        self.done.append(f"refuse: {reason}")


class Echo:
    """What can be called."""

    def __init__(self) -> None:
        self.deferred = DeferredResult()
        self.made: list[Any] = []
        self.methods = {"echo": self.echo, "later": self.later, "fail": self.fail}

    def echo(self, caller: Caller, value: Any) -> Any:
        self.made.append(value)
        return value

    def later(self, caller: Caller) -> DeferredResult:
        return self.deferred

    def fail(self, caller: Caller) -> None:
        raise ValueError("no such quote")


class Calls:
    """A queue with all that it uses."""

    def __init__(self) -> None:
        self.pool: Any = FakePool()
        self.client = FakeClient()
        self.object = Echo()
        self.queue = CallQueue(self)
        self.queue.caller = Caller("192.0.2.1", MSGPACK, objects={"echo": self.object})
        self._seq = 0

    def call(self, method: str, *arguments: Any, serializer: int = MSGPACK, flags: int = 0) -> None:
        self._seq += 1
        whole = ("echo", method, arguments, {})
        body = msgpack.packb(whole) if serializer == MSGPACK else serpent.dumps(whole)
        self.queue.append(self.client, Frame(INVOKE, flags, serializer, self._seq, b"", body))

    def answers(self) -> list[tuple[int, bool, Any]]:
        """Of each answer its number, whether it is an exception, and what it says."""
        reader = FrameReader(ANSWERS)
        reader.feed(b"".join(self.queue.answers))
        found = []
        while (frame := reader.next_frame()) is not None:
            read = msgpack.unpackb if frame.serializer_id == MSGPACK else serpent.loads
            found.append((frame.seq, bool(frame.flags & EXCEPTION), read(bytes(frame.payload))))
        return found


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_call_is_answered_at_once_and_holds_nothing_up(calls: Calls) -> None:
    calls.call("echo", 5)
    calls.call("fail")
    first, second = calls.answers()
    assert first == (1, False, 5)
    assert second[:2] == (2, True) and second[2]["args"] == ["no such quote"]
    assert calls.queue.pending is None and calls.client.done == []


def test_a_call_that_waits_is_answered_when_it_has_its_result(calls: Calls) -> None:
    calls.call("later")
    assert calls.queue.pending is calls.object.deferred
    assert calls.client.done == ["hold"] and calls.answers() == []
    calls.object.deferred.settle("result")
    assert calls.answers() == [(1, False, "result")]
    assert calls.queue.pending is None and calls.client.done == ["hold", "go on"]


def test_a_client_that_has_gone_is_not_answered(calls: Calls) -> None:
    calls.call("later")
    calls.client.closing = True
    calls.object.deferred.settle("result")
    assert calls.answers() == [] and calls.client.done == ["hold"]


def test_a_result_that_is_not_wanted_is_abandoned(calls: Calls) -> None:
    calls.queue.abandon()  # nothing is pending
    calls.call("later")
    calls.queue.abandon()
    assert calls.object.deferred.abandoned


def test_long_text_is_read_in_another_thread_and_counts_meanwhile(calls: Calls) -> None:
    text = "x" * 10_000
    calls.call("echo", text, serializer=SERPENT)
    assert calls.object.made == [] and calls.client.done == ["hold"]
    assert calls.queue.pending is not None and calls.queue.pending.held > len(text)
    calls.pool.finish()
    assert calls.object.made == [text]
    assert calls.answers() == [(1, False, text)]


def test_long_text_that_cannot_be_read_is_answered_with_the_reason(calls: Calls) -> None:
    calls.queue.append(calls.client, Frame(INVOKE, 0, SERPENT, 7, b"", b"(" * 10_000))
    with pytest.raises(Exception) as caught:
        calls.pool.finish()
    # The pool hands an exception over as a result.
    calls.queue.pending.settle(caught.value)  # type: ignore[union-attr]
    ((seq, failed, _),) = calls.answers()
    assert (seq, failed) == (7, True)


def test_a_long_result_is_written_in_another_thread(calls: Calls) -> None:
    rows = [["LAB.TEMPERATURE", number] for number in range(1000)]
    calls.call("echo", rows, serializer=SERPENT)
    calls.pool.finish()  # reading
    assert calls.object.made and calls.answers() == []
    calls.pool.finish()  # writing
    ((seq, failed, value),) = calls.answers()
    assert (seq, failed, len(value)) == (1, False, 1000)


def test_a_result_that_cannot_be_written_ends_the_connection(calls: Calls) -> None:
    calls.call("later")
    calls.object.deferred.settle(["x" * 5000] * 60)
    work = calls.pool.waiting.pop(0)
    work.settle(ValueError("too deep"))
    assert calls.answers() == []
    assert calls.client.done[-2:] == ["refuse: the answer to it cannot be written: too deep", "go on"]


def test_a_large_answer_is_sent_at_once(calls: Calls) -> None:
    calls.call("echo", "x" * 4000)
    assert calls.client.done == []
    calls.call("echo", "x" * 5000)
    assert calls.client.done == ["send"]


def test_a_oneway_call_has_no_answer_but_its_failure_is_logged(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "pyro_events.connection"):
        calls.call("echo", 5, flags=ONEWAY)
        calls.call("fail", flags=ONEWAY)
        background.flush(rest=True)
    assert calls.object.made == [5] and calls.answers() == []
    assert counted(caplog.records, "a oneway call by 'market' (192.0.2.1) failed: no such quote") == 1


def test_garbage_is_answered_with_the_reason(calls: Calls) -> None:
    calls.queue.append(calls.client, Frame(INVOKE, 0, MSGPACK, 3, b"", b"\xc1"))
    ((seq, failed, _),) = calls.answers()
    assert (seq, failed) == (3, True)

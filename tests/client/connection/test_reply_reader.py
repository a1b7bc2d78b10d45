"""Reading replies: one thread reads for all, and no reply is taken for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from waiting import eventually

from pyro_events.client.connection.connection import PendingReply
from pyro_events.client.connection.reply_reader import ReplyReader


class FakeConnection:
    """A connection whose replies are the test's. receiving: what happens each time it is read."""

    def __init__(self, *receiving: Callable[[], None]) -> None:
        self.receiving = list(receiving)
        self.dead = False
        self.reason: str | None = None
        self.readable_for: list[float] = []
        self.closed = 0

    def readable(self, timeout: float) -> bool:
        self.readable_for.append(timeout)
        return bool(self.receiving)

    def receive(self) -> None:
        self.receiving.pop(0)()

    def fail(self, reason: str) -> None:
        self.dead, self.reason = True, self.reason or reason

    def close(self) -> None:
        self.closed += 1


def reply_on(connection: Any) -> PendingReply:
    return PendingReply(connection, 1)


def arrive(*replies: PendingReply) -> Callable[[], None]:
    def receive() -> None:
        for reply in replies:
            reply.answer = object()  # type: ignore[assignment]

    return receive


def test_it_reads_until_the_reply_is_there_and_keeps_those_before_it() -> None:
    connection = FakeConnection()
    first, second = reply_on(connection), reply_on(connection)
    connection.receiving = [lambda: None, arrive(first), arrive(second)]
    reader = ReplyReader()
    reader.settle(second, None)
    assert first.answer is not None and second.answer is not None
    reader.settle(first, None)  # nothing is read for it
    assert not connection.receiving and not reader.reading and not reader.entered


def test_a_deadline_that_is_over_leaves_the_reply_pending() -> None:
    connection = FakeConnection()
    reply = reply_on(connection)
    ReplyReader().settle(reply, 0.0)
    assert reply.answer is None and reply.lost is None and not connection.dead
    assert connection.readable_for == [0.0]


def test_a_dead_connection_says_why() -> None:
    connection = FakeConnection()
    connection.fail("it closed the connection")
    reply, other = reply_on(connection), reply_on(connection)
    reader = ReplyReader()
    reader.settle(reply, None)
    connection.reason = None
    reader.settle(other, None)
    assert (reply.lost, other.lost) == ("it closed the connection", "another call was interrupted")


def test_an_exception_in_the_middle_makes_the_connection_dead() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    connection = FakeConnection(interrupt)
    reader = ReplyReader()
    with pytest.raises(KeyboardInterrupt):
        reader.settle(reply_on(connection), None)
    assert connection.dead and connection.reason == "receiving was interrupted" and not reader.reading


def test_code_in_the_middle_of_reading_finds_that_out() -> None:
    connection = FakeConnection()
    reply = reply_on(connection)
    reader = ReplyReader()
    found: list[tuple[bool, bool]] = []

    def receive() -> None:
        found.append((reader.reading, reader.entered))
        reply.answer = object()  # type: ignore[assignment]

    connection.receiving = [receive]
    reader.settle(reply, None)
    assert found == [(True, True)]


def test_a_thread_reads_and_others_wait_for_it_or_give_up() -> None:
    connection = FakeConnection()
    mine, theirs = reply_on(connection), reply_on(connection)
    reader = ReplyReader()
    begun, go_on = threading.Event(), threading.Event()

    def receive() -> None:
        begun.set()
        go_on.wait(10)
        arrive(theirs, mine)()

    connection.receiving = [receive]
    thread = threading.Thread(target=reader.settle, args=(theirs, None))
    thread.start()
    assert begun.wait(10) and reader.reading and not reader.entered
    reader.settle(mine, 0.0)  # its time is over before the other thread lets it read
    reader.close(connection)  # type: ignore[arg-type]
    assert mine.answer is None and connection.closed == 0
    go_on.set()
    eventually(lambda: mine.answer is not None)
    thread.join(10)
    reader.close(connection)  # type: ignore[arg-type]
    assert connection.closed == 1

"""The connection in use, and the threads that wait for an event of it, or for the next one."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Iterator

import pytest
from contract import in_background
from fake_stream import FakeService, stream_ends
from raising_handler import needs_signals, raising_after
from waiting import eventually

from pyro_events.client.stream.event_source import EventSource, NothingCameError
from pyro_events.client.stream.link import StreamLink
from pyro_events.wire.frames import RESULT

Ends = tuple[EventSource, FakeService, list[StreamLink]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A source, the service, and the connections that the source said were lost."""
    lost: list[StreamLink] = []
    with stream_ends() as (link, service):
        source = EventSource(link, lost.append)
        yield source, service, lost
        source.close(wait=True)


@pytest.mark.parametrize("how", ["asks for the next", "is looked after", "waits for the descriptor", "ends"])
def test_events_are_taken_and_a_batch_is_acknowledged(ends: Ends, how: str) -> None:
    """Not before the program has got the last of them: it would wait for that."""
    source, service, _ = ends
    if how == "waits for the descriptor":
        source.signal()
    service.send(1, 1, 2)
    assert [row and row[2] for row in (source.take(None), source.take(None))] == [1, 2]
    assert source.taken == 2 and source.link.inbox.finished is (how != "waits for the descriptor")
    if how == "asks for the next":
        with pytest.raises(NothingCameError):
            source.take(time.monotonic() + 0.01)
    elif how == "is looked after":
        source.check()
    elif how == "ends":
        source.stop()
    assert service.answer() == (RESULT, 1)


def test_what_comes_changes_the_activity(ends: Ends) -> None:
    source, service, _ = ends
    before = source.activity()
    service.send(2, 3)
    assert source.take(None) and source.activity() != before


def test_a_thread_waits_for_the_next_connection(ends: Ends) -> None:
    source, service, lost = ends
    old = source.link
    waiting = in_background(lambda: source.take(None))
    service.sock.close()
    eventually(lambda: lost == [old])
    with pytest.raises(NothingCameError):
        source.take(time.monotonic() + 0.01)
    with stream_ends() as (link, other):
        source.replace(link)
        other.send(1, 7)
        row = waiting.result()
        assert row is not None and row[2] == 7
        assert source.generation == 1 and old.fileno() == -1


@pytest.mark.parametrize("connected", [True, False])
def test_stopping_wakes_every_thread(ends: Ends, connected: bool) -> None:
    source, service, lost = ends
    if not connected:
        service.sock.close()
    waiting = [in_background(lambda: source.take(None)) for _ in range(3)]
    eventually(lambda: not connected or not source.link.look())
    assert source.stop() and not source.stop()
    assert [each.result() for each in waiting] == [None] * 3
    assert source.take(None) is None
    source.look()
    assert connected is not bool(lost)  # nobody is told of an end that the program has made
    with stream_ends() as (link, _):
        source.replace(link)  # which was being made meanwhile
        assert link.dead


def test_a_thread_is_told_apart_that_is_in_the_middle_of_reading(ends: Ends) -> None:
    source, _, _ = ends
    with source.link.lock:
        assert source.entered
    assert not source.entered


class Interrupted(Exception):
    """Of a signal handler."""


@needs_signals
def test_exceptions_of_the_programs_own_while_a_connection_is_waited_for_leave_it_usable(ends: Ends) -> None:
    source, service, _ = ends
    service.sock.close()
    source.look()
    came: set[type[BaseException]] = set()
    with raising_after(Interrupted()) as raise_after:
        for _ in range(2000):
            try:
                raise_after(random.uniform(0.00001, 0.0001))
                # Not for ever: Python runs no handler if the signal comes just before the thread sleeps.
                source.take(time.monotonic() + 1.0)
            except Exception as error:
                came.add(type(error))
    assert Interrupted in came and came <= {Interrupted, NothingCameError} and not source._waiting
    with stream_ends() as (link, other):
        waiting = in_background(lambda: source.take(None))
        eventually(lambda: source._waiting)
        source.replace(link)
        other.send(1, 1)
        assert waiting.result() is not None


def test_the_descriptor_follows_what_can_be_taken(ends: Ends) -> None:
    source, service, _ = ends
    signal = source.signal()

    def readable() -> bool:
        return bool(select.select([signal], [], [], 0)[0])

    assert source.signals() and source.signal() is signal and not readable()
    service.send(1, 1, 2)
    eventually(lambda: source.look() and readable())
    source.take(None)
    assert readable()
    source.take(None)
    assert not readable()
    source.stop()
    assert readable()  # so that a loop that waits for it finds the end
    source.close(wait=True)
    assert signal.fileno() == -1


def readable(source: EventSource) -> bool:
    """Whether select says that an event can be taken."""
    return bool(select.select([source.signal()], [], [], 0)[0])


def test_what_was_not_taken_is_not_taken_after_the_end(ends: Ends) -> None:
    source, service, _ = ends
    service.send(1, 1, 2, 3)
    assert source.take(None)
    source.stop()
    assert source.take(None) is None


def test_the_descriptor_promises_nothing_of_a_connection_that_was_replaced(ends: Ends) -> None:
    source, service, _ = ends
    service.send(1, 1, 2)
    eventually(lambda: source.look() and readable(source))
    service.sock.close()
    eventually(lambda: source.look() and source.link.dead)
    assert readable(source)  # what has come before the end can be taken
    with stream_ends() as (link, _):
        source.replace(link)
        assert not readable(source)


def test_the_descriptor_promises_no_batch_that_cannot_be_acknowledged_any_more(ends: Ends) -> None:
    source, service, _ = ends
    service.send(1, 1)
    service.send(2, 2)
    eventually(lambda: source.look() and source.link.inbox.waiting == 2 and readable(source))
    service.sock.close()
    eventually(lambda: source.look() and source.link.dead)
    assert source.take(None)
    assert not readable(source)
    with pytest.raises(NothingCameError):
        source.take(time.monotonic())


def test_a_loop_that_finds_nothing_does_not_find_the_descriptor_readable_again(ends: Ends) -> None:
    """An exception may have come between an event and the signal that says that it was the last."""
    source, service, _ = ends
    source.signal()
    service.send(1, 1)
    eventually(lambda: source.look() and readable(source))
    assert source.link.inbox.rows.popleft()  # here a signal handler has raised
    with pytest.raises(NothingCameError):
        source.take(time.monotonic())
    assert not readable(source)
    assert service.answer() == (RESULT, 1)


def test_an_event_that_came_just_before_an_exception_is_found_by_the_next_check(ends: Ends) -> None:
    source, service, _ = ends
    signal = source.signal()
    service.send(1, 1)
    eventually(lambda: source.link.look() and source.link.inbox.rows)  # here a signal handler has raised
    assert not select.select([signal], [], [], 0)[0]
    source.check()
    assert select.select([signal], [], [], 0)[0]


def test_a_connection_that_ended_in_an_interrupted_call_is_made_again(ends: Ends) -> None:
    source, _, lost = ends
    source.link.fail("receiving was interrupted")
    with pytest.raises(NothingCameError):
        source.take(time.monotonic())
    source.check()
    assert lost == [source.link]


def test_in_a_forked_child_everything_is_the_parents(ends: Ends) -> None:
    source, service, _ = ends
    source.signal()
    source.forked()
    assert source.closed and source.link.dead and source.take(None) is None

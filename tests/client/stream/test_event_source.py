"""The connection in use, and the threads that wait for an event of it, or for the next one."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import pytest
from contract import in_background
from fake_stream import FakeService, stream_ends
from waiting import eventually

from pyro_events.client.stream.event_source import EventSource, NothingCameError
from pyro_events.client.stream.link import StreamLink
from pyro_events.errors import EventServiceError
from pyro_events.wire.frames import RESULT

Ends = tuple[EventSource, FakeService, list[StreamLink]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A source, the service, and the connections that the source said were lost."""
    lost: list[StreamLink] = []
    with stream_ends() as (link, service):
        yield EventSource(link, lost.append), service, lost


def test_events_are_taken_and_a_batch_is_acknowledged(ends: Ends) -> None:
    source, service, _ = ends
    service.send(1, 1, 2)
    assert [row and row[2] for row in (source.take(None), source.take(None))] == [1, 2]
    assert service.answer() == (RESULT, 1) and source.taken == 2
    before = source.activity()
    with pytest.raises(NothingCameError):
        source.take(time.monotonic() + 0.01)
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


def test_a_thread_cannot_wait_in_the_middle_of_waiting(ends: Ends) -> None:
    source, service, _ = ends
    service.sock.close()
    source.look()
    with source._changed:
        assert source.entered
        with pytest.raises(EventServiceError, match="in the middle of waiting"):
            source.take(None)
    assert not source.entered


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


def test_in_a_forked_child_everything_is_the_parents(ends: Ends) -> None:
    source, service, _ = ends
    source.signal()
    source.forked()
    assert source.closed and source.link.dead and source.take(None) is None

"""A connection that the service has made is read when it is its turn, and at once where it has little."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from compiled_form import derives_from_compiled

from pyro_events.server.limits.scheduler import Scheduler
from pyro_events.server.limits.turn_reader import TurnReader
from pyro_events.wire.frames import MSGPACK, RESULT, FrameLimits, write_frame

pytestmark = derives_from_compiled

LIMITS = FrameLimits(types=frozenset({RESULT}), size=10_000)
SMALL, LARGE = write_frame(RESULT, 0, MSGPACK, 1, b"\x90"), write_frame(RESULT, 0, MSGPACK, 2, bytes(500))


class Reader(TurnReader):
    """Keeps the sequence numbers of what it has taken in."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler, "10.0.0.1", LIMITS)
        self.taken: list[int] = []
        self.closed = False
        self.reading = True

    @property
    def is_open(self) -> bool:
        return not self.closed

    def _take_in(self) -> None:
        while (frame := self._reader.next_frame()) is not None:
            self.taken.append(frame.seq)

    def connect(self, sock: socket.socket) -> None:
        """Be connected over one end of a pair of sockets."""
        self._connected(FakeTransport(self, sock))  # type: ignore[arg-type]


class FakeTransport:
    """Says whether it is to be read."""

    def __init__(self, reader: Reader, sock: socket.socket) -> None:
        self._reader, self._sock = reader, sock

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._sock

    def pause_reading(self) -> None:
        self._reader.reading = False

    def resume_reading(self) -> None:
        self._reader.reading = True

    def abort(self) -> None:
        self._reader.closed = True


@contextlib.contextmanager
def connected_sockets() -> Iterator[socket.socket]:
    """A socket that is connected over TCP."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0],
    ):
        yield ours


def run(work: Callable[[Scheduler, Reader], Coroutine[Any, Any, None]]) -> None:
    async def prepared() -> None:
        scheduler = Scheduler()
        reader = Reader(scheduler)
        with connected_sockets() as ours:
            assert reader.descriptor == -1
            reader.connect(ours)
            assert reader.descriptor == ours.fileno()
            await work(scheduler, reader)

    asyncio.run(asyncio.wait_for(prepared(), 10))


def loaded(scheduler: Scheduler) -> None:
    """Somebody else has worked for so long that all others have to wait for a turn."""
    scheduler.used(scheduler.join("10.0.0.2", lambda: None), 0.01)
    assert scheduler.loaded


def test_everything_is_taken_in_at_once_while_there_is_little_to_do() -> None:
    async def work(scheduler: Scheduler, reader: Reader) -> None:
        reader.data_received(SMALL)
        reader.data_received(LARGE)
        assert reader.taken == [1, 2]

    run(work)


def test_what_is_small_never_waits() -> None:
    async def work(scheduler: Scheduler, reader: Reader) -> None:
        loaded(scheduler)
        reader.data_received(SMALL)
        assert reader.taken == [1]

    run(work)


def test_what_is_large_waits_for_its_turn_and_nothing_more_is_read_meanwhile() -> None:
    async def work(scheduler: Scheduler, reader: Reader) -> None:
        loaded(scheduler)
        reader.data_received(LARGE)
        assert reader.taken == [] and reader.reading
        reader.data_received(SMALL)
        assert reader.taken == [] and not reader.reading
        while scheduler.loaded:
            await asyncio.sleep(0)
        assert reader.taken == [2, 1] and reader.reading

    run(work)


def test_one_that_is_closed_takes_no_turn() -> None:
    async def work(scheduler: Scheduler, reader: Reader) -> None:
        loaded(scheduler)
        reader.data_received(LARGE)
        reader._abort()
        while scheduler.loaded:
            await asyncio.sleep(0)
        assert reader.taken == []

    run(work)


def test_half_a_frame_of_the_last_connection_is_nothing_to_the_next() -> None:
    async def work(scheduler: Scheduler, reader: Reader) -> None:
        reader.data_received(LARGE[:300])
        reader._restart(LIMITS)
        assert reader.descriptor == -1
        reader.data_received(SMALL)
        assert reader.taken == [1]

    run(work)

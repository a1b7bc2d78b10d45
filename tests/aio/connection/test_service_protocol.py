"""What all connections on a loop have in common: writing, the end, handing over, other threads and forks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from event_loops import each_loop, run, true

from pyro_events.aio.connection.service_protocol import ServiceProtocol


class Echo(ServiceProtocol):
    """Keeps what comes, and how it ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        super().__init__(loop, sock, "PYRO:es@lab:1")
        self._space = bytearray(100)
        self.got = b""
        self.errors: list[Exception] = []

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        self.got += bytes(self._space[:nbytes])

    def lost(self, error: Exception) -> None:
        self.errors.append(error)


@contextlib.asynccontextmanager
async def pair() -> AsyncIterator[tuple[Echo, socket.socket]]:
    near, far = socket.socketpair()
    far.setblocking(False)
    loop = asyncio.get_running_loop()
    with far:
        protocol = Echo(loop, near)
        protocol.served = True
        await loop.create_connection(lambda: protocol, sock=near)
        try:
            yield protocol, far
        finally:
            protocol.end("the test is over")
            await protocol.released()


@each_loop
def test_its_end_is_told_once_with_the_first_reason(loop: str) -> None:
    async def main() -> None:
        async with pair() as (protocol, far):
            far.shutdown(socket.SHUT_WR)
            await true(lambda: protocol.ended)
            protocol.end("later")
            await protocol.released()
            await protocol.released()
            assert protocol.ended == "it closed the connection" and len(protocol.errors) == 1
            protocol.write(b"nothing is sent any more")
            assert protocol.sock.fileno() == -1

    run(main(), loop)


@each_loop
def test_a_reset_is_its_error(loop: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            far, _ = listener.accept()
        here = asyncio.get_running_loop()
        near.setblocking(False)
        protocol = Echo(here, near)
        protocol.served = True
        await here.create_connection(lambda: protocol, sock=near)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        await true(lambda: protocol.ended)
        assert isinstance(protocol.errors[0], OSError)
        await protocol.released()

    run(main(), loop)


@each_loop
def test_one_that_ended_before_it_had_a_transport_is_released_at_once(loop: str) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with far:
            here = asyncio.get_running_loop()
            protocol = Echo(here, near)
            protocol.served = True
            protocol.end("it is not wanted any more")
            await here.create_connection(lambda: protocol, sock=near)
            await protocol.released()
            await true(lambda: near.fileno() == -1)

    run(main(), loop)


def test_one_whose_socket_the_loop_never_got_closes_it() -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with far:
            Echo(asyncio.get_running_loop(), near).end("it is not wanted any more")
            assert near.fileno() == -1

    run(main())


@each_loop
def test_another_protocol_takes_over(loop: str) -> None:
    async def main() -> None:
        async with pair() as (before, far):
            after = Echo(before.loop, before.sock)
            after.served = True
            before.hand_over(after)
            await before.released()
            assert before.ended == "it was handed over" and before.errors == []
            far.sendall(b"for the other one")
            await true(lambda: after.got == b"for the other one")
            after.write(b"answer")
            assert await before.loop.sock_recv(far, 100) == b"answer"
            before.end("too late")
            assert before.got == b"" and after.ended is None
            after.end("the test is over")
            await after.released()

    run(main(), loop)


@each_loop
def test_what_it_must_say_itself(loop: str) -> None:
    async def main() -> None:
        near, far = socket.socketpair()
        with near, far, pytest.raises(NotImplementedError):
            ServiceProtocol(asyncio.get_running_loop(), near, "PYRO:es@lab:1").lost(ConnectionError())

    run(main(), loop)

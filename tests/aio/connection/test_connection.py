"""One connection on a loop: calls out together, replies in step, and what its end says of each call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgpack
import Pyro5.core
import pytest
from event_loops import each_loop, run, true

from pyro_events.aio.connection.calls import AwaitedCall, Loss, value_of
from pyro_events.aio.connection.connection import Connection
from pyro_events.client.connection.greeting import Greeting
from pyro_events.wire.frames import (
    CONNECT,
    CONNECT_OK,
    INVOKE,
    MSGPACK,
    RESULT,
    Frame,
    FrameError,
    FrameLimits,
    FrameReader,
    write_frame,
)

URI = Pyro5.core.URI("PYRO:es@127.0.0.1:1")
CALL = (msgpack.packb("f") + msgpack.packb([1]) + msgpack.packb({}),)
WELCOME = {"handshake": "hello", "meta": {"methods": ["publish_encoded"]}, "max_message": 1 << 20}


class Peer:
    """The other end, which is the test's, and the connection."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        self.sock = far
        self.reader = FrameReader(FrameLimits(types=frozenset({CONNECT, INVOKE}), size=1 << 24))
        self.connection = Connection(self.loop, near, URI)
        self.reads = 0

    async def attach(self) -> None:
        self.connection.served = True
        await self.loop.create_connection(lambda: self.connection, sock=self.connection.sock)

    async def greet(self) -> None:
        await self.send(write_frame(CONNECT_OK, 0, MSGPACK, 0, msgpack.packb(WELCOME)))
        greeting = Greeting(None, URI, "a test")
        welcome = greeting.accepted(
            await self.connection.greet(greeting.hello, self.loop.time() + 10), tried=False
        )
        assert welcome is not None
        self.connection.begin(welcome)
        assert (await self.frame()).type == CONNECT

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def answer(self, seq: int, value: object) -> None:
        await self.send(write_frame(RESULT, 0, MSGPACK, seq, msgpack.packb(value)))

    async def frame(self) -> Frame:
        while (frame := self.reader.next_frame()) is None:
            data = await self.loop.sock_recv(self.sock, 1 << 20)
            assert data, "the connection was closed"
            self.reads += 1
            self.reader.feed(data)
        return frame

    async def call(self) -> tuple[int, Any]:
        frame = await self.frame()
        return frame.seq, msgpack.unpackb(frame.payload)

    def post(self, call: Any = CALL) -> AwaitedCall:
        pending = AwaitedCall(self.loop)
        self.connection.send(call, pending)
        return pending


@contextlib.asynccontextmanager
async def connected(greeted: bool = True) -> AsyncIterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    with far:
        peer = Peer(near, far)
        await peer.attach()
        try:
            if greeted:
                await peer.greet()
            yield peer
        finally:
            peer.connection.end("the test is over")
            await peer.connection.released()


async def result(call: AwaitedCall) -> Any:
    outcome = await call.outcome
    return outcome if isinstance(outcome, Loss) else value_of(outcome)


@each_loop
def test_replies_belong_to_their_calls_and_a_cancelled_one_keeps_its_place(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            assert peer.connection.announced == 1 << 20
            calls = [peer.post() for _ in range(4)]
            calls[1].outcome.cancel()
            for number in range(1, 5):
                assert await peer.call() == (number, ["es", "f", [1], {}])
                await peer.answer(number, f"number {number}")
            assert [await result(call) for call in (calls[0], *calls[2:])] == [
                "number 1",
                "number 3",
                "number 4",
            ]

    run(main(), loop)


@each_loop
@pytest.mark.parametrize("piece", [1, 7, 41, 60, 1000])
def test_replies_are_read_however_the_network_cuts_them(loop: str, piece: int) -> None:
    values = [0, 127, 128, "text", 5, -1, True, 6, 7]

    async def main() -> None:
        async with connected() as peer:
            calls = [peer.post() for _ in values]
            calls[4].outcome.cancel()
            replies = b"".join(
                write_frame(RESULT, 0, MSGPACK, seq, msgpack.packb(value))
                for seq, value in enumerate(values, 1)
            )
            for start in range(0, len(replies), piece):
                await peer.send(replies[start : start + piece])
                await asyncio.sleep(0)
            assert [await result(call) for call in calls if call is not calls[4]] == values[:4] + values[5:]
            peer.post()
            last = peer.post()
            await peer.answer(len(values) + 1, 1)
            await peer.answer(len(values) + 2, 2)
            assert await result(last) == 2

    run(main(), loop)


@each_loop
def test_calls_of_one_turn_go_together_and_a_single_one_at_once(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    write = Connection.write

    def counted(self: Connection, data: bytes) -> None:
        writes.append(len(data))
        write(self, data)

    async def main() -> None:
        async with connected() as peer:
            monkeypatch.setattr(Connection, "write", counted)
            peer.post()
            assert len(writes) == 1
            await peer.call()
            for _ in range(100):
                peer.post()
            for _ in range(100):
                await peer.call()
            assert len(writes) == 2  # one is on its way, so these have gone together

    run(main(), loop)


@each_loop
def test_large_calls_go_in_order_with_small_ones_and_do_not_change_any_more(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            body = bytearray(b"a" * 3_000_000)
            head = msgpack.packb("f") + b"\x91\xc6" + len(body).to_bytes(4, "big")
            peer.post(), peer.post()
            peer.post((head, memoryview(body), b"\x80"))
            peer.post()
            body[:] = b"b" * len(body)
            found = [(await peer.call())[1][2] for _ in range(4)]
            assert found == [[1], [1], [b"a" * 3_000_000], [1]]

    run(main(), loop)


@each_loop
def test_what_the_service_does_not_read_holds_the_sender_up(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            connection = peer.connection
            assert await connection.writable(None)
            while not connection.paused:
                peer.post((CALL[0], bytes(1 << 20)))
            assert not await connection.writable(peer.loop.time() + 0.01)
            waiting = asyncio.ensure_future(connection.writable(None))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            waiting = asyncio.ensure_future(connection.writable(peer.loop.time() + 60))
            while not waiting.done():
                await peer.loop.sock_recv(peer.sock, 1 << 20)
            assert waiting.result() and not connection.paused

    run(main(), loop)


@each_loop
def test_an_end_wakes_who_waits_to_send(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            while not peer.connection.paused:
                peer.post((CALL[0], bytes(1 << 20)))
            waiting = asyncio.ensure_future(peer.connection.writable(None))
            await asyncio.sleep(0)
            peer.connection.end("enough")
            assert await waiting
            assert await peer.connection.writable(None)

    run(main(), loop)


@each_loop
def test_the_end_says_of_each_call_whether_it_was_sent(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            sent = peer.post()
            kept = [peer.post(), peer.post()]  # they wait for the end of this turn
            peer.connection.end("the first reason")
            peer.connection.end("the second")
            assert await result(sent) == Loss("the first reason", sent=True)
            assert [await result(call) for call in kept] == [Loss("the first reason", sent=False)] * 2
            assert await result(peer.post()) == Loss("the first reason", sent=False)
            await peer.connection.released()
            assert await peer.call() == (1, ["es", "f", [1], {}])
            assert await peer.loop.sock_recv(peer.sock, 100) == b""

    run(main(), loop)


@each_loop
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([(2, "two")], "reply 2 instead of 1"),
        ([(1, "one"), (2, "two")], "a reply that belongs to no call"),
        ([(2, 2)], "reply 2 instead of 1"),
        ([(1, 1), (2, 2)], "a reply that belongs to no call"),
    ],
)
def test_replies_out_of_step_end_it(answers: list[tuple[int, Any]], reason: str, loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            pending = peer.post()
            for seq, value in answers:
                await peer.answer(seq, value)
            await true(lambda: peer.connection.ended)
            assert peer.connection.ended == reason
            if len(answers) == 1:
                assert await result(pending) == Loss("the replies are out of order")

    run(main(), loop)


@each_loop
def test_the_services_end_is_told_to_every_call(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            calls = [peer.post() for _ in range(3)]
            await peer.call()
            peer.sock.shutdown(socket.SHUT_WR)
            assert {await result(call) for call in calls} == {Loss("it closed the connection")}
            assert not peer.connection.is_usable(0.0)

    run(main(), loop)


@each_loop
def test_an_end_that_the_loop_has_not_seen_yet_is_found(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            assert peer.connection.is_usable(0.0)
            pending = peer.post()
            peer.sock.close()
            assert peer.connection.is_usable(0.0), "a reply is awaited, so something may come"
            await pending.outcome
        async with connected() as peer:
            peer.sock.close()
            assert peer.connection.is_usable(60.0), "it was used just now"
            assert not peer.connection.is_usable(0.0)
            assert peer.connection.ended == "the service closed the connection"

    run(main(), loop)


@each_loop
def test_a_greeting_that_never_comes_or_is_nonsense(loop: str) -> None:
    async def main() -> None:
        async with connected(greeted=False) as peer:
            with pytest.raises(TimeoutError):
                await peer.connection.greet(b"hello", peer.loop.time())
        async with connected(greeted=False) as peer:
            await peer.send(b"SSH-2.0-OpenSSH")
            with pytest.raises(FrameError, match="not a Pyro message"):
                await peer.connection.greet(b"hello", peer.loop.time() + 10)
        async with connected(greeted=False) as peer:
            peer.sock.close()
            with pytest.raises(OSError):
                await peer.connection.greet(b"hello", peer.loop.time() + 10)

    run(main(), loop)


@each_loop
def test_an_exception_in_the_middle_of_receiving_ends_it(loop: str) -> None:
    class Strange:
        seq = 0
        reason = ""

        def answered(self, frame: Frame) -> None:
            raise LookupError("of a signal's handler")

        def lost(self, loss: Loss) -> None:
            self.reason = loss.reason

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        async with connected() as peer:
            peer.connection.send(CALL, Strange())
            second = peer.post()
            await peer.call(), await peer.call()
            await peer.answer(1, "one")
            await peer.answer(2, "two")
            assert await result(second) == Loss("receiving was interrupted")

    run(main(), loop)


def test_it_is_dropped_when_its_loop_is_closed_already() -> None:
    peers: list[Peer] = []

    async def main() -> None:
        near, far = socket.socketpair()
        far.setblocking(False)
        peers.append(Peer(near, far))  # never attached, so that only the socket is open

    run(main())
    (peer,) = peers
    with peer.sock:
        peer.connection.drop()
        peer.sock.setblocking(True)
        assert peer.sock.recv(10) == b"" and peer.connection.sock.fileno() == -1


@each_loop
def test_it_is_dropped_in_another_thread(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            await asyncio.get_running_loop().run_in_executor(None, peer.connection.drop)
            await peer.connection.released()
            assert peer.connection.sock.fileno() == -1
        await asyncio.get_running_loop().shutdown_default_executor()

    run(main(), loop)


@each_loop
def test_a_forked_child_lets_go_of_it_without_a_word(loop: str) -> None:
    async def main() -> None:
        async with connected() as peer:
            with peer.connection.sock.dup() as parents:
                peer.connection.disown()  # as in a child, where the loop does not run
                parents.sendall(b"PYRO")
                assert await peer.loop.sock_recv(peer.sock, 100) == b"PYRO"

    if loop == "asyncio":
        run(main(), loop)

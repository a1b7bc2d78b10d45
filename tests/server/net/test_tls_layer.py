"""TLS on the event loop, two sides joined in memory: what one writes reaches the other's protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
from certificates import needs_openssl
from tls_pair import Pair, Received

from pyro_events.server.net.tls_memory import COST

pytestmark = needs_openssl


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", [1, 1 << 20], ids=["byte by byte", "at once"])
def test_what_is_written_arrives_however_the_network_cuts_it(piece: int) -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry(piece)
        assert pair.far.secured.result() == ""
        data = bytes(range(256)) * 20
        pair.near.write(data)
        pair.far.writelines([data, data])
        pair.carry(piece if piece > 1 else 700)
        assert (pair.outgoing.data, pair.accepted.data) == (data, 2 * data)
        assert pair.near.get_extra_info("ssl_object").getpeercert()

    run(work)


def test_memory_is_held_from_the_first_moment_to_the_last() -> None:
    async def work() -> None:
        pair = Pair()
        assert pair.held == 2 * COST
        pair.carry()
        for layer in pair.pipes:
            layer.connection_lost(None)
        assert pair.held == 0
        assert (pair.accepted.lost, pair.outgoing.lost) == ([None], [None])

    run(work)


def test_who_does_not_read_gets_the_rest_when_it_reads_again() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.far.write(b"first")
        pair.carry()
        pair.near.pause_reading()
        pair.far.write(b"second")
        pair.carry()
        assert pair.accepted.data == b"first"
        pair.near.resume_reading()
        pair.carry()
        await asyncio.sleep(0)
        assert pair.accepted.data == b"firstsecond"

    run(work)


def test_another_protocol_gets_what_comes_from_then_on() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.far.write(b"first")
        pair.carry()
        other = Received()
        pair.near.pause_reading()
        pair.near.set_protocol(other)
        pair.far.write(b"second")
        pair.carry()
        pair.near.resume_reading()
        pair.carry()
        await asyncio.sleep(0)
        assert (pair.accepted.data, other.data) == (b"first", b"second")

    run(work)


def test_the_end_is_said_and_not_waited_for() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.near.write(b"last")
        pair.carry()
        pair.near.close()
        pair.near.close()
        assert pair.near.is_closing() and pair.pipes[pair.near].ended == "close"
        pair.near.write(b"too late")
        pair.carry()
        assert pair.outgoing.data == b"last"
        pair.far.connection_lost(None)
        assert pair.outgoing.lost == [None]

    run(work)


def test_a_connection_that_is_not_secured_yet_is_cut() -> None:
    async def work() -> None:
        pair = Pair()
        pair.near.close()
        assert pair.pipes[pair.near].ended == "abort"
        pair.near.connection_lost(None)
        assert pair.failures == []  # our own doing

    run(work)


def test_bytes_that_are_not_a_record_end_a_secured_connection_with_the_error() -> None:
    async def work() -> None:
        pair = Pair()
        pair.carry()
        pair.pipes[pair.far].sent += b"garbage" * 10
        pair.carry()
        assert pair.pipes[pair.near].ended == "abort"
        pair.near.connection_lost(None)
        (error,) = pair.accepted.lost
        assert isinstance(error, ssl.SSLError)

    run(work)

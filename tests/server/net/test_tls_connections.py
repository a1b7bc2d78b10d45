"""When the service hears of a TLS connection, as a server and as a client, and why a handshake failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from certificates import needs_openssl
from tls_pair import Pair

pytestmark = needs_openssl


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


def test_a_client_is_heard_of_before_its_handshake_and_a_server_after_it() -> None:
    async def work() -> None:
        pair = Pair()
        assert pair.accepted.transport is pair.near and pair.outgoing.transport is None
        pair.near.write(b"goes nowhere")
        pair.carry()
        assert pair.outgoing.transport is pair.far and pair.outgoing.data == b""

    run(work)


def test_why_a_handshake_failed_is_known_on_both_sides() -> None:
    async def work() -> None:
        pair = Pair(client_settings="other")
        pair.carry()
        assert "not accepted" in pair.far.secured.result()
        for layer in pair.pipes:
            layer.connection_lost(None)
        ((peer, reason),) = pair.failures
        assert peer == "192.0.2.1" and reason

    run(work)


def test_a_client_without_tls_is_told_from_one_that_only_connects() -> None:
    async def work() -> None:
        for first, failures in ((b"GET / HTTP/1.1\r\n\r\n", 1), (b"", 0)):
            pair = Pair()
            if first:
                space = pair.near.get_buffer(-1)
                space[: len(first)] = first
                pair.near.buffer_updated(len(first))
            pair.near.connection_lost(None)
            assert [reason for _, reason in pair.failures if "does not speak TLS" in reason] == [
                reason for _, reason in pair.failures
            ]
            assert len(pair.failures) == failures

    run(work)

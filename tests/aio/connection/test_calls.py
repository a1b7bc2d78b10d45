"""A call that is awaited: its outcome comes once, and never as an exception."""

from __future__ import annotations

import asyncio

from event_loops import run

from pyro_events.aio.connection.calls import TOO_LATE, AwaitedCall, Loss, value_of
from pyro_events.wire.frames import MSGPACK, RESULT, Frame

REPLY = Frame(RESULT, 0, MSGPACK, 1, b"", b"\x01")


def test_the_first_outcome_stays() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        answered, lost, given_up = (AwaitedCall(loop) for _ in range(3))
        answered.answered(REPLY)
        answered.lost(Loss("too late"))
        assert await answered.outcome is REPLY and value_of(REPLY) == 1
        lost.lost(Loss("it closed the connection", sent=False))
        lost.answered(REPLY)
        outcome = await lost.outcome
        assert isinstance(outcome, Loss) and not outcome.sent
        given_up.outcome.cancel()
        given_up.answered(REPLY)  # nobody minds
        given_up.lost(TOO_LATE)
        assert given_up.outcome.cancelled()

    run(main())

"""The frames of a pipeline on a loop: each event is counted once, whatever becomes of its frame."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest
from event_loops import run
from hypothesis import given
from hypothesis import strategies as st

from pyro_events.aio.connection.calls import Loss
from pyro_events.aio.frame_window import FrameWindow, PipelineFrame
from pyro_events.client.publishing.frames import WINDOW
from pyro_events.errors import OutcomeUnknownError
from pyro_events.wire.frames import EXCEPTION, MSGPACK, RESULT, Frame


def reply(value: Any, flags: int = 0) -> Frame:
    return Frame(RESULT, flags, MSGPACK, 0, b"", msgpack.packb(value))


REFUSAL = reply({"__class__": "builtins.ValueError", "args": ["a bad name"]}, EXCEPTION)


class FakeConnection:
    """Keeps the frames."""

    address = "PYRO:es@lab:1"

    def __init__(self) -> None:
        self.frames: list[PipelineFrame] = []

    def send_at_once(self, call: Any, frame: PipelineFrame) -> None:
        self.frames.append(frame)


class Statistics:
    def __init__(self) -> None:
        self.counted = [0, 0, 0]

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        self.counted = [a + b for a, b in zip(self.counted, (published, queued, unknown), strict=True)]


def window() -> tuple[FrameWindow, Any, Statistics, list[int]]:
    statistics, ended = Statistics(), list[int]()
    made = FrameWindow(statistics, lambda: ended.append(1))
    return made, FakeConnection(), statistics, ended


def test_acknowledgements_refusals_and_losses_are_told_apart() -> None:
    frames, connection, statistics, ended = window()
    for events in (1, 10, 100, 1000):
        frames.transmit(connection, (b"call",), events)
    assert frames.is_full and frames.pending == 1111 and frames.sent == 4
    first, second, third, fourth = connection.frames
    first.answered(reply(7))
    second.answered(REFUSAL)
    assert not frames.is_full and not frames.is_empty and frames.pending == 1100
    third.lost(Loss("it closed the connection"))
    fourth.lost(Loss("it closed the connection", sent=False))
    account = frames.account
    assert (account.published, account.not_published, account.unknown, account.queued) == (1, 1010, 100, 7)
    assert isinstance(account.cause, ValueError) and frames.is_empty and len(ended) == 4
    assert statistics.counted == [1, 7, 100]


def test_a_broken_connection_is_said_to_be_one() -> None:
    frames, connection, _, _ = window()
    frames.transmit(connection, (b"call",), 1)
    connection.frames[0].lost(Loss("it closed the connection"))
    with pytest.raises(OutcomeUnknownError, match="es@lab:1 broke .*it closed the connection"):
        raise frames.account.cause or AssertionError


def test_who_waits_for_space_and_who_for_the_end() -> None:
    async def main() -> None:
        frames, connection, _, _ = window()
        loop = asyncio.get_running_loop()
        assert await frames.space(None) and await frames.acknowledged(0, None)
        for _ in range(WINDOW):
            frames.transmit(connection, (b"call",), 1)
        assert not await frames.space(loop.time() + 0.01)
        assert not await frames.acknowledged(1, loop.time() + 0.01)
        space = asyncio.ensure_future(frames.space(None))
        end = asyncio.ensure_future(frames.acknowledged(frames.sent, loop.time() + 60))
        given_up = asyncio.ensure_future(frames.acknowledged(frames.sent, None))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        connection.frames[0].answered(reply(0))
        assert await space and not end.done()
        frames.transmit(connection, (b"call",), 1)  # which `end` does not wait for
        for frame in connection.frames[1:WINDOW]:
            frame.answered(reply(0))
        assert await end and not frames.is_empty

    run(main())


HISTORY = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["answer", "refuse", "lose", "keep"])))


@given(HISTORY)
def test_every_event_is_in_one_place(history: list[tuple[int, str]]) -> None:
    frames, connection, statistics, _ = window()
    total = 0
    for events, _ in history:
        frames.transmit(connection, (b"call",), events)
        total += events
    for (_, end), frame in zip(history, connection.frames, strict=True):
        if end == "answer":
            frame.answered(reply(2))
        elif end == "refuse":
            frame.answered(REFUSAL)
        else:
            frame.lost(Loss("gone", sent=end == "lose"))
        failure = frames.account.failure(frames.pending)
        counts = failure.published, failure.not_published, failure.unknown, failure.pending
        assert sum(counts) == total
    assert frames.pending == 0 and statistics.counted[0] == frames.account.published

"""The outcome of a call: its value, the service's error, or what is certain without a reply."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from pyro_events.client.connection.connection import PendingReply
from pyro_events.client.connection.outcome import (
    answered_too_late,
    broken,
    not_sent_in_time,
    outcome,
    too_large,
)
from pyro_events.errors import AnswerTimeoutError, MessageTooLargeError, OutcomeUnknownError
from pyro_events.wire.frames import EXCEPTION, MSGPACK, RESULT, FrameLimits, FrameReader, write_frame

LIMITS = FrameLimits(types=frozenset({RESULT}), size=1 << 16)


def pending() -> PendingReply:
    connection: Any = SimpleNamespace(address="PYRO:es@example:1")
    return PendingReply(connection, 7)


def answered(value: Any, flags: int = 0) -> PendingReply:
    reply = pending()
    reader = FrameReader(LIMITS)
    reader.feed(write_frame(RESULT, flags, MSGPACK, 7, msgpack.packb(value)))
    reply.answer = reader.next_frame()
    return reply


def test_a_result() -> None:
    assert outcome(answered([1, "a"])) == [1, "a"]
    assert outcome(answered(5), in_time=False) == 5  # it has come, so it is not thrown away


def test_the_services_error() -> None:
    error = {"__class__": "builtins.ValueError", "args": ["a bad name"], "attributes": {}}
    with pytest.raises(ValueError, match="a bad name"):
        outcome(answered(error, EXCEPTION))


def test_a_connection_that_broke() -> None:
    reply = pending()
    reply.lost = "it closed the connection"
    with pytest.raises(
        OutcomeUnknownError, match="example:1 broke .*it closed the connection.*unknown"
    ) as broke:
        outcome(reply)
    assert not isinstance(broke.value, TimeoutError)
    with pytest.raises(AnswerTimeoutError, match="within the time given .it closed the connection."):
        outcome(reply, in_time=False)


def test_what_is_certain_is_said() -> None:
    assert "unknown" in str(answered_too_late("PYRO:es@example:1"))
    assert "it was not made" in str(not_sent_in_time("PYRO:es@example:1"))
    assert isinstance(answered_too_late("PYRO:es@example:1"), TimeoutError)
    error = too_large(2_000_000, 1_000_000, "PYRO:es@example:1")
    assert isinstance(error, MessageTooLargeError) and "2,000,000" in str(error) and "1,000,000" in str(error)


def test_a_broken_connection_says_which_and_why() -> None:
    error = broken("PYRO:es@example:1", "it closed the connection")
    assert isinstance(error, OutcomeUnknownError) and not isinstance(error, TimeoutError)
    assert "PYRO:es@example:1 broke" in str(error) and "(it closed the connection)" in str(error)

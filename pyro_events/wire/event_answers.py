"""Answers to a batch of events: what a subscriber says happened to each.

Knows: how the answers to a call of `events`, and to a Pyro batch of calls of `event`, look on the wire, and
why such a call may fail. Must not know: connections, backlogs, what is done about a failure.

An answer is read to plain data: whatever a subscriber sends, the result is only numbers and text. Why a call
failed is decided here, once, because a stock daemon says it only in words; other modules see a `CallFailure`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import Pyro5.errors

from ..constants import MAX_HANDSHAKE_REPLY
from .errors import CallFailedError as CallFailedError  # for those who read answers
from .errors import CallFailure as CallFailure
from .event_batch import EVENT_CLASS
from .frames import EXCEPTION, MSGPACK, PING, RESULT, Frame, FrameLimits, write_frame
from .msgpack_pool import pack
from .plain_data import as_text, read_answer

# What a subscriber may send after the handshake. A stock daemon with Pyro5's COMPRESSION on compresses its
# answers.
ANSWER_LIMITS: Final = FrameLimits(types=frozenset({RESULT, PING}), size=MAX_HANDSHAKE_REPLY)

_NONE_RAISED: Final = b"\x90"
_WRAPPED: Final = "Pyro5.core._ExceptionWrapper"
# What Pyro5's daemon says, by the class of the error, if a method has returned a coroutine or a generator.
_UNRUN: Final = {
    "Pyro5.errors.SerializeError": re.compile(r".*<class '(coroutine|generator|async_generator)'>"),
    "Pyro5.errors.ProtocolError": re.compile(r".*: result of call is an iterator"),
}


def write_events_answer(seq: int, failed: Sequence[int]) -> bytes:
    """The frame that answers a call of `events`. failed: the positions of the events that raised."""
    return write_frame(RESULT, 0, MSGPACK, seq, pack(failed) if failed else _NONE_RAISED)


def read_events_answer(frame: Frame, count: int) -> list[int]:
    """The positions, among `count` events, of those whose handler raised.

    Raises CallFailedError if the call itself failed, and ProtocolError for an answer that cannot be read.
    """
    if frame.payload == _NONE_RAISED and not frame.flags & EXCEPTION and frame.serializer_id == MSGPACK:
        return []  # nearly always
    data = _result(frame)
    if data is None:
        return []
    if not isinstance(data, list) or not all(
        type(position) is int and 0 <= position < count for position in data
    ):
        raise Pyro5.errors.ProtocolError("it answered a batch of events with something else than positions")
    return sorted(set(data))


def read_event_batch_answer(frame: Frame, count: int) -> tuple[int, str | None]:
    """How many of `count` calls were made, and why the last of them failed, or None.

    A Pyro batch stops at the first exception. Raises as `read_events_answer`.
    """
    data = _result(frame)
    if not isinstance(data, list) or not 0 < len(data) <= count:
        raise Pyro5.errors.ProtocolError("it answered a batch of calls with something else than results")
    last = data[-1]
    if isinstance(last, dict) and last.get("__class__") == _WRAPPED:
        return len(data), _reason(last.get("exception"))
    if len(data) < count:
        raise Pyro5.errors.ProtocolError(f"it answered {len(data)} of {count} calls of a batch")
    return count, None


def _result(frame: Frame) -> Any:
    data = read_answer(frame)
    if frame.flags & EXCEPTION:
        reason = _reason(data)
        raise CallFailedError(reason, _failure(data, reason))
    return data


def _failure(description: Any, reason: str) -> CallFailure:
    """What the exception that a call was answered with means; reason: its text."""
    if EVENT_CLASS in reason:
        return CallFailure.NO_EVENT_CLASS
    name = description.get("__class__") if isinstance(description, dict) else None
    if not isinstance(name, str):
        return CallFailure.OTHER
    unrun = _UNRUN.get(name)
    if unrun is not None and unrun.match(reason):
        return CallFailure.RUNS_NOTHING
    return _FAILURES.get(name, CallFailure.OTHER)


_FAILURES: Final = {
    "Pyro5.errors.DaemonError": CallFailure.NO_OBJECT,
    "Pyro5.errors.SerializeError": CallFailure.RESULT_NOT_CARRIED,
}


def _reason(description: Any) -> str:
    """The text of a described exception, bounded."""
    if not isinstance(description, dict):
        return "an error that cannot be read"
    name = as_text(description.get("__class__", "an error"))
    arguments = description.get("args")
    text = " ".join(map(as_text, arguments)) if isinstance(arguments, list) else ""
    shown = f"{name}: {text}"[:300]
    return shown if shown.isprintable() else ascii(shown)[1:301]  # it will be in a log

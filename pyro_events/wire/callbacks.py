"""Callbacks: the calls that the service makes to a subscriber, and what comes back.

Knows: how `events` and a batch of `event` look on the wire. Must not know: backlogs, sockets, when
to send.

Written with msgpack whatever the subscriber prefers, because it keeps bytes as bytes. An answer is
read to plain data: whatever a subscriber says, nothing but numbers and text comes of it.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from typing import Any, Final

import msgpack
import Pyro5.errors

from ..constants import MAX_HANDSHAKE_REPLY
from .frames import (
    BATCH,
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    EXCEPTION,
    INVOKE,
    MSGPACK,
    PING,
    RESULT,
    Frame,
    FrameLimits,
    write_frame,
    write_header,
)
from .greeting_notes import NO_NOTES, GreetingNotes
from .message_bound import MAX_MESSAGE_KEY
from .msgpack_pool import pack

# [subject, time, seq, missed, payload]
EventRow = Sequence[Any]

EVENT_CLASS: Final = "pyro_events.event.Event"
# How Pyro5's daemon answers when a method has returned what somebody else should have run.
_UNRUN: Final = re.compile(
    r"Pyro5\.errors\.(SerializeError: .*<class '(coroutine|generator|async_generator)'>"
    r"|ProtocolError: result of call is an iterator)"
)
_NONE_RAISED: Final = b"\x90"

# What a subscriber may answer: before it has shown what it is, and afterwards. A stock daemon with
# Pyro5's COMPRESSION on compresses both.
GREETING_LIMITS: Final = FrameLimits(types=frozenset({CONNECT_OK, CONNECT_FAIL}), size=MAX_HANDSHAKE_REPLY)
ANSWER_LIMITS: Final = FrameLimits(types=frozenset({RESULT, PING}), size=MAX_HANDSHAKE_REPLY)


def write_connect(
    object_id: str, handshake: Any, max_message: int | None = None, notes: GreetingNotes = NO_NOTES
) -> bytes:
    """The frame that greets a subscriber's daemon. max_message: bytes that a message may take."""
    hello = {"handshake": handshake, "object": object_id}
    notes.write(hello)
    if max_message is not None:
        hello[MAX_MESSAGE_KEY] = max_message
    return write_frame(CONNECT, 0, MSGPACK, 0, pack(hello))


def write_ping(seq: int) -> bytes:
    """The frame that asks for a sign of life."""
    return write_frame(PING, 0, MSGPACK, seq, b"ping")


def read_greeting(frame: Frame) -> frozenset[str]:
    """The methods of the object that we connected to. Raises ProtocolError with the daemon's reason."""
    data = _plain(frame)
    if frame.type == CONNECT_FAIL:
        raise Pyro5.errors.ProtocolError(f"its daemon refused the connection: {_text(data)}"[:300])
    metadata = data.get("meta") if isinstance(data, dict) else None
    methods = metadata.get("methods") if isinstance(metadata, dict) else None
    if not isinstance(methods, list):
        raise Pyro5.errors.ProtocolError("its daemon did not say what the object can do")
    return frozenset(method for method in methods if isinstance(method, str))


def read_refusal(frame: Frame) -> str:
    """The reason in a CONNECT_FAIL frame. Raises ProtocolError."""
    return _text(_plain(frame))


def read_proof(frame: Frame) -> Any:
    """What a greeting that `read_greeting` has read answers to our handshake."""
    return _plain(frame).get("handshake")


def write_events(object_id: str, seq: int, rows: Sequence[EventRow]) -> bytes:
    """One call of `events` with a batch."""
    return write_frame(INVOKE, 0, MSGPACK, seq, pack([object_id, "events", [rows], {}]))


def write_large_event(object_id: str, seq: int, row: EventRow) -> list[bytes | memoryview]:
    """One call of `events` with one row, in pieces, so that its payload need not be copied."""
    *others, payload = row
    body = pack([object_id, "events", [[[*others, b""]]], {}])
    # It ends with bytes of length 0 (two bytes) and an empty map.
    head = body[:-3] + b"\xc6" + len(payload).to_bytes(4, "big")
    size = len(head) + len(payload) + 1
    return [write_header(INVOKE, 0, MSGPACK, seq, size) + head, payload, body[-1:]]


def write_event_batch(object_id: str, seq: int, rows: Sequence[EventRow]) -> bytes:
    """A Pyro batch call of `event`, one entry for each row."""
    calls = [
        [
            "event",
            [
                {
                    "__class__": EVENT_CLASS,
                    "subject": subject,
                    "time": time,
                    "seq": number,
                    "missed": missed,
                    "payload": payload,
                }
            ],
            {},
        ]
        for subject, time, number, missed, payload in rows
    ]
    return write_frame(INVOKE, BATCH, MSGPACK, seq, pack([object_id, "<batch>", calls, None]))


def read_events_answer(frame: Frame, count: int) -> list[int]:
    """The positions, of `count` events, whose handler raised.

    Raises ProtocolError when the answer cannot be read or the call itself failed.
    """
    if frame.payload == _NONE_RAISED and not frame.flags & EXCEPTION and frame.serializer_id == MSGPACK:
        return []  # nearly always
    data = _answer(frame)
    if data is None:
        return []
    if not isinstance(data, list) or not all(
        type(position) is int and 0 <= position < count for position in data
    ):
        raise Pyro5.errors.ProtocolError("it answered a batch of events with something else than positions")
    return sorted(set(data))


def read_event_batch_answer(frame: Frame, count: int) -> tuple[int, str | None]:
    """How many of `count` calls were made, and why the last of them failed, or None.

    A Pyro batch stops at the first exception. Raises ProtocolError as `read_events_answer` does.
    """
    data = _answer(frame)
    if not isinstance(data, list) or not 0 < len(data) <= count:
        raise Pyro5.errors.ProtocolError("it answered a batch of calls with something else than results")
    last = data[-1]
    if isinstance(last, dict) and last.get("__class__") == "Pyro5.core._ExceptionWrapper":
        return len(data), _reason(last.get("exception"))
    if len(data) < count:
        raise Pyro5.errors.ProtocolError(f"it answered {len(data)} of {count} calls of a batch")
    return count, None


def is_unrun(reason: str) -> bool:
    """Whether a call failed because the method is a coroutine function or a generator: it did nothing."""
    return _UNRUN.match(reason) is not None


def _answer(frame: Frame) -> Any:
    data = _plain(frame)
    if frame.flags & EXCEPTION:
        raise Pyro5.errors.ProtocolError(_reason(data))
    return data


def _reason(description: Any) -> str:
    """What a described exception says, bounded."""
    if not isinstance(description, dict):
        return "an error that cannot be read"
    name = _text(description.get("__class__", "an error"))
    arguments = description.get("args")
    text = " ".join(map(_text, arguments)) if isinstance(arguments, list) else ""
    shown = f"{name}: {text}"[:300]
    return shown if shown.isprintable() else ascii(shown)[1:301]  # it will stand in a log


def _text(value: object) -> str:
    """What a stranger sent, as text; its nesting may be deeper than `str` can follow."""
    return value if isinstance(value, str) else reprlib.repr(value)


def _plain(frame: Frame) -> Any:
    if frame.serializer_id != MSGPACK:
        raise Pyro5.errors.ProtocolError("it answered with another serializer than it was asked with")
    try:
        return msgpack.unpackb(frame.payload, raw=False, strict_map_key=False, ext_hook=_no_extension)
    except Exception as error:  # the parser raises several kinds, RecursionError too
        raise Pyro5.errors.ProtocolError(f"its answer cannot be read: {error}"[:200]) from None


def _no_extension(code: int, data: bytes) -> None:
    """Results are not looked at, so what they hold is of no interest."""
    return None

"""Seeds of the targets of listeners that make a connection of their own.

Knows: what well-behaved peers say, and which mistakes in it are worth testing. Must not know: the targets'
code; it only knows what their first byte means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgpack

from pyro_events.wire.event_batch import write_events
from pyro_events.wire.frames import INVOKE, MSGPACK, PING, RESULT, write_frame
from pyro_events.wire.handshake.capabilities import OURS, PeerInfo
from pyro_events.wire.handshake.greeting_notes import GreetingNotes
from pyro_events.wire.own_connection import OBJECT_ID, Attached, attach_options, id_of
from pyro_events.wire.requests import write_ping

_KEY: Final = "0123456789abcdef" * 2
_PROXY: Final = "PYRO:obj_1@127.0.0.1:4444"


def attach() -> Iterator[bytes]:
    notes = GreetingNotes("it was slow", "it may not block")
    ours: dict[str, Any] = {}
    OURS.write(ours)
    crowded: dict[str, Any] = {}
    PeerInfo("9" * 99, frozenset(f"capability {number}" for number in range(40))).write(crowded)
    said: list[Any] = [
        Attached(_KEY, id_of(_KEY), 3, notes).plain(),
        *(
            {"key": _KEY},
            {"key": _KEY.upper()},
            {"key": _KEY[:31]},
            {"key": [_KEY]},
            {"key": None},
            {},
            [],
            _KEY,
        ),
        *({"key": _KEY, "id": 7, "subscriptions": 1}, {"key": _KEY, "id": "x", "subscriptions": True}),
        {"key": _KEY, "id": "x" * 3000, "subscriptions": -1, "why": "\0" * 3000},
        attach_options("plotter", _KEY, _PROXY, backlog=5, overflow="latest"),
        attach_options("", "", "PYRONAME:x"),
        *(
            {"backlog": 0},
            {"overflow": 7},
            {"name": "a\nb"},
            {"nonsense": 1},
            {1: 2},
            {"subscriber": {"key": _KEY}},
        ),
        *(ours, crowded, {**ours, "capabilities": {"a": 1}}, {**ours, "pyro_events": ["1"]}),
        {"pyro_events": "1.0\0", "capabilities": ["", "\u202e", 7, None, ["own-connection"]]},
    ]
    yield from map(msgpack.packb, said)
    yield b"\x81" * 200


def inbox() -> Iterator[bytes]:
    def rows(*numbers: int, payload: Any = b"\x01") -> list[Any]:
        return [("STOCKQUOTE.SUN", 1.5, number, 0, payload) for number in numbers]

    one, two = write_events(OBJECT_ID, 1, rows(1)), write_events(OBJECT_ID, 2, rows(2, 3))
    for last in (True, False, 1):
        yield b"\0" + write_events(OBJECT_ID, 1, [(*rows(1)[0], last)])
    for at_once in range(3):
        first = bytes([at_once])
        yield first + one + write_ping(1) + two
        yield first + write_ping(7) * 20
    yield b"\1" + one + two + write_events(OBJECT_ID, 3, rows(4))
    yield b"\1" + write_events(OBJECT_ID, 1, []) + write_events(OBJECT_ID, 0, [])
    yield b"\1" + write_events("obj_1", 1, rows(1))
    for wrong in (
        [5],
        [[]],
        rows(1, payload=None),
        [("A", 1.5, 1, 0)],
        [(7, 1.5, 1, 0, b"")],
        [("A", "b", [], 0, 1)],
    ):
        yield b"\1" + write_events(OBJECT_ID, 1, wrong)
    yield b"\1" + write_events(OBJECT_ID, 1, rows(1, payload=bytes(3000)))
    yield b"\1" + write_frame(RESULT, 0, MSGPACK, 1, b"\x90")
    yield b"\1" + write_frame(INVOKE, 4, MSGPACK, 1, one[40:]) + write_frame(PING, 0, 42, 1, b"ping")
    yield b"\1" + two[:50]

"""Seeds that are calls: that subscribe, publish a large event, or bring one to a subscriber.

Knows: what well-behaved peers call, and which mistakes in it are worth testing. Must not know: the targets'
code; it only knows what their first byte means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import msgpack
import serpent

_URI: Final = "PYRO:obj_1@127.0.0.1:4444"
_PROXY: Final = {
    "__class__": "Pyro5.client.Proxy",
    "state": [_URI, [], ["event", "events"], [], "hello", None],
}


def subscribe() -> Iterator[bytes]:
    uri = {"__class__": "Pyro5.core.URI", "state": ["PYRO", "obj_2", None, "127.0.0.1", 4445]}
    who = [_URI, _PROXY, uri, 7, None, "PYRONAME:x", "PYRO:x@./u:/tmp/s", "PYRO:x@h:99999", "PYRO:\0@h:1", {}]
    what = ["A", ["A", "b"], [], "", "(bad", 7, {"a": 1}, ["A", 7], "a" * 300, [["A"]]]
    options = [
        None,
        {},
        {"backlog": 1},
        {"overflow": "latest"},
        {"overflow": 7},
        {"backlog": -1},
        {"x": 1},
        {"last": True, "last_of_new": 7},
        [],
    ]
    made = [("subscribe", [subjects, _PROXY], {}) for subjects in what]
    made += [("subscribeMatch", ["A", subscriber], {}) for subscriber in who]
    made += [("subscribe", ["A", _URI, wish], {}) for wish in options]
    made += [
        ("unsubscribe", [["A", ".*"], "PYRO:first@127.0.0.1:1"], {}),
        ("subscribe", [], {"subjects": "A", "subscriber": _PROXY}),
    ]
    for method, arguments, named in made:
        body = ["Pyro.EventService", method, arguments, named]
        yield b"\0" + msgpack.packb(body)
        yield b"\1" + serpent.dumps(tuple(body))
        yield (
            b"\2"
            + json.dumps(dict(zip(("object", "method", "params", "kwargs"), body, strict=True))).encode()
        )
    yield b"\x42" + msgpack.packb(["Pyro.EventService", "<batch>", made[:4], None])


def large() -> Iterator[bytes]:
    payloads = [b"", b"p", bytes(255), bytes(256), b"text".decode(), None, [b"p"]]
    rows = [["STOCKQUOTE.SUN", 1.5, 7, 0, payload] for payload in payloads]
    rows += [["straße", 1700000000, -1, None, b"p"], ["A", True, 2**63, {}, b"p"], ["A", 1.5, 7, b"p"], []]
    rows += [["A", 1.5, 7, 0, b"p", last] for last in (True, False, 1, [True])]
    for row in rows:
        yield b"\0" + msgpack.packb([row])
        yield b"\0" + msgpack.packb([rows[1], row])
    yield b"\0" + msgpack.packb(rows[:5] * 4)
    yield b"\0\xdc\x03\xe9" + msgpack.packb(rows[1]) * 20
    for subjects in ("A", ["A", "b" * 20], [], 7, {"a": 1}, None, float("nan"), [[["A"]]]):
        for payload in payloads[:4]:
            body = ["Pyro.EventService", "publish_encoded", [[[subjects, payload]]], {}]
            yield b"\x7f" + msgpack.packb(body)
            yield b"\x2d" + msgpack.packb(body)
    for options in ({"retain": True}, {"retain": [1]}, {}, None, {"a": "b" * 300}):
        body = ["Pyro.EventService", "publish_encoded", [[["A", b"p", options]]], {}]
        yield b"\x7f" + msgpack.packb(body)
    yield b"\x7f" + msgpack.packb(["Pyro.EventService", "publish", [[["A", b"p"]]], {}])
    yield b"\x7f" + msgpack.packb(["Pyro.EventService", "publish_encoded", [[["A", b"p"]]], {"a": 1}])

"""The targets of listeners that make a connection of their own: what they say, and what they are sent.

Knows: which errors may be raised when the other side's bytes are read. Must not know: atheris, files, where
the bytes came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgpack
import Pyro5.errors

from pyro_events.client.stream.inbox import EventInbox
from pyro_events.constants import KIB
from pyro_events.server.subscribers.own.own_connections import read_attach_options
from pyro_events.wire.frames import FrameReader
from pyro_events.wire.handshake.capabilities import (
    MAX_CAPABILITIES,
    MAX_TEXT,
    NOTHING_SAID,
    PeerInfo,
    read_peer_info,
)
from pyro_events.wire.own_connection import (
    delivery_limits,
    id_of,
    is_key,
    key_in,
    read_attached,
)

_MESSAGE: Final = 2 * KIB
# What is believed of a text in an answer, with what is put around it.
_LONGEST: Final = 1000


def attach(data: bytes) -> None:
    """What either side says about an own connection is read or refused, and what is read is bounded."""
    try:
        said = msgpack.unpackb(data, strict_map_key=False)
    except Exception:  # the parser raises a dozen kinds
        return
    _peer(said)
    try:
        key = key_in(said)
    except ValueError:
        key = None
    assert key is None or (is_key(key) and key not in id_of(key))
    try:
        options = read_attach_options(said, "127.0.0.1", frozenset())
    except (TypeError, ValueError, Pyro5.errors.PyroError):
        pass
    else:
        assert not options.key or is_key(options.key)
        assert options.callback is None or options.callback.address[0] == "127.0.0.1"
    try:
        answer = read_attached(said)
    except Pyro5.errors.ProtocolError:
        return
    assert read_attached(answer.plain()) == answer and key_in(answer.subscriber) == answer.key
    assert len(answer.notes.why) + len(answer.notes.note) < _LONGEST


def _peer(said: Any) -> None:
    """What the other side says about itself is never an error."""
    info = read_peer_info(said)
    assert len(info.version) <= MAX_TEXT and len(info.capabilities) <= MAX_CAPABILITIES
    assert all(0 < len(each) <= MAX_TEXT and each.isprintable() for each in info.capabilities)
    again: dict[str, Any] = {}
    info.write(again)
    assert read_peer_info(again) == (info if info != PeerInfo() else NOTHING_SAID)


def inbox(data: bytes) -> None:
    """What a service sends gives the same events, answers and end, whole or in pieces of any size.

    The first byte says how many events are taken before the next acknowledgement; 0 takes none.
    """
    at_once, sent = data[0] % 4 if data else 0, data[1:]
    whole = _received([sent], at_once)
    assert whole == _received([sent[at : at + 1] for at in range(len(sent))], at_once)
    size = 1 + len(sent) % 61
    assert whole == _received([sent[at : at + size] for at in range(0, len(sent), size)], at_once)


def _received(pieces: Iterable[bytes], at_once: int) -> tuple[list[str], bytes | None]:
    """The events, and the answers. Nothing, and None, if the connection had to end: how many events could be
    taken before that depends on the pieces."""
    box = EventInbox(FrameReader(delivery_limits(_MESSAGE)))
    box.after_a_gap()
    taken: list[Any] = []
    answers = b""
    ended = False
    try:
        for piece in pieces:
            answers += box.feed(piece)
            assert box.waiting >= len(box.rows)
    except Pyro5.errors.ProtocolError:
        ended = True
    while at_once and (box.rows or box.finished):
        for _ in range(min(at_once, len(box.rows))):
            taken.append(box.rows.popleft())
        answers += box.acknowledge()
    if at_once and not ended:
        assert box.waiting == 0
    assert all(type(row) is tuple and type(row[0]) is str for row in taken)
    assert all(len(row) == 5 or (len(row) == 6 and row[5] is True) for row in taken)
    # By their text, because nan is not equal to itself.
    return ([], None) if ended else ([repr(row) for row in taken], answers)

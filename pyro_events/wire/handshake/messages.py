"""The handshake: the first message of the side that connects, and how the other side accepts or refuses it.

Knows: the three messages of Pyro5's handshake, and what this package adds to them. Must not know: how the
passphrase is proved (passphrase.py does), sockets, or which peers may connect.

Clients use it with the service, and the service with a subscriber's daemon. A service adds the largest
message that it accepts and sends, and perhaps where else it listens (unix_offer.py); a client adds its name;
and both say their version and capabilities. Stock peers ignore these. An event service on a stock Pyro5
daemon adds nothing.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import Pyro5.errors

from ...constants import LARGEST_MESSAGE, MAX_HANDSHAKE, MAX_HANDSHAKE_REPLY, NAME_KEY
from ..frames import (
    CONNECT,
    CONNECT_FAIL,
    CONNECT_OK,
    MSGPACK,
    SERIALIZERS,
    Frame,
    FrameLimits,
    write_frame,
)
from ..plain_data import as_text, read_answer, read_plain, writable, write_plain
from .capabilities import NOTHING_SAID, PeerInfo, read_peer_info
from .greeting_notes import NO_NOTES, GreetingNotes, read_greeting_notes
from .unix_offer import NO_OFFER, TICKET_KEY, UnixOffer, read_ticket, read_unix_offer

MAX_MESSAGE_KEY: Final = "max_message"

# What the connecting side may send before it is accepted.
HELLO_LIMITS: Final = FrameLimits(types=frozenset({CONNECT}), size=MAX_HANDSHAKE, compressed=False)


def answer_limits(serializers: frozenset[int] = SERIALIZERS) -> FrameLimits:
    """The limits for the answer to a handshake. A stock daemon with Pyro5's COMPRESSION on compresses it."""
    return FrameLimits(frozenset({CONNECT_OK, CONNECT_FAIL}), MAX_HANDSHAKE_REPLY, serializers=serializers)


class Hello(NamedTuple):
    """A client's first message: its handshake data, the object that it wants, and perhaps its name, which is
    not checked yet. A service that connects to a subscriber adds the largest message, and notes. peer: the
    version and the capabilities of either. ticket: what a client says at the Unix socket that it was offered,
    "" for none."""

    handshake: Any
    object_id: str
    name: Any = None
    max_message: int | None = None
    notes: GreetingNotes = NO_NOTES
    peer: PeerInfo = NOTHING_SAID
    ticket: str = ""


class Welcome(NamedTuple):
    """The answer that accepts us: the answer to our handshake data, and the object's methods, None if they
    are missing.

    max_message: bytes of the largest message, if the other side has said it. peer: its version and its
    capabilities. offer: where else it listens, or the receipt for a ticket.
    """

    handshake: Any
    methods: frozenset[str] | None
    max_message: int | None
    peer: PeerInfo = NOTHING_SAID
    offer: UnixOffer = NO_OFFER


def announced_max_message(said: Any) -> int | None:
    """The largest message in a handshake, in bytes; None if there is none, or one that no service can
    have."""
    bound = said.get(MAX_MESSAGE_KEY) if isinstance(said, dict) else None
    return bound if type(bound) is int and 0 < bound <= LARGEST_MESSAGE else None


def write_connect(
    object_id: str,
    handshake: Any,
    *,
    name: str | None = None,
    max_message: int | None = None,
    notes: GreetingNotes = NO_NOTES,
    peer: PeerInfo = NOTHING_SAID,
    ticket: str = "",
    serializer_id: int = MSGPACK,
) -> bytes:
    """The first frame of a connection. name: of a client. max_message: bytes that a message may have. notes:
    of a service, to a subscriber. peer: our version and capabilities. ticket: of a client at a Unix
    socket."""
    hello = {"handshake": handshake, "object": object_id}
    if name is not None:
        hello[NAME_KEY] = name
    notes.write(hello)
    peer.write(hello)
    if ticket:
        hello[TICKET_KEY] = ticket
    if max_message is not None:
        hello[MAX_MESSAGE_KEY] = max_message
    return write_frame(CONNECT, 0, serializer_id, 0, write_plain(serializer_id, hello))


def read_connect(frame: Frame) -> Hello:
    """The handshake in a CONNECT frame. Raises Pyro5's SerializeError."""
    data = read_plain(frame.serializer_id, frame.payload)
    if not isinstance(data, dict) or not isinstance(data.get("object"), str):
        raise Pyro5.errors.SerializeError("a handshake must name the object that it is for")
    bound, notes = announced_max_message(data), read_greeting_notes(data)
    name, peer = data.get(NAME_KEY), read_peer_info(data)
    return Hello(data.get("handshake"), data["object"], name, bound, notes, peer, read_ticket(data))


def write_connect_ok(
    serializer_id: int,
    seq: int,
    handshake: Any,
    methods: list[str],
    max_message: int,
    peer: PeerInfo = NOTHING_SAID,
    offer: UnixOffer = NO_OFFER,
) -> bytes:
    """The frame that accepts a client: the answer, the methods that it may call, the largest message, our
    version and capabilities, and where else we listen."""
    metadata = {"methods": methods, "oneway": [], "attrs": []}
    answer = {"handshake": handshake, "meta": metadata, MAX_MESSAGE_KEY: max_message}
    peer.write(answer)
    offer.write(answer)
    return write_frame(CONNECT_OK, 0, serializer_id, seq, write_plain(serializer_id, answer))


def read_connect_ok(frame: Frame) -> Welcome:
    """The contents of a CONNECT_OK frame, if it is written with msgpack. Raises ProtocolError."""
    data = read_answer(frame)
    said = data if isinstance(data, dict) else {}
    metadata = said.get("meta")
    methods = metadata.get("methods") if isinstance(metadata, dict) else None
    names = (
        frozenset(name for name in methods if isinstance(name, str)) if isinstance(methods, list) else None
    )
    bound, peer, offer = announced_max_message(said), read_peer_info(said), read_unix_offer(said)
    return Welcome(said.get("handshake"), names, bound, peer, offer)


def write_connect_fail(serializer_id: int, seq: int, reason: str) -> bytes:
    """The frame that refuses a client."""
    return write_frame(CONNECT_FAIL, 0, serializer_id, seq, write_plain(serializer_id, writable(reason)))


def read_connect_fail(frame: Frame) -> str:
    """The reason in a CONNECT_FAIL frame, if it is written with msgpack. Raises ProtocolError."""
    return as_text(read_answer(frame))

"""A listener's own connection: the call that swaps the roles on it, and the key that stands for it.

Knows: that call, its answer, and how the key is written in other calls. Must not know: sockets,
subscriptions, or how events are sent and acknowledged (event_batch.py and event_answers.py do).

A listener that cannot be called back makes a connection of its own. The call of `attach` is its last one on
it. From the answer on, the service is the one that calls::

    listener                                         service
        | -- CONNECT: proof, version, capabilities ---> |
        | <-- CONNECT_OK: proof, capabilities --------- |
        | -- INVOKE attach(options) ------------------> |
        | <-- RESULT {"key": ..., "id": ...} ---------- |
        |                                               |   the roles are swapped
        | <-- INVOKE events(batch) -------------------- |   at most two at a time
        | -- RESULT: positions that failed -----------> |
        | <-- PING ------------------------------------ |   only the service pings
        | -- PING ------------------------------------> |

Whatever else the listener sends on that connection ends it. Its subscriptions are changed on another
connection, by the calls `subscribe`, `subscribeMatch`, `unsubscribe` and `statistics`, with the key in place
of a proxy. The key is a secret of the listener and the service. Logs and statistics show the id, which is
made of the key in such a way that nobody gets the key out of it. A listener that connects again gives the key
that it has, and so keeps its id.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Final

import Pyro5.errors

from ..constants import BATCH_EVENTS, MAX_STOCK_CALL, NAME_KEY
from .event_batch import BESIDE_MESSAGE
from .frames import INVOKE, MSGPACK, PING, RESULT, FrameLimits
from .handshake.greeting_notes import NO_NOTES, GreetingNotes, read_greeting_notes
from .requests import PackedCall, packed_call

ATTACH: Final = "attach"
# The object whose `events` the service calls on such a connection.
OBJECT_ID: Final = "own-connection"

KEY: Final = "key"
# The option of a publisher that wants to be told on its connection who listens. It subscribes, as a listener
# does, to the names that it watches. Then the subject of each event is one of these, and its message is the
# number of listeners that the subject has.
INTEREST: Final = "interest"
# The option by which a subscriber whose daemon the service cannot reach gives the proxy that it has
# subscribed, so that its subscriptions and its backlog are kept.
INSTEAD_OF: Final = "subscriber"

# The option of a subscribing call by which such a subscriber says that it will do so.
FALLS_BACK: Final = "falls_back"

KEY_BYTES: Final = 16
_KEY: Final = re.compile(f"[0-9a-f]{{{2 * KEY_BYTES}}}")
# What a listener may send after the roles are swapped: at most the position of each event of a batch. A stock
# daemon, which may answer in other ways, makes no such connection.
LISTENER_LIMITS: Final = FrameLimits(
    frozenset({RESULT, PING}), 4 * BATCH_EVENTS, compressed=False, serializers=frozenset({MSGPACK})
)
# An id is the beginning of a digest, and finds the listener. It has as many digits as the key: of a shorter
# one, somebody who reads the ids of ten thousand listeners would soon find a key that has one of them.
_ID_LENGTH: Final = 2 * KEY_BYTES


def is_key(value: object) -> bool:
    """Whether something has the form of a key."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def id_of(key: str, user: str = "") -> str:
    """The public id of a listener of a user, from which nobody learns its key.

    Another user's calls with the same key mean another listener, so a key that was overheard helps no other
    user.
    """
    return hashlib.sha256((f"{user}/{key}" if user else key).encode()).hexdigest()[:_ID_LENGTH]


def key_in(subscriber: object) -> str | None:
    """The key that stands in a call in place of a proxy; None if there is none.

    Raises ValueError for something that is meant to be a key, and is not.
    """
    if not isinstance(subscriber, dict) or set(subscriber) != {KEY}:
        return None
    key = subscriber[KEY]
    if not is_key(key):
        raise ValueError(f"a listener's key has {2 * KEY_BYTES} digits and letters from a to f")
    return str(key)


def packed_attach(options: dict[str, Any]) -> PackedCall:
    """The call of `attach`, for `write_call`. options: of the backlog, the name, and those above."""
    return packed_call(ATTACH, options)


@dataclass(frozen=True)
class Attached:
    """The answer to `attach`.

    key: stands for this listener in other calls. id: what logs and statistics call it. subscriptions: how
    many were kept. notes: why it was disconnected before, and what it may not do.
    """

    key: str = field(repr=False)  # not for logs and tracebacks
    id: str
    subscriptions: int = 0
    notes: GreetingNotes = NO_NOTES

    @property
    def subscriber(self) -> dict[str, str]:
        """What stands in a call in place of a proxy."""
        return {KEY: self.key}

    def plain(self) -> dict[str, Any]:
        """The answer as it is sent."""
        answer: dict[str, Any] = {KEY: self.key, "id": self.id, "subscriptions": self.subscriptions}
        self.notes.write(answer)
        return answer


def read_attached(answer: Any) -> Attached:
    """The answer to `attach`. Raises ProtocolError."""
    said = answer if isinstance(answer, dict) else {}
    key, name, count = said.get(KEY), said.get("id"), said.get("subscriptions")
    if not is_key(key) or not isinstance(name, str) or type(count) is not int:
        raise Pyro5.errors.ProtocolError("the service has not answered `attach` with a key")
    return Attached(str(key), name, count, read_greeting_notes(said))


def delivery_limits(max_message: int) -> FrameLimits:
    """What the service may send after the roles are swapped. max_message: bytes of its largest message."""
    types, largest = frozenset({INVOKE, PING}), BESIDE_MESSAGE + max_message
    return FrameLimits(types, MAX_STOCK_CALL, largest, False, frozenset({MSGPACK}))


def attach_options(name: str, key: str = "", instead_of: Any = None, **options: Any) -> dict[str, Any]:
    """The options of `attach`. key: that of the last connection. instead_of: the proxy that was subscribed.
    options: of the backlog."""
    mine = {NAME_KEY: name, KEY: key, INSTEAD_OF: instead_of}
    return {**options, **{name: value for name, value in mine.items() if value}}

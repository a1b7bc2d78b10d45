"""The largest message that a service takes and sends, as it says in every handshake.

Knows: where a handshake says it, and what is believed. Must not know: messages, sockets.

The service says it in the answer to a client and in its greeting of a subscriber, beside what Pyro5 puts
there, so a stock peer does not notice. An event service on a stock Pyro5 daemon says nothing.
"""

from __future__ import annotations

from typing import Any, Final

from ..constants import LARGEST_MESSAGE

MAX_MESSAGE_KEY: Final = "max_message"


def announced_max_message(said: Any) -> int | None:
    """The bound in bytes that a handshake names; None if it names none, or one that no service can have."""
    bound = said.get(MAX_MESSAGE_KEY) if isinstance(said, dict) else None
    return bound if type(bound) is int and 0 < bound <= LARGEST_MESSAGE else None

"""Capabilities: what the two sides of a connection say about themselves in the handshake.

Knows: where a handshake says it, and how much of it is believed. Must not know: what follows from a
capability, sockets.

Both are additional keys in the messages of the handshake, so stock peers ignore them, and say nothing
themselves. A peer that needs something of the other looks for its capability, and never compares versions:
those are for people.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ...version import __version__

VERSION_KEY: Final = "pyro_events"
CAPABILITIES_KEY: Final = "capabilities"

# It can give, or get, the events of a listener over a connection that the listener has made (C31).
OWN_CONNECTION: Final = "own-connection"
# It can tell publishers, or be told, over such a connection who listens (INTEREST there).
INTEREST: Final = "interest"
# As a client, it can be told of a Unix socket where the service listens too (unix_offer.py).
UNIX_SOCKET: Final = "unix-socket"

# What is believed: so many characters of a version or a capability, and so many capabilities.
MAX_TEXT: Final = 40
MAX_CAPABILITIES: Final = 32


class PeerInfo(NamedTuple):
    """version: of pyro_events, "" for a stock peer. capabilities: their names."""

    version: str = ""
    capabilities: frozenset[str] = frozenset()

    def write(self, said: dict[str, Any]) -> None:
        """Add it, if there is anything, to a message of the handshake."""
        if self.version:
            said[VERSION_KEY] = self.version
        if self.capabilities:
            said[CAPABILITIES_KEY] = sorted(self.capabilities)


NOTHING_SAID: Final = PeerInfo()
OURS: Final = PeerInfo(__version__, frozenset({OWN_CONNECTION, INTEREST, UNIX_SOCKET}))


def read_peer_info(said: Any) -> PeerInfo:
    """What the other side's message says; what is not acceptable is left out."""
    if not isinstance(said, dict):
        return NOTHING_SAID
    version, names = said.get(VERSION_KEY), said.get(CAPABILITIES_KEY)
    known = names[:MAX_CAPABILITIES] if isinstance(names, (list, tuple)) else []
    return PeerInfo(_text(version), frozenset(filter(None, map(_text, known))))


def _text(value: object) -> str:
    """A text that is believed, "" for anything else."""
    acceptable = isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()
    return str(value) if acceptable else ""

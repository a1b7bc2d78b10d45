"""What the service tells a subscriber in the handshake: why it had disconnected it, and what it may not do.

Knows: where a handshake says it, and how much of it is believed. Must not know: why a subscriber is
disconnected, sockets.

It is an additional key in the handshake, so a stock daemon ignores it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

WHY_KEY: Final = "disconnected"
NOTE_KEY: Final = "note"
# The longest text: without a passphrase anybody can connect to a subscriber, and the text is written to a
# log.
MAX_TEXT: Final = 300


class GreetingNotes(NamedTuple):
    """why: why the service disconnected the subscriber before, or what it lost. note: what the subscriber may
    not do for a while. "" for nothing."""

    why: str = ""
    note: str = ""

    def write(self, greeting: dict[str, Any]) -> None:
        """Add the notes, if any, to a handshake."""
        if self.why:
            greeting[WHY_KEY] = shortened(self.why)
        if self.note:
            greeting[NOTE_KEY] = shortened(self.note)


NO_NOTES: Final = GreetingNotes()


def read_greeting_notes(said: dict[str, Any]) -> GreetingNotes:
    """The notes in a handshake, cut and made printable; nothing if they are not text."""
    return GreetingNotes(_text(said.get(WHY_KEY)), _text(said.get(NOTE_KEY)))


def _text(value: Any) -> str:
    if type(value) is not str:
        return ""
    return "".join(char if char.isprintable() else "?" for char in shortened(value))


def shortened(text: str) -> str:
    """A text of at most MAX_TEXT characters."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."

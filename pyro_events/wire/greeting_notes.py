"""What the service tells a subscriber in its greeting: why it had disconnected it, and what it may not do.

Knows: where a greeting says it, and what is believed. Must not know: why anybody is disconnected, sockets.

It stands beside what Pyro5 puts into a greeting, so a stock daemon does not notice.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

WHY_KEY: Final = "disconnected"
NOTE_KEY: Final = "note"
# Characters of a text: without a passphrase anybody can greet a subscriber, and it ends up in a log.
MAX_TEXT: Final = 300


class GreetingNotes(NamedTuple):
    """why: why the service disconnected the subscriber before, or what it lost of it. note: what the
    subscriber may not do for a while. "" for nothing."""

    why: str = ""
    note: str = ""

    def write(self, greeting: dict[str, Any]) -> None:
        """Add to a greeting what there is to say."""
        if self.why:
            greeting[WHY_KEY] = _short(self.why)
        if self.note:
            greeting[NOTE_KEY] = _short(self.note)


NO_NOTES: Final = GreetingNotes()


def read_greeting_notes(said: dict[str, Any]) -> GreetingNotes:
    """What a greeting says, cut and made printable; nothing where it says something else than text."""
    return GreetingNotes(_text(said.get(WHY_KEY)), _text(said.get(NOTE_KEY)))


def _text(value: Any) -> str:
    if type(value) is not str:
        return ""
    return "".join(char if char.isprintable() else "?" for char in _short(value))


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."

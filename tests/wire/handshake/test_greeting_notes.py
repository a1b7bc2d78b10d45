"""What the service tells a subscriber when it greets it."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.wire.handshake.greeting_notes import MAX_TEXT, GreetingNotes, read_greeting_notes


@pytest.mark.parametrize("notes", [GreetingNotes(), GreetingNotes("it was slow"), GreetingNotes("a", "b")])
def test_what_is_written_is_read(notes: GreetingNotes) -> None:
    greeting: dict[str, Any] = {"object": "x"}
    notes.write(greeting)
    assert read_greeting_notes(greeting) == notes
    assert len(greeting) == 1 + bool(notes.why) + bool(notes.note)


def test_a_long_text_is_cut() -> None:
    greeting: dict[str, Any] = {}
    GreetingNotes("w" * 1000, "n" * MAX_TEXT).write(greeting)
    why, note = read_greeting_notes(greeting)
    assert len(why) == len(note) == MAX_TEXT and why.endswith("...") and note == "n" * MAX_TEXT


@pytest.mark.parametrize(
    ("said", "read"), [(5, ""), (b"bytes", ""), (None, ""), ("a\nb\x1b[31m", "a?b?[31m"), ("x" * 400, None)]
)
def test_what_strangers_say_is_cut_and_made_printable(said: Any, read: str | None) -> None:
    text = read_greeting_notes({"disconnected": said, "note": said}).why
    assert text == read if read is not None else len(text) == MAX_TEXT

"""Why subscribers were disconnected."""

from __future__ import annotations

from pyro_events.server.subscribers.departures import Departure, Departures, remembered_as
from pyro_events.wire.handshake.greeting_notes import MAX_TEXT

WHY = Departure("it was slow", "192.0.2.1", "192.0.2.2")


def test_it_is_remembered_until_the_subscriber_knows() -> None:
    departures = Departures()
    assert departures.of("a") == Departure()
    departures.note("a", WHY)
    assert departures.of("a") == WHY
    departures.forget("a")
    departures.forget("a")
    assert departures.of("a") == Departure()


def test_the_last_one_counts() -> None:
    departures = Departures()
    departures.note("a", WHY)
    departures.note("a", Departure("it left"))
    assert departures.of("a").why == "it left"
    departures.note("a", Departure())
    assert departures.of("a").why == ""


def test_a_long_text_is_cut() -> None:
    """It may quote what the subscriber sent."""
    departures = Departures()
    departures.note("a", Departure("w" * 100_000))
    assert len(departures.of("a").why) == MAX_TEXT


def test_the_oldest_are_forgotten() -> None:
    departures = Departures(most=2)
    for name in ("a", "b", "a", "c"):
        departures.note(name, WHY)
    assert [name for name in "abc" if departures.of(name).why] == ["a", "c"]


def test_what_two_users_have_subscribed_is_remembered_apart() -> None:
    names = {remembered_as("PYRO:s@h:1", user) for user in ("", "alice", "bob")}
    assert len(names) == 3 and remembered_as("PYRO:s@h:1", "") == "PYRO:s@h:1"

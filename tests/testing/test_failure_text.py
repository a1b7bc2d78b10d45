"""How events are shown that came in place of those that a test waits for."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events import Event, StreamStatistics, register_class
from pyro_events.codec.message import encode
from pyro_events.testing.failure_text import failure_text


def stream(connected: bool = True) -> StreamStatistics:
    return StreamStatistics(0, 0, ("A", "^N"), "id", 0, connected, "PYRO:x@lab:1", "a test")


def lines(*events: Event, n: int = 9) -> list[str]:
    return failure_text(n, 0.5, events, stream()).splitlines()


def test_what_was_expected() -> None:
    assert lines(n=1) == ["1 event expected within 0.5 s, none came; subscribed to: A, ^N"]
    assert lines(Event("A", 1))[0] == "9 events expected within 0.5 s, 1 came; subscribed to: A, ^N"
    lost = failure_text(9, 5, [], stream(connected=False))
    assert lost.endswith(
        "within 5 s, none came; subscribed to: A, ^N; the connection to PYRO:x@lab:1 is lost"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (1, "1"),
        ("1", "'1'"),
        ("first\nsecond", r"'first\nsecond'"),
        (("SUN", 22.44), "('SUN', 22.44)"),
        (None, "None"),
        (b"\0", r"b'\x00'"),
    ],
)
def test_a_message_in_a_line(message: Any, shown: str) -> None:
    assert lines(Event("A", message))[1:] == [f"  A: {shown}"]


@pytest.mark.parametrize("message", ["x" * 5000, b"x" * 5000, ["x" * 500] * 500, list(range(1000))])
def test_a_long_message_is_cut(message: Any) -> None:
    (line,) = lines(Event("A", message))[1:]
    assert len(line) < 250 and "..." in line


def test_what_was_missed() -> None:
    events = [Event("A", 1, missed=3), Event("A", 2, missed=None)]
    assert lines(*events)[1:] == ["  A: 1 (missed before it: 3)", "  A: 2 (missed before it: nobody knows)"]


def test_the_first_of_many() -> None:
    found = lines(*(Event("A", number) for number in range(45)))
    assert found[1:] == [*(f"  A: {number}" for number in range(20)), "  and 25 more"]
    assert len(lines(*(Event("A", number) for number in range(20)))) == 21


@register_class(name="test.Sulky")
class Sulky:
    def __str__(self) -> str:
        raise RuntimeError("not today")


@register_class(name="test.Matrix")
class Matrix:
    def __str__(self) -> str:
        return "[[1 2]\n [3 4]]"


def test_messages_of_classes() -> None:
    unknown = encode(Matrix()).replace(b"test.Matrix", b"test.Matrox")
    events = [Event.from_payload("A", 1.0, 1, 0, payload) for payload in (unknown, b"nonsense")]
    found = lines(Event("A", Sulky()), Event("A", Matrix()), *events)[1:]
    assert found[:2] == ["  A: <RuntimeError: not today>", "  A: [[1 2] [3 4]]"]
    assert found[2].startswith("  A: Unknown(") and "test.Matrox" in found[2]
    assert found[3].startswith("  A: <PayloadError: ")

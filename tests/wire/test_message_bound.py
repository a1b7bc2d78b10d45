"""What is believed of how large the other side's messages may be."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.constants import LARGEST_MESSAGE, MIB
from pyro_events.wire import callbacks, calls
from pyro_events.wire.frames import Frame, FrameLimits, FrameReader
from pyro_events.wire.message_bound import announced_max_message


@pytest.mark.parametrize("bound", [1, 16 * MIB, LARGEST_MESSAGE])
def test_a_bound_that_a_service_can_have(bound: int) -> None:
    assert announced_max_message({"handshake": "hello", "max_message": bound}) == bound


@pytest.mark.parametrize(
    "said",
    [
        {},
        "hello",
        None,
        [("max_message", 5)],
        *({"max_message": bound} for bound in (0, -1, LARGEST_MESSAGE + 1, 2**70, True, "5", 5.0, None, [5])),
    ],
    ids=repr,
)
def test_anything_else_says_nothing(said: Any) -> None:
    assert announced_max_message(said) is None


def hello_of(data: bytes) -> Frame:
    reader = FrameReader(FrameLimits(frozenset({1}), 4096))
    reader.feed(data)
    frame = reader.next_frame()
    assert frame is not None
    return frame


def test_a_service_says_it_to_a_subscriber() -> None:
    assert calls.read_hello(hello_of(callbacks.write_connect("obj", "hello", 5000))).max_message == 5000
    assert calls.read_hello(hello_of(callbacks.write_connect("obj", "hello"))).max_message is None

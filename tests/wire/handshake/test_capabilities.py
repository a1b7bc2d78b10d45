"""What the two sides say about themselves, and how much of it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.version import __version__
from pyro_events.wire.handshake.capabilities import (
    MAX_CAPABILITIES,
    MAX_TEXT,
    NOTHING_SAID,
    OURS,
    OWN_CONNECTION,
    PeerInfo,
    read_peer_info,
)


@pytest.mark.parametrize("info", [OURS, NOTHING_SAID, PeerInfo("2.0"), PeerInfo("", frozenset({"a", "b"}))])
def test_what_is_written_is_read(info: PeerInfo) -> None:
    said: dict[str, Any] = {"handshake": "hello"}
    info.write(said)
    assert read_peer_info(said) == info


def test_ours_names_the_version_and_the_own_connection() -> None:
    assert OURS.version == __version__ and OWN_CONNECTION in OURS.capabilities


@pytest.mark.parametrize("said", [None, "hello", 5, [], {}, {"capabilities": 5}, {"pyro_events": None}])
def test_a_peer_that_says_nothing_has_no_capability(said: Any) -> None:
    assert read_peer_info(said) == NOTHING_SAID


def test_what_cannot_be_shown_or_is_too_long_is_left_out() -> None:
    long, ugly = "x" * (MAX_TEXT + 1), "a\n"
    assert read_peer_info({"pyro_events": long, "capabilities": [long, ugly, 5, "good"]}) == PeerInfo(
        "", frozenset({"good"})
    )
    assert read_peer_info({"pyro_events": ugly}) == NOTHING_SAID
    many = [f"c{number}" for number in range(MAX_CAPABILITIES + 5)]
    assert len(read_peer_info({"capabilities": many}).capabilities) == MAX_CAPABILITIES

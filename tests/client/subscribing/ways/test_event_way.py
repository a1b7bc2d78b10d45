"""By which way events come, and whether that can change."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.client.subscribing.ways.event_way import EventWay, checked_callback
from pyro_events.wire.handshake.capabilities import OURS, PeerInfo


class Parts:
    """The connection to the service, and the attachment."""

    def __init__(self, peer: PeerInfo = OURS) -> None:
        self.peer = peer
        self.instead_of: Any = None
        self.calls: list[tuple[bool, bool]] = []

    def attach(self, again: bool, quick: bool) -> dict[str, str]:
        self.calls.append((again, quick))
        return {"key": "a key"}


def a_way(callback: bool | None, peer: PeerInfo = OURS) -> tuple[Any, Any]:
    parts: Any = Parts(peer)
    return EventWay(callback, parts, parts), parts


@pytest.mark.parametrize(
    ("callback", "own", "falls_back"), [(True, False, False), (False, True, False), (None, False, True)]
)
def test_the_program_chooses(callback: bool | None, own: bool, falls_back: bool) -> None:
    way, _ = a_way(callback)
    assert (way.own, way.falls_back) == (own, falls_back)


def test_with_a_service_that_cannot_do_it_there_is_one_way() -> None:
    way, parts = a_way(None, PeerInfo())
    assert not way.falls_back
    parts.peer = OURS  # another one has taken its place
    assert way.falls_back


def test_it_changes_once() -> None:
    way, parts = a_way(None)
    way.change({"a": "proxy"})
    assert way.own and not way.falls_back and parts.instead_of == {"a": "proxy"}
    assert way.attach(again=True) == {"key": "a key"} and parts.calls == [(True, False)]


@pytest.mark.parametrize("callback", [True, False, None])
def test_what_a_program_may_want(callback: bool | None) -> None:
    assert checked_callback(callback) is callback


@pytest.mark.parametrize("callback", [0, 1, "no", 1.0, ()])
def test_and_nothing_else(callback: object) -> None:
    with pytest.raises(TypeError, match=f"True, False or None, not {type(callback).__name__}"):
        checked_callback(callback)

"""A subscriber as the reconnector sees it: what it asks for reaches the part that does it."""

from __future__ import annotations

from typing import Any

import pytest

from pyro_events.client.reconnect.events import Answered, SubscriptionStatus
from pyro_events.client.subscribing.receiver_target import ReceiverTarget

KNOWN = Answered(SubscriptionStatus.KNOWN)


class Parts:
    """Plays all of them."""

    address: str | None = "PYRO:es@there:1"
    location = "here:2"
    id = "an id"
    begun, heartbeats = 3, 4
    falls_back = True
    subscriber = {"a": "proxy"}

    def __init__(self) -> None:
        self.current = self.attachment = self.calls = self
        self.done: list[Any] = []
        self.subscribed = True

    def __bool__(self) -> bool:
        return self.subscribed

    def reach(self) -> None:
        self.done.append("reach")

    def resubscribe(self, anew: bool) -> None:
        self.done.append(anew)

    def ask(self, timeout: float) -> Answered:
        self.done.append(timeout)
        return KNOWN

    def drop(self, reason: str) -> None:
        self.done.append(reason)

    def change(self, proxy: Any) -> None:
        self.done.append(proxy)


@pytest.fixture
def parts() -> Any:
    return Parts()


@pytest.fixture
def target(parts: Any) -> ReceiverTarget:
    return ReceiverTarget(parts, parts, parts, parts, parts)


def test_what_is_known(target: ReceiverTarget, parts: Any) -> None:
    assert target.wanted() and target.falls_back() and target.activity() == 7
    parts.subscribed = False
    assert not target.wanted()
    assert (target.address(), target.own_address()) == ("PYRO:es@there:1", "here:2")
    parts.address, parts.location = None, ""
    assert (target.address(), target.own_address()) == ("", "an id")


def test_what_is_done(target: ReceiverTarget, parts: Any) -> None:
    target.reach()
    target.subscribe_again(True)
    assert target.ask(5.0) is KNOWN
    target.drop_connection("too late")
    target.hang_up(["a stranger's"])
    assert parts.done == ["reach", True, 5.0, "too late"]


def test_that_it_changes_its_way_is_logged_with_the_reason(
    target: ReceiverTarget, parts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    target.fall_back("no route to host")
    assert parts.done == [{"a": "proxy"}]
    assert "PYRO:es@there:1 cannot reach this subscriber at here:2: no route to host; so" in caplog.text

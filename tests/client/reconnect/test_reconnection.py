"""One subscriber's part of the reconnector."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator

import pytest
from raising_handler import needs_signals, raising_after

from pyro_events.client.reconnect.events import Answered, SubscriptionStatus
from pyro_events.client.reconnect.reconnection import Reconnection
from pyro_events.client.reconnect.reconnector import Reconnector
from pyro_events.client.reconnect.state import State
from pyro_events.client.reconnect.transitions import ENDED


class Target:
    """A subscriber of a service that is always there."""

    def wanted(self) -> bool:
        return True

    def falls_back(self) -> bool:
        return False

    def activity(self) -> int:
        return 0

    def address(self) -> str:
        return "there"

    def own_address(self) -> str:
        return "here"

    def reach(self) -> None:
        pass

    def ask(self, timeout: float) -> Answered:
        return Answered(SubscriptionStatus.KNOWN)

    def subscribe_again(self, anew: bool) -> None:
        pass

    def fall_back(self, why: str) -> None:
        pass

    def drop_connection(self, reason: str) -> None:
        pass

    def hang_up(self, connections: Iterable[object]) -> None:
        pass


@pytest.fixture
def one() -> Iterator[Reconnection]:
    """It listens, and is connected to."""
    member = Reconnection(Target(), Reconnector())
    member.subscriptions_changed()
    member.listened()
    assert member.connected_by("one") is None
    yield member
    member.closed()
    member.join()


def test_waiting_until_it_is_connected(one: Reconnection) -> None:
    assert one.wait_until_connected(0)
    one.disconnected("one")
    assert not one.wait_until_connected(0.01)
    threading.Timer(0.02, one.connected_by, ("two",)).start()
    assert one.wait_until_connected(10)
    one.disconnected("two")
    threading.Timer(0.02, one.closed).start()
    assert not one.wait_until_connected(None)


class Interrupted(Exception):
    """Of a signal handler."""


@needs_signals
def test_exceptions_of_the_programs_own_while_a_connection_is_waited_for_are_passed_on(
    one: Reconnection,
) -> None:
    one.disconnected("one")
    came: set[type[BaseException]] = set()
    with raising_after(Interrupted()) as raise_after:
        for _ in range(2000):
            try:
                raise_after(random.uniform(0.00001, 0.0001))
                while True:
                    one.wait_until_connected(random.uniform(0.0, 0.0001))
            except Exception as error:
                came.add(type(error))
    assert came == {Interrupted} and not one.waiting and not one.entered


def test_what_the_service_says_is_part_of_the_reason(one: Reconnection) -> None:
    one.disconnected("one")
    assert (
        one.connected_by("two", "it was slow", "it may not block")
        == f"{ENDED}: it was slow; it may not block"
    )
    assert one.state.connections


def test_one_that_is_not_this_programs_does_nothing(one: Reconnection) -> None:
    """In a forked child."""
    one.disown()
    one.listened()
    one.hinted()
    assert one.connected_by("two") is None
    assert one.state.state is State.CLOSED and not one.wait_until_connected(None)
    assert not one.entered

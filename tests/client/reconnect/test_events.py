"""Events and actions: each is in its union, and is a value, so that histories of them can be compared."""

from __future__ import annotations

import dataclasses
import typing

from pyro_events.client.reconnect import events
from pyro_events.client.reconnect.events import (
    Answered,
    Connected,
    ReconnectAction,
    ReconnectEvent,
    Request,
    SubscriptionStatus,
)


def test_each_class_is_an_event_or_an_action() -> None:
    made = {
        each for each in vars(events).values() if isinstance(each, type) and dataclasses.is_dataclass(each)
    }
    of_events, of_actions = set(typing.get_args(ReconnectEvent)), set(typing.get_args(ReconnectAction))
    assert of_events | of_actions == made and not of_events & of_actions
    assert set(typing.get_args(Request)) <= of_actions


def test_they_are_values() -> None:
    assert Connected("a connection", why="slow") == Connected("a connection", "slow", "")
    assert len({Answered(SubscriptionStatus.KNOWN), Answered(SubscriptionStatus.KNOWN)}) == 1
    for each in typing.get_args(ReconnectEvent | ReconnectAction):
        assert each.__dataclass_params__.frozen, each

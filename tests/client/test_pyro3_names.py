"""Pyro3's names on a subscriber, each handed on to what does it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pyro_events.client.base import add_end
from pyro_events.client.pyro3_names import Pyro3Names
from pyro_events.errors import EventServiceError


class Receiver:
    """The end that a subscriber has, which notes what it is told."""

    def __init__(self) -> None:
        self.threading: list[bool] = []
        self.aborts = 0
        self.aborted = False
        self.dispatcher = SimpleNamespace(set_threading=self.threading.append)
        self.daemon = SimpleNamespace(proxyFor=lambda subscriber: ("proxy", subscriber))

    def abort(self) -> None:
        self.aborts += 1
        self.aborted = True


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def subscriber(receiver: Any) -> Pyro3Names:
    subscriber = Pyro3Names()
    add_end(subscriber, "subscriber", receiver)
    return subscriber


def test_the_daemon_and_a_proxy(subscriber: Pyro3Names, receiver: Receiver) -> None:
    assert subscriber.getDaemon() is subscriber.daemon is receiver.daemon
    assert subscriber.getProxy() == ("proxy", subscriber)


def test_threading_is_switched_by_either_name(subscriber: Pyro3Names, receiver: Receiver) -> None:
    subscriber.setThreading(0)
    subscriber.setThreading(threaded=True)
    assert receiver.threading == [False, True]
    with pytest.raises(TypeError, match="needs True or False, not str"):
        subscriber.setThreading("no")  # type: ignore[arg-type]
    assert receiver.threading == [False, True]


def test_abort_listen_is_abort(subscriber: Pyro3Names, receiver: Receiver) -> None:
    assert subscriber.abortListen is False
    subscriber.abortListen = True
    assert subscriber.abortListen is True and receiver.aborts == 1
    subscriber.abortListen = False
    assert subscriber.abortListen is False and receiver.aborts == 1


@pytest.mark.parametrize("name", ["daemon", "abortListen"])
def test_before_init_each_says_what_to_call(name: str) -> None:
    bare = Pyro3Names()
    for use in (lambda: getattr(bare, name), bare.getDaemon, bare.getProxy, lambda: bare.setThreading(0)):
        with pytest.raises(EventServiceError, match=r"call Subscriber\.__init__ first"):
            use()

"""A thread that listens: `start` returns when it does, and raises what ended it before that."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pyro_events.client.subscribing.background_listener import BackgroundListener


class Listening:
    """A `listen` that begins when it is called and ends when the test lets it."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.listener = BackgroundListener(self.listen)

    def listen(self) -> None:
        self.listener.begun()
        assert self.end.wait(20)


def test_start_returns_when_it_listens() -> None:
    listening = Listening()
    listening.listener.start()
    assert listening.listener.running
    listening.end.set()
    listening.listener.join(20)
    assert not listening.listener.running


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_ends_it_before_it_listens_is_raised(error: BaseException) -> None:
    def listen() -> None:
        raise error

    listener = BackgroundListener(listen)
    with pytest.raises(type(error)) as caught:
        listener.start()
    assert caught.value is error
    listener.join(20)
    assert not listener.running


def test_what_ends_it_later_goes_to_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", caught.append)
    end = threading.Event()

    def listen() -> None:
        listener.begun()
        assert end.wait(20)
        raise ValueError("later")

    listener = BackgroundListener(listen)
    listener.start()
    end.set()
    listener.join(20)
    assert [str(each.exc_value) for each in caught] == ["later"]


def test_a_listen_that_returns_at_once() -> None:
    listener = BackgroundListener(lambda: None)
    listener.start()
    listener.join(20)
    assert not listener.running


def test_it_does_not_wait_for_itself_or_for_what_never_started() -> None:
    joined: list[Callable[[], None]] = []

    def listen() -> None:
        listener.begun()
        listener.join(60)
        joined.append(listen)

    listener = BackgroundListener(listen)
    listener.join(60)
    listener.start()
    listener.join(20)
    assert joined == [listen]

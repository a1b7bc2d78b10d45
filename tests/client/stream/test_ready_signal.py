"""The descriptor that is readable while an event can be taken."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

import pytest

from pyro_events.client.stream.ready_signal import ReadySignal


def readable(signal: ReadySignal) -> bool:
    return bool(select.select([signal.fileno()], [], [], 0)[0])


def test_it_is_readable_as_long_as_it_is_set() -> None:
    signal = ReadySignal()
    for wanted in (False, True, True, False, False, True):
        signal.update(lambda wanted=wanted: wanted)  # type: ignore[misc]
        assert readable(signal) is wanted
    signal.close()
    assert signal.fileno() == -1


def test_it_may_be_updated_after_it_is_closed() -> None:
    signal = ReadySignal()
    signal.close()
    signal.update(lambda: True)
    signal.update(lambda: False)
    signal.forked()
    assert signal.fileno() == -1


class Interrupting:
    """A socket in whose calls a signal's handler runs once, before or after the work."""

    def __init__(self, sock: Any, handler: Callable[[], object], before: bool) -> None:
        self._sock = sock
        self._handler = handler
        self._before = before

    def _interrupted(self, work: Callable[[Any], Any], argument: Any) -> Any:
        handler, self._handler = self._handler, lambda: None
        if self._before:
            handler()
        result = work(argument)
        handler() if not self._before else None
        return result

    def send(self, data: bytes) -> Any:
        return self._interrupted(self._sock.send, data)

    def recv(self, size: int) -> Any:
        return self._interrupted(self._sock.recv, size)

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_after_an_exception_of_the_programs_own_it_follows_again(
    error: type[BaseException], before: bool
) -> None:
    def handler() -> None:
        raise error

    signal: Any = ReadySignal()
    signal._far = Interrupting(signal._far, handler, before)
    with pytest.raises(error):
        signal.update(lambda: True)
    for wanted in (True, False, True, False):
        signal.update(lambda wanted=wanted: wanted)
        assert readable(signal) is wanted
    signal._near, near = Interrupting(signal._near, handler, before), signal._near
    signal.update(lambda: True)
    with pytest.raises(error):
        signal.update(lambda: False)
    signal._near = near
    for wanted in (False, True, False):
        signal.update(lambda wanted=wanted: wanted)
        assert readable(signal) is wanted
    signal.close()


@pytest.mark.parametrize("before", [True, False])
def test_a_handler_that_takes_the_event_meanwhile_leaves_nothing_behind(before: bool) -> None:
    waiting = [1]

    def take() -> None:
        waiting.clear()
        signal.update(lambda: bool(waiting))

    signal: Any = ReadySignal()
    signal._far = Interrupting(signal._far, take, before)
    signal.update(lambda: bool(waiting))
    assert not readable(signal)
    signal.close()

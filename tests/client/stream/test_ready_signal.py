"""The descriptor that is readable while an event can be taken."""

from __future__ import annotations

import select

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

"""The loop of a subscriber without a daemon."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from waiting import eventually

from pyro_events.client.subscribing.ways.no_port import NoPort
from pyro_events.errors import EventServiceError

told: list[str] = []


@pytest.fixture
def port() -> NoPort:
    told.clear()
    port = NoPort(lambda: told.append("resume"))
    port.when_begun(lambda: told.append("begun"))
    return port


def test_events_start_when_it_runs_and_it_ends_at_once(port: NoPort) -> None:
    for end in (port.stop, port.stop, port.close):
        told.clear()
        thread = threading.Thread(target=port.run)
        thread.start()
        eventually(lambda: told == ["resume", "begun"])
        assert port.running
        end()
        thread.join(10)
        assert not thread.is_alive() and not port.running
    assert port.closed


def test_what_stopped_it_before_does_not_stop_it_now(port: NoPort) -> None:
    port.stop()
    thread = threading.Thread(target=port.run)
    thread.start()
    eventually(lambda: "begun" in told)
    thread.join(0.05)
    assert thread.is_alive()
    port.stop()
    thread.join(10)


def test_a_signal_handler_in_its_own_thread_stops_it(port: NoPort) -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: port.stop())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        port.run()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_nobody_can_connect_to_it(port: NoPort) -> None:
    nothing: Any = None
    assert port.announce(object(), nothing, nothing) == {}
    assert (port.uri, port.location, port.connections, port.entered) == ("", "", 0, False)
    port.knock()
    with pytest.raises(EventServiceError, match="callback=False"):
        _ = port.daemon


def test_in_a_forked_child_it_is_closed(port: NoPort) -> None:
    port.disown()
    port.run()  # which returns
    assert port.closed

"""The loop of a daemon, and what a program's own loop calls, without a socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import Pyro5.errors
import pytest

from pyro_events.client.daemon.polled_daemon import PolledDaemon

OURS, THEIRS = object(), object()


class Recorded:
    """An accept loop and a dispatcher, which note what they are told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.sockets = [OURS]
        self.limits = SimpleNamespace(paused=False)

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.told.append((name, *arguments))


class Daemon(PolledDaemon):
    def __init__(self, parts: Recorded, closed: bool = False) -> None:
        self.transportServer: Any = None if closed else parts
        self._dispatcher: Any = parts

    def close(self) -> None:
        self._dispatcher.told.append("closed")

    def _resumed(self) -> None:
        self._dispatcher.told.append("resumed")


def test_the_request_loop_lets_events_start_again_after_abort() -> None:
    parts = Recorded()
    Daemon(parts).requestLoop(print)
    assert parts.told == [("begin",), ("loop", print)]
    parts.told.clear()
    parts.limits.paused = True
    Daemon(parts).requestLoop(print)
    assert parts.told == [("begin",), ("resume",), "resumed", ("loop", print)]


@pytest.mark.parametrize(("paused", "resumed"), [(False, []), (True, [("resume",), "resumed"])])
def test_events_start_again_after_abort(paused: bool, resumed: list[Any]) -> None:
    parts = Recorded()
    parts.limits.paused = paused
    daemon = Daemon(parts)
    daemon.events([THEIRS])
    assert parts.told == []
    daemon.events([THEIRS, OURS])
    assert parts.told == [*resumed, ("events", [THEIRS, OURS])]
    parts.told.clear()
    daemon.handleRequests(2.0)
    assert parts.told == [("begin",), *resumed, ("wait", 2.0)]


def test_it_works_without_a_dispatcher() -> None:
    parts = Recorded()
    daemon = Daemon(parts)
    daemon._dispatcher = None
    daemon.requestLoop()
    daemon.handleRequests()
    assert parts.told == [("begin",), ("loop", None), ("begin",), ("wait", None)]


def test_a_closed_one_says_so_and_has_no_socket() -> None:
    parts = Recorded()
    daemon = Daemon(parts, closed=True)
    for call in (daemon.requestLoop, daemon.handleRequests):
        with pytest.raises(Pyro5.errors.PyroError, match="closed"):
            call()
    daemon.events([OURS])
    assert daemon.sockets == daemon.getServerSockets() == [] and parts.told == []


def test_what_it_does_of_the_rest_of_a_daemon() -> None:
    parts = Recorded()
    daemon = Daemon(parts)
    assert daemon.sockets == daemon.getServerSockets() == [OURS]
    daemon.shutdown()
    assert parts.told == ["closed"]
    with pytest.raises(TypeError, match="loop combiner"):
        daemon.combine(daemon)

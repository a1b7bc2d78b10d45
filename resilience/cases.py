"""The faults of the table: each affects one subscriber and its publisher, or the server, of one scenario.

Knows: what is done, and what is then measured. Must not know: which system it is done to, beyond what the
scenario says, or how the table looks.
"""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from .ports import LOOPBACK
from .processes import pause
from .proxy import Proxy
from .scenario import Scenario

ALL: Final = ("ours", "mqtt", "mqtt-kept", "nats")


@dataclass
class Measured:
    """What was measured for one fault. Times in seconds, None if not applicable.

    detected: until the server knew that the subscriber was gone. recovered: from the end of the fault until
    the first event that was published after it. earlier: the numbers that a killed listener got before.
    """

    detected: float | None = None
    recovered: float | None = None
    note: str = ""
    earlier: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Case:
    """A fault. seconds: about how long it lasts. options: of the scenario."""

    name: str
    title: str
    play: Callable[[Scenario, float], Measured]
    seconds: float
    options: dict[str, Any] = field(default_factory=dict)
    systems: tuple[str, ...] = ALL


class _Watch:
    """Checks during a fault whether the server has noticed."""

    def __init__(self, scene: Scenario) -> None:
        self._scene = scene
        self._clients = scene.server.clients()
        self._since = time.monotonic()

    def during(self, seconds: float) -> float | None:
        """Wait so long. Returns when the server had one client less than before."""
        found: float | None = None
        while (passed := time.monotonic() - self._since) < seconds:
            if found is None and self._scene.server.clients() < self._clients:
                found = time.monotonic() - self._since
            pause(min(0.05, max(0.0, seconds - passed)))
        return found


def kill(scene: Scenario, seconds: float) -> Measured:
    earlier = set(scene.affected.ask("numbers", name="storm"))
    watch = _Watch(scene)
    scene.affected.kill()
    detected = watch.during(seconds)
    scene.start_affected()
    return Measured(detected, scene.recovered(time.monotonic()), earlier=earlier)


def freeze(scene: Scenario, seconds: float) -> Measured:
    watch = _Watch(scene)
    scene.affected.freeze()
    detected = watch.during(seconds)
    scene.affected.thaw()
    return Measured(detected, scene.recovered(time.monotonic()))


def slow(scene: Scenario, seconds: float) -> Measured:
    """It is slow all the time; the note says how far it lags behind."""
    detected = _Watch(scene).during(seconds)
    behind = scene.affected_publisher.ask("report")["acknowledged"] - scene.affected.ask("report")["received"]
    return Measured(detected, note=f"{behind} behind after {seconds:g} s")


def _line(change: Callable[[Proxy], None]) -> Callable[[Scenario, float], Measured]:
    def play(scene: Scenario, seconds: float) -> Measured:
        watch = _Watch(scene)
        for proxy in scene.proxies:
            change(proxy)
        detected = watch.during(seconds)
        for proxy in scene.proxies:
            proxy.restore()
        return Measured(detected, scene.recovered(time.monotonic()))

    return play


def kill_server(scene: Scenario, seconds: float) -> Measured:
    scene.server.actor.kill()
    pause(seconds)
    scene.server.start()
    return Measured(recovered=scene.recovered(time.monotonic()))


def stop_server(scene: Scenario, seconds: float) -> Measured:
    begun = time.monotonic()
    scene.server.actor.signal(signal.SIGTERM)
    scene.server.actor.wait(20)
    took = time.monotonic() - begun
    pause(seconds)
    scene.server.start()
    return Measured(recovered=scene.recovered(time.monotonic()), note=f"ended after {took:.1f} s")


def _few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


_FEW: Final = {"before": _few_descriptors}


def descriptors(scene: Scenario, seconds: float) -> Measured:
    """A hundred connections to a server that may have 64 descriptors; then a new client."""
    server = scene.server
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection((LOOPBACK, server.port), 5))
        begun, used = time.monotonic(), server.actor.processor_seconds()
        pause(seconds)
        share = (server.actor.processor_seconds() - used) / (time.monotonic() - begun)
    released = time.monotonic()
    publisher = scene.publisher("somebody")
    publisher.ready()
    recovered = time.monotonic() - released
    scene.cast.dismiss(publisher)
    return Measured(recovered=recovered, note=f"{100 * share:.0f} % of a processor meanwhile")


_PROXIED: Final = {"proxied": True}
_HALF: Final = ("--pause", "0.02")
_DELAY, _DRIP = _line(lambda proxy: proxy.delay(0.1, 0.05)), _line(lambda proxy: proxy.drip(40, 0.002))
_TRUNCATE, _RESET = _line(lambda proxy: proxy.truncate(700)), _line(lambda proxy: proxy.reset())
_VANISH, _CUT = _line(lambda proxy: proxy.vanish()), _line(lambda proxy: proxy.cut())

CASES: Final = (
    Case("kill", "subscriber killed (SIGKILL), started again after 3 s", kill, 3),
    Case("freeze-1", "subscriber frozen (SIGSTOP) for 1 s", freeze, 1),
    Case("freeze-10", "subscriber frozen for 10 s", freeze, 10),
    Case("freeze-60", "subscriber frozen for 60 s", freeze, 60),
    Case("slow", "slow subscriber: takes 50 of 100 events a second, for 20 s", slow, 20, {"handler": _HALF}),
    Case("delay", "network with a delay of 100 ± 50 ms for 5 s", _DELAY, 5, _PROXIED),
    Case("drip", "network that passes 40 bytes at a time, for 5 s", _DRIP, 5, _PROXIED),
    Case("truncate", "connections that break after 700 bytes, for 5 s", _TRUNCATE, 5, _PROXIED),
    Case("reset", "connections reset (RST)", _RESET, 0, _PROXIED),
    Case("cut", "connections cut, and new ones refused, for 5 s", _CUT, 5, _PROXIED),
    Case("half-5", "half-open connection for 5 s", _VANISH, 5, _PROXIED),
    Case("half-60", "half-open connection for 60 s", _VANISH, 60, _PROXIED),
    Case("server-kill", "server killed, started again after 1 s", kill_server, 1),
    Case("server-stop", "server told to stop (SIGTERM) under load, started again after 1 s", stop_server, 1),
    Case("descriptors", "100 connections to a server with 64 descriptors, for 5 s", descriptors, 5, _FEW),
)

"""Subscribers and services behind a router that translates addresses, as at home or in a container (C32)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest
from waiting import eventually

from resilience import invariants
from resilience.network import router
from resilience.network.machines import Machine, missing
from resilience.ports import free_port
from resilience.processes import Actor, Cast
from resilience.scenario import LONG

MakeRouter = Callable[..., router.Router]


@pytest.fixture
def make_router() -> Iterator[MakeRouter]:
    """Makes a router, as for Router, where this machine allows it."""
    reason = missing(router.TOOL)
    if reason is not None:
        pytest.skip(f"no router: {reason}")
    with contextlib.ExitStack() as stack:
        yield lambda *args, **named: stack.enter_context(router.Router(*args, **named))


class Scene:
    """A service on one machine, with a publisher and a watcher beside it, and a subscriber on another."""

    def __init__(self, cast: Cast, there: Machine, host: str, port: int = 0) -> None:
        """there: where the service is. host: its address there."""
        self._cast = cast
        self.there = there
        self.port = port or free_port()
        options = {"heartbeat": 1.0, "heartbeat_answer": 1.0}
        self._command = (host, str(self.port), json.dumps(options))
        self.service = self.start()
        uri = self.uri(host)
        self.watcher = self.actor("statistics", uri)
        self.publisher = self.actor("publisher", "ours", uri, "storm", "50", "storm")

    def start(self) -> Actor:
        """The service begins, on the same port each time."""
        service = self._cast.python(
            "-m", "resilience.programs.service", *self._command, prefix=self.there.prefix, obeys=False
        )
        service.line_with("started")
        return service

    def uri(self, host: str) -> str:
        return f"PYRO:Pyro.EventService@{host}:{self.port}"

    def actor(self, program: str, *arguments: str, at: Machine | None = None) -> Actor:
        """A program that is ready."""
        prefix = (at or self.there).prefix
        actor = self._cast.python("-m", f"resilience.programs.{program}", *arguments, prefix=prefix)
        actor.ready()
        return actor

    def listener(self, at: Machine, host: str, callback: bool | None) -> Actor:
        """A subscriber at another machine. host: where it finds the service."""
        options = json.dumps({"callback": callback})
        return self.actor("subscriber", "ours", self.uri(host), "storm", "--options", options, at=at)

    def end(self, listener: Actor, returns: int = 0) -> None:
        """Stop publishing: what was promised has arrived, in order. returns: how often it was lost."""
        talked = self.publisher.ask("stop")
        eventually(lambda: not self.watcher.ask("statistics")["waiting"], LONG)
        report, statistics = listener.ask("report"), self.watcher.ask("statistics")
        assert talked["unknown"] == talked["failed"] == 0
        assert invariants.accounting(statistics) == invariants.promises(statistics, [talked]) == []
        assert invariants.order("the listener", report) == []
        assert len(report["returns"]) == report["unknown"] == returns
        assert not report["callback"]
        if not returns:
            assert statistics["lost"] == {} and report["received"] == talked["acknowledged"]
        for actor in self._cast.actors:
            assert invariants.handled(actor.name, actor.complaints) == []


@pytest.mark.parametrize("closed", router.CLOSED)
def test_a_subscriber_behind_a_router(make_router: MakeRouter, closed: str) -> None:
    """It subscribes, and the service cannot connect: refused, no route, or no answer."""
    both = make_router(closed)
    with Cast() as cast:
        scene = Scene(cast, both.outside, router.OUTSIDE)
        listener = scene.listener(both.inside, router.OUTSIDE, None)
        scene.publisher.ask("start")
        eventually(lambda: listener.ask("report")["received"] > 20, LONG)
        scene.end(listener)
        (line,) = [line for line in listener.complaints.splitlines() if "cannot reach" in line]
        assert router.GATEWAY in line or "no answer" in line


def test_one_that_needs_no_attempt_of_the_services(make_router: MakeRouter) -> None:
    both = make_router("dropped")
    with Cast() as cast:
        scene = Scene(cast, both.outside, router.OUTSIDE)
        listener = scene.listener(both.inside, router.OUTSIDE, False)
        scene.publisher.ask("start")
        eventually(lambda: listener.ask("report")["received"] > 20, LONG)
        scene.end(listener)
        assert not listener.complaints


@pytest.mark.parametrize("callback", [None, False])
def test_a_service_in_a_container(make_router: MakeRouter, callback: bool | None) -> None:
    """It is reached by a port that is forwarded to it, and sees everybody at the host's address."""
    port = free_port()
    both = make_router("refused", forwarded=port)
    with Cast() as cast:
        scene = Scene(cast, both.inside, router.INSIDE, port)
        listener = scene.listener(both.outside, router.GATEWAY, callback)
        scene.publisher.ask("start")
        eventually(lambda: listener.ask("report")["received"] > 20, LONG)
        scene.end(listener)

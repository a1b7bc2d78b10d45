"""The scenario: a server, a calm pair that must not notice the fault, and an affected pair.

Knows: which processes there are, and how a scenario begins and ends. Must not know: the faults.

The calm publisher and listener share only the server with the others. On request the connections of the
affected subscriber go through proxies: those that it makes, and those that the service makes to it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from . import invariants
from .member import Member
from .processes import Actor, Cast, until
from .proxy import Proxy
from .servers import SERVERS, Ours, Server

# Events a second of each publisher: enough to lose some in any fault, and few enough for a busy machine.
RATE: Final = 100.0
# Seconds before the fault, to measure what is usual.
WARM: Final = 0.5
# How long a test waits. It is longer than anything takes that is noticed at once or by the short deadlines of
# a test, also on a slow machine, and shorter than the half minute after which heartbeats would notice it. The
# promised times are tested by tests/faults/test_long_faults.py, on a machine that does nothing else.
LONG: Final = 20.0


class Scenario:
    """One run. Use it in a `with` statement: entering it starts all processes."""

    def __init__(
        self,
        folder: Path,
        system: str = "ours",
        *,
        seed: int = 0,
        rate: float = RATE,
        ballast: int = 0,
        proxied: bool = False,
        options: Mapping[str, Any] | None = None,
        subscribe_options: Mapping[str, Any] | None = None,
        handler: tuple[str, ...] = (),
        before: Callable[[], None] | None = None,
    ) -> None:
        """Args:
        ballast: by how many bytes the events for the affected subscriber are larger.
        options: of the service, for ours.
        subscribe_options: of the affected subscriber when it subscribes, for ours.
        handler: options of the listener program for the affected subscriber.
        before: what the process of the server does first.
        """
        self.system = system
        self.cast = Cast()
        self._rate, self._ballast = rate, ballast
        self._before = before
        self.server: Server
        if system == "ours":
            self.server = Ours(self.cast, folder, dict(options or {}))
        else:
            self.server = SERVERS[system](self.cast, folder)
        names = self.cast, self.server, system, "storm"
        self._member = Member(
            *names, seed=seed, proxied=proxied, subscribe_options=subscribe_options, handler=handler
        )
        self.usual: dict[str, Any] = {}
        self.at_first: dict[str, int] = {}

    def __enter__(self) -> Scenario:
        try:
            self.server.start(self._before)
            audience = Member(self.cast, self.server, self.system, "calm")
            audience.start()
            self.calm, self.calm_publisher = audience.actor, self.publisher("calm")
            self.start_affected()
            self.affected_publisher = self.publisher("storm", self._ballast)
            for publisher in (self.calm_publisher, self.affected_publisher):
                publisher.ready()
                publisher.ask("start")
            self._warm_up()
        except BaseException:
            self.close()
            raise
        return self

    def _warm_up(self) -> None:
        for listener in (self.calm, self.affected):
            until(lambda one=listener: one.ask("report")["received"], 20, "the first event")  # type: ignore[misc]
        since = time.monotonic()
        until(lambda: self.calm.ask("report", since=since)["after"] >= self._rate * WARM, 20, "some events")
        self.usual = self.calm.ask("report", since=since)
        self.calm_publisher.ask("forget_times")
        self.at_first = self.server.actor.resources()

    def publisher(self, subject: str, ballast: int = 0) -> Actor:
        """A further publisher, for a subject."""
        arguments = [self.system, self.server.address, subject, str(self._rate), subject]
        arguments += ["--ballast", str(ballast)]
        return self.cast.python(
            "-m", "resilience.programs.publisher", *arguments, name=f"the publisher about {subject}"
        )

    def start_affected(self) -> None:
        """Start the affected subscriber, also after it was killed."""
        self._member.start()

    @property
    def affected(self) -> Actor:
        return self._member.actor

    def vanish(self, *, to_it: bool = True, from_it: bool = True) -> None:
        """As for Member, of the affected subscriber."""
        self._member.vanish(to_it=to_it, from_it=from_it)

    def strand(self) -> None:
        """As for Member, of the affected subscriber."""
        self._member.strand()

    @property
    def events_proxy(self) -> Proxy:
        """As for Member, of the affected subscriber."""
        return self._member.events_proxy

    @property
    def proxies(self) -> list[Proxy]:
        """The proxies of the affected subscriber's connections."""
        return self._member.proxies

    # Measurements.

    def recovered(self, since: float, listener: Actor | None = None, patience: float = 40.0) -> float:
        """How many seconds it took until a listener got an event published after `since`."""
        actor = listener or self.affected
        arrived: float = until(
            lambda: actor.ask("fresh", sent_after=since), patience, "an event published after the fault"
        )
        return arrived - since

    def account(self) -> dict[str, Any]:
        """The statistics of the affected subscriber, in our service; {} if it is not known there."""
        assert isinstance(self.server, Ours)
        return next(
            (one for one in self.server.statistics()["subscribers"] if "storm" in one["subjects"]), {}
        )

    # The end.

    def finish(self, patience: float = 30.0) -> dict[str, Any]:
        """Stop the publishers, wait until everything that will arrive has arrived, and collect the
        reports."""
        talked = self.affected_publisher.ask("stop")
        calm_talked = self.calm_publisher.ask("stop")
        self._settle(patience)
        return {
            "calm publisher": calm_talked,
            "calm": self.calm.ask("report"),
            "publisher": talked,
            "affected": self.affected.ask("report") if self.affected.alive else {},
        }

    def _settle(self, patience: float) -> None:
        """Wait until nothing waits in our service, or nothing has arrived for a second."""
        if isinstance(self.server, Ours):
            server = self.server
            until(lambda: not server.statistics()["waiting"], patience, "all events to be delivered")
            return
        listeners = [one for one in (self.calm, self.affected) if one.alive]
        end, last, since = time.monotonic() + patience, -1, time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < 1.0:
            received = sum(one.ask("report")["received"] for one in listeners)
            if received != last:
                last, since = received, time.monotonic()

    def verdict(
        self, reports: Mapping[str, Any], *, restarted: bool = False, crowded: bool = False
    ) -> list[str]:
        """The violations of I1 to I6, for our service.

        restarted: its statistics have started again, and the calm pair has been without it. crowded: the
        service had no space for any events for a while, so the calm publisher was blocked too, but none of
        its events is lost.
        """
        assert isinstance(self.server, Ours)
        statistics = self.server.statistics()
        found = list(self.server.wrong)
        found += invariants.order("the calm listener", reports["calm"])
        if reports["affected"]:
            found += invariants.order("the affected", reports["affected"])
        if not restarted:
            found += invariants.promises(statistics, [reports["calm publisher"], reports["publisher"]])
            judge = invariants.unharmed if crowded else functools.partial(invariants.healthy, self.usual)
            found += judge(reports["calm publisher"], reports["calm"])
            found += self._resources()
        for actor in self.cast.actors:
            found += invariants.handled(actor.name, actor.complaints)
        return found

    def _resources(self) -> list[str]:
        """I3, within five seconds."""
        found: list[str] = []

        def back() -> bool:
            found[:] = invariants.resources(self.at_first, self.server.actor.resources())
            return not found

        try:
            until(back, 5, "threads and descriptors to come back")
        except TimeoutError:
            return found
        return []

    def close(self) -> None:
        """End all processes."""
        for proxy in self.proxies:
            proxy.calm()
        self.server.close()
        self.cast.close()
        self._member.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

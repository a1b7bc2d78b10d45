"""What is published of what happens at the service, when nobody is disturbed by it, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pyro_events.broker.accounting import Loss
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.broker import Broker
from pyro_events.codec.message import decode
from pyro_events.options import BacklogOptions, Overflow
from pyro_events.server.service_events import service_events as module
from pyro_events.server.service_events.loss_reports import LossReports
from pyro_events.server.service_events.rate_limit import RateLimit
from pyro_events.server.service_events.service_events import (
    JOINED,
    LEFT,
    LOST,
    OMITTED,
    RECOVERED,
    SLOW,
    STOPPING,
    ServiceEvents,
)

ALL = r"\$ES\."
GROUPS = ["LOST", "SLOW", "RECOVERED"]


class Service:
    """A broker and its events about itself; a monitor may listen to them."""

    def __init__(self, most: int = 100, interval: float = 0.0) -> None:
        self.broker = Broker(BacklogOptions(1000, 1 << 20, Overflow.BLOCK), 1 << 20)
        self.delivered = 0
        self.monitor: Backlog | None = None
        self.events = ServiceEvents(
            self.broker, lambda: 7.5, self._deliver, RateLimit(most, 60.0), LossReports(interval)
        )

    def _deliver(self) -> None:
        self.delivered += 1

    def listen(self, *names: str, patterns: Any = ()) -> Backlog:
        """Let the monitor listen."""
        self.monitor = self.broker.subscribe("PYRO:monitor@h:1", names, patterns)
        return self.monitor

    def subscribe(self, number: int = 1, names: Any = ("A", "B"), **options: Any) -> Backlog:
        backlog = self.broker.subscribe(f"PYRO:s@h:{number}", names, options=options or None)
        self.events.subscribed(backlog)
        return backlog

    def leave(self, backlog: Backlog, reason: Loss = Loss.GONE, why: str = "") -> None:
        subscribed = self.events.leaving(backlog)
        self.broker.remove(backlog, reason)
        if subscribed is not None:
            self.events.left(backlog, subscribed, reason, why)

    def check(self) -> None:
        self.events.check()

    def publish(self, *names: str) -> None:
        self.broker.publish(iter([(names, b"")]), 7.0)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the monitor has got since."""
        assert self.monitor is not None
        if not len(self.monitor):
            return []
        batch = self.monitor.take(10_000, 1 << 30)
        self.monitor.acknowledge(batch)
        assert all(row[1] == 7.5 for row in batch.rows)
        return [(row[0], decode(bytes(row[4]))) for row in batch.rows]


def in_a_loop(work: Callable[[], None]) -> None:
    async def once() -> None:
        work()
        await asyncio.sleep(0)

    asyncio.run(once())


def test_a_subscriber_that_comes_and_goes() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        backlog = service.subscribe(names=["A"])
        backlog.name = "market"
        service.subscribe(names=["B"])  # no other one
        service.publish("A", "B")
        service.leave(backlog, Loss.DEADLINE, "was slow")
        (joined, first), (left, last) = service.told()
        assert (joined, left) == (JOINED, LEFT)
        assert (first["subscriber"], first["subjects"], first["subscriptions"]) == ("PYRO:s@h:1", ["A"], 1)
        assert (first["name"], first["user"], first["overflow"], first["backlog"]) == ("", "", "block", 0)
        assert (last["name"], last["subjects"], last["subscriptions"]) == ("market", ["A", "B"], 2)
        assert (last["reason"], last["why"]) == ("deadline", "was slow")
        assert (last["accepted"], last["backlog"], last["lost"]) == (2, 0, {"deadline": 2})

    in_a_loop(work)


def test_one_that_has_unsubscribed_from_everything_says_so_when_it_is_forgotten() -> None:
    def work() -> None:
        service = Service()
        service.listen(LEFT)
        backlog = service.subscribe()
        service.broker.unsubscribe(backlog.subscriber, ["A", "B"])
        service.leave(backlog)
        ((_, left),) = service.told()
        assert (left["subjects"], left["subscriptions"]) == ([], 0)
        assert (left["reason"], left["why"]) == ("gone", "unsubscribed from everything")

    in_a_loop(work)


def test_one_without_a_subscription_has_not_joined_and_does_not_leave() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        backlog = service.subscribe(names=[])
        service.leave(backlog)
        assert service.told() == []
        service.subscribe()
        assert [subject for subject, _ in service.told()] == [JOINED]

    in_a_loop(work)


def test_of_many_subjects_ten_are_shown_and_all_are_counted() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        names = [f"A{number}" for number in range(25)]
        service.leave(service.subscribe(names=names), why="x" * 10_000)
        for _, message in service.told():
            assert (message["subjects"], message["subscriptions"]) == (names[:10], 25)
        assert len(message["why"]) < 1000

    in_a_loop(work)


def test_a_member_of_a_group() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        backlog = service.broker.subscribe("PYRO:s@h:1", ["A"], "^B", group="workers")
        service.events.subscribed(backlog)
        service.leave(backlog)
        for _, message in service.told():
            assert (message["group"], message["subjects"]) == ("workers", ["A", "^B"])
            assert message["subscriptions"] == 2

    in_a_loop(work)


def test_the_backlog_of_a_group() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        options = {"backlog": 2, "overflow": "drop-newest"}
        member = service.broker.subscribe("PYRO:s@h:1", ["A"], options=options, group="workers")
        service.events.subscribed(member)
        service.check()
        service.publish(*["A"] * 5)
        service.check()
        group = service.broker.groups.of(member)
        assert group is not None
        service.events.slow(group.backlog)
        service.events.recovered(group.backlog)
        told = service.told()
        assert [subject for subject, _ in told] == [JOINED, *(f"$ES.GROUP.{what}" for what in GROUPS)]
        for _, message in told[1:]:
            assert (message["group"], message["subscribers"], message["backlog"]) == ("workers", 1, 2)
        assert told[1][1]["losses"] == told[1][1]["lost"] == {"drop-newest": 3}

    in_a_loop(work)


def test_slow_ones_and_those_that_have_recovered() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        backlog = service.subscribe()
        service.publish("A")
        service.events.slow(backlog)
        service.leave(service.subscribe(2))
        service.events.recovered(backlog)
        told = service.told()
        assert [subject for subject, _ in told] == [JOINED, SLOW, JOINED, LEFT, RECOVERED]
        assert told[1][1]["backlog"] == 1

    in_a_loop(work)


def test_losses_are_told_by_reason_from_when_somebody_listens() -> None:
    def work() -> None:
        service = Service()
        backlog = service.subscribe(backlog=1, overflow="drop-newest")
        service.publish("A", "A", "A")
        monitor = service.listen(LOST)
        service.events.subscribed(monitor)
        service.publish("A")
        service.check()
        service.check()
        ((subject, message),) = service.told()
        assert subject == LOST
        assert (message["losses"], message["lost"]) == ({"drop-newest": 1}, {"drop-newest": 3})
        service.broker.unsubscribe(monitor.subscriber, LOST)
        service.publish("A")
        service.check()
        service.listen(LOST)
        service.check()
        service.publish("A", "A")
        service.check()
        ((_, message),) = service.told()
        assert message["losses"] == {"drop-newest": 2}
        assert message["subscriber"] == backlog.subscriber

    in_a_loop(work)


def test_a_full_backlog_loses_them_and_counts_them_and_that_is_told_too() -> None:
    def work() -> None:
        service = Service()
        monitor = service.broker.subscribe("PYRO:monitor@h:1", (), ALL, {"backlog": 1})
        service.monitor = monitor
        service.events.subscribed(monitor)
        for number in range(5):
            service.subscribe(number)
        assert monitor.lost == {"drop-newest": 5}
        assert service.broker.full == [] and service.broker.failing == []
        ((subject, message),) = service.told()
        assert (subject, message["subscriber"]) == (JOINED, monitor.subscriber)  # itself
        service.check()
        ((subject, message),) = service.told()
        assert (subject, message["losses"]) == (LOST, {"drop-newest": 5})
        service.check()
        assert service.told() == []

    in_a_loop(work)


def test_a_storm_is_cut_and_one_event_says_how_many_were_left_out() -> None:
    def work() -> None:
        service = Service(most=10)
        service.listen(patterns=ALL)
        some = [service.subscribe(number) for number in range(30)]
        for backlog in some:
            service.leave(backlog)
        told = service.told()
        assert [subject for subject, _ in told] == [JOINED] * 10
        service.events.stopping(3.0)
        (omitted, message), (stopping, last) = service.told()
        assert (omitted, message) == (OMITTED, {"omitted": 50, "subjects": {JOINED: 20, LEFT: 30}})
        assert (stopping, last) == (STOPPING, {"subscribers": 1, "waiting": 1, "drain": 3.0})

    in_a_loop(work)


def test_nothing_is_made_of_what_nobody_listens_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(message: object) -> bytes:
        raise AssertionError("nobody listens")

    def work() -> None:
        monkeypatch.setattr(module, "encode", refuse)
        service = Service(most=1)
        service.listen("A", patterns=".*")
        backlog = service.subscribe(backlog=1, overflow="drop-newest")
        service.publish("A", "A")
        service.check()
        service.events.slow(backlog)
        service.events.recovered(backlog)
        service.leave(backlog)
        service.events.stopping(3.0)
        service.listen(OMITTED)
        service.check()
        assert service.broker.statistics(0.0).published == 2

    in_a_loop(work)


def test_after_the_end_nothing_is_published() -> None:
    def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        backlog = service.subscribe()
        service.events.end()
        service.leave(backlog)
        service.events.slow(service.subscribe(2))
        assert [subject for subject, _ in service.told()] == [JOINED]

    in_a_loop(work)


def test_they_are_sent_soon_and_together() -> None:
    async def work() -> None:
        service = Service()
        service.listen(patterns=ALL)
        service.subscribe(1)
        service.subscribe(2)
        assert service.delivered == 0
        await asyncio.sleep(0)
        assert service.delivered == 1
        service.subscribe(3)
        await asyncio.sleep(0)
        assert service.delivered == 2

    asyncio.run(work())

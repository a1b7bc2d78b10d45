"""What is disconnected because of a deadline, and what is not; the time is the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from pyro_events.broker.accounting import Loss, TotalBytes, queued_event
from pyro_events.broker.backlog import Backlog
from pyro_events.options import BacklogOptions, ServiceOptions
from pyro_events.server.limits.flow_control import TOTAL, BlockedPublish, BlockedPublishes
from pyro_events.server.timeouts import Timeouts, check_intervals

OPTIONS = ServiceOptions(delivery_deadline=10, linger=5, frame_timeout=30, total_backlog_bytes=1000)


class FakeConnection:
    """A client, of which a few bytes are read."""

    peer = label = "h"

    def __init__(self, buffered: int = 0, unsent: int = 0, held: int = 0) -> None:
        self.buffered = buffered
        self.unsent = unsent
        self.held = held
        self.aborted = False
        self.refusals: list[str] = []
        self.looks = 0

    def refuse(self, reason: str) -> None:
        self.refusals.append(reason)

    def abort(self) -> None:
        self.aborted = True

    def check(self) -> None:
        self.looks += 1


class FakeClients(set[Any]):
    """The clients, and those of them that have begun a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.unfinished: dict[Any, float] = {}

    def watch(self, connection: Any, unfinished: bool) -> None:
        if unfinished:
            self.unfinished[connection] = asyncio.get_running_loop().time()
        else:
            self.unfinished.pop(connection, None)


class FakeDelivery:
    """A delivery that was last heard from at a time that the test chooses."""

    def __init__(self, events: int = 0, heard: float = 0.0, alive: bool = True) -> None:
        self.backlog = Backlog("PYRO:s@h:1", BacklogOptions(), TotalBytes())
        for _ in range(events):
            self.backlog.push(queued_event("a", 0.0, b""))
        self.last_acknowledged = heard
        self.alive = alive
        self.closed: list[Loss] = []
        self.given_up: list[Loss] = []
        self.beats = 0

    def close(self, reason: Loss, explanation: str = "") -> None:
        self.closed.append(reason)

    def heartbeat(self) -> bool:
        self.beats += 1
        return self.alive


class FakeGroups:
    """No group: each backlog has a delivery of its own."""

    table: dict[Backlog, Any]

    def of(self, backlog: Backlog) -> list[Any]:
        return [self.table[backlog]] if backlog in self.table else []

    takers = culprits = of


class Limits:
    """What the timeouts look at. begin: the loop's time when they were made."""

    def __init__(self, *deliveries: FakeDelivery, options: ServiceOptions = OPTIONS) -> None:
        self.broker: Any = SimpleNamespace(
            backlog_bytes=0, most_bytes=OPTIONS.total_backlog_bytes, relieved=False, groups=[]
        )
        self.holding = BlockedPublishes()
        self.deliveries: Any = SimpleNamespace(
            table={each.backlog: each for each in deliveries},
            lingering={},
            disconnect_unresponsive=self._give_up,
            check=lambda: None,
            groups=FakeGroups(),
        )
        self.deliveries.groups.table = self.deliveries.table
        self.gone: list[FakeDelivery] = []
        self.enough = 1  # so many must go until publishers go on
        self.clients: Any = FakeClients()
        self.begin = asyncio.get_running_loop().time()
        self.events: Any = SimpleNamespace(check=lambda: None)
        self.expired: list[Any] = []
        expiry: Any = SimpleNamespace(check=self.expired.extend)
        self.timeouts: Any = Timeouts(
            options, self.broker, self.holding, self.deliveries, self.clients, self.events, expiry
        )

    def _give_up(self, delivery: Any, reason: Loss, explanation: str) -> None:
        delivery.given_up.append(reason)
        self.gone.append(delivery)
        self.broker.relieved = len(self.gone) >= self.enough

    def hold_up(self, *obstacles: Any) -> None:
        self.holding.hold(BlockedPublish(self.holding, iter(()), 0, 0.0), obstacles, 0.0)


def in_a_loop(work: Callable[[], None]) -> None:
    """Run on a loop's thread; the loop's own timers never come to it."""

    async def once() -> None:
        work()

    asyncio.run(once())


def test_a_message_that_was_begun_must_be_finished() -> None:
    def work() -> None:
        limits, slow, fast, gone = Limits(), FakeConnection(), FakeConnection(), FakeConnection()
        for each in (slow, fast, gone):
            limits.clients.watch(each, True)
        limits.clients.watch(fast, False)
        limits.clients.watch(gone, False)
        limits.clients.watch(gone, False)
        limits.timeouts.check(limits.begin + 29)
        assert slow.refusals == []
        limits.timeouts.check(limits.begin + 40)
        assert slow.refusals == ["the rest of a message did not come in time"]
        assert fast.refusals == gone.refusals == []

    in_a_loop(work)


@pytest.mark.parametrize(
    ("backlogs", "half_read", "who"),
    [(0, 0, []), (200, 0, [1]), (200, 300, [1]), (600, 0, [1, 2]), (1000, 0, [1, 2, 0])],
)
def test_calls_that_are_held_up_go_the_largest_first_until_there_is_space(
    backlogs: int, half_read: int, who: list[int]
) -> None:
    def work() -> None:
        limits = Limits()
        limits.broker.backlog_bytes = backlogs
        half = FakeConnection(buffered=half_read)
        if half_read:
            limits.clients.watch(half, True)
        clients = [FakeConnection(held=size) for size in (200, 400, 300, 0)]
        limits.clients.update(clients)
        limits.timeouts.check(limits.begin)
        assert not any(each.aborted for each in clients), "nothing is held up yet"
        limits.hold_up(TOTAL)
        limits.timeouts.check(limits.begin)
        assert {number for number, each in enumerate(clients) if each.aborted} == set(who)
        assert len(half.refusals) == bool(half_read), "what is only half read goes first"

    in_a_loop(work)


@pytest.mark.parametrize(("held", "who"), [(0, []), (100, [0]), (500, [0, 1]), (1000, [0, 1, 2])])
def test_half_read_messages_go_the_oldest_first_until_there_is_space(held: int, who: list[int]) -> None:
    def work() -> None:
        limits = Limits()
        limits.broker.backlog_bytes = held
        clients = [FakeConnection(400), FakeConnection(300), FakeConnection(300)]
        for each in clients:
            limits.clients.watch(each, True)
        for _ in range(2):
            limits.timeouts.check(limits.begin)
        assert [number for number, each in enumerate(clients) if each.refusals] == who
        assert all(len(each.refusals) < 2 for each in clients)

    in_a_loop(work)


@pytest.mark.parametrize(("held", "who"), [(0, []), (100, [1]), (500, [1, 2]), (1000, [0, 1, 2])])
def test_clients_that_do_not_read_answers_go_the_largest_first_until_there_is_space(
    held: int, who: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> None:
        limits = Limits()
        limits.broker.backlog_bytes = held
        clients = [FakeConnection(unsent=size) for size in (200, 450, 350, 0)]
        limits.clients.update(clients)
        limits.timeouts.bound_unsent()
        assert [number for number, each in enumerate(clients) if each.aborted] == who
        assert ("does not read its answers" in caplog.text) is bool(who)

    in_a_loop(work)


@pytest.mark.parametrize(
    ("events", "heard", "now", "closed"),
    [
        (0, 0, 4, []),
        (0, 0, 6, [Loss.GONE]),
        (1, 0, 6, []),  # it still gets what was queued before
        (1, 0, 11, [Loss.GONE]),  # but it does not take that
        (1, 5, 11, []),
    ],
)
def test_a_delivery_without_subscriptions_lingers_until_it_has_sent_everything(
    events: int, heard: float, now: float, closed: list[Loss]
) -> None:
    def work() -> None:
        link = FakeDelivery(events, heard)
        limits = Limits(link)
        limits.deliveries.lingering[link] = 0.0
        limits.timeouts.check(now)
        assert link.closed == closed

    in_a_loop(work)


def test_a_subscriber_that_blocks_a_publisher_must_acknowledge_in_time() -> None:
    def work() -> None:
        silent, taking, other = FakeDelivery(1), FakeDelivery(1), FakeDelivery(1)
        limits = Limits(silent, taking, other)
        limits.hold_up(silent.backlog, taking.backlog)
        limits.hold_up(FakeDelivery().backlog)  # of a delivery that has just closed
        limits.timeouts.check(2)
        taking.last_acknowledged = 3
        limits.timeouts.check(9)
        assert silent.given_up == []
        limits.timeouts.check(11)
        assert silent.given_up == [Loss.DEADLINE]
        assert taking.given_up == other.given_up == []
        limits.timeouts.check(22)
        assert taking.given_up == [Loss.DEADLINE]

    in_a_loop(work)


@pytest.mark.parametrize("acknowledged", [0, 10])
def test_one_that_blocks_nobody_after_another_was_disconnected_stays(acknowledged: float) -> None:
    """Both are of one daemon, whose right to block is taken when the first one goes."""

    def work() -> None:
        first, second = FakeDelivery(1), FakeDelivery(1)
        limits = Limits(first, second)
        limits.hold_up(first.backlog, second.backlog)
        limits.hold_up(TOTAL)
        disconnect_unresponsive = limits.deliveries.disconnect_unresponsive

        def give_up_and_release(*arguments: Any) -> None:
            disconnect_unresponsive(*arguments)
            limits.holding.release(first.backlog)
            limits.holding.release(second.backlog)

        limits.deliveries.disconnect_unresponsive = give_up_and_release
        limits.timeouts.check(9)
        second.last_acknowledged = acknowledged
        limits.broker.relieved = True
        limits.timeouts.check(11)
        assert (first.given_up, second.given_up) == ([Loss.DEADLINE], [])

    in_a_loop(work)


def test_one_that_has_just_acknowledged_gets_the_whole_deadline_again() -> None:
    """Publishers came for a moment each time that it was busy."""

    def work() -> None:
        busy = FakeDelivery(1)
        limits = Limits(busy)
        for now in range(0, 100, 20):
            held = BlockedPublish(limits.holding, iter(()), 0, 0.0)
            limits.holding.hold(held, [busy.backlog], now + 11)
            limits.timeouts.check(now + 12)
            limits.timeouts.check(now + 19)
            held.abandon()
            busy.last_acknowledged = now + 19.5
        assert busy.given_up == []

    in_a_loop(work)


@pytest.mark.parametrize(
    ("events", "acknowledged", "enough", "who"),
    [
        ((1, 5, 3), (0, 0, 0), 1, [1]),  # the one that holds most
        ((1, 5, 3), (0, 0, 0), 2, [1, 2]),  # again and again
        ((4, 5, 3), (0, 3, 0), 1, [0]),  # and has freed least of it
        ((4, 5, 3), (0, 1, 0), 1, [0]),  # a sign of life is not progress
        ((4, 7, 3), (0, 1, 0), 2, [1, 0]),
        ((4, 5, 3), (2, 3, 2), 3, []),  # one that frees as much as it holds is not a cause
    ],
)
def test_when_the_total_is_full_those_go_that_hold_most_and_free_least(
    events: tuple[int, ...], acknowledged: tuple[int, ...], enough: int, who: list[int]
) -> None:
    def work() -> None:
        idle, *waiting = FakeDelivery(), *map(FakeDelivery, events)
        limits = Limits(idle, *waiting)
        limits.enough = enough
        limits.hold_up(TOTAL)
        limits.timeouts.check(1)
        for link, count in zip(waiting, acknowledged, strict=True):
            if count:
                link.backlog.acknowledge(link.backlog.take(count, 100_000))
        limits.timeouts.check(9)
        assert limits.gone == []
        limits.timeouts.check(11)
        assert [waiting.index(each) for each in limits.gone] == who
        assert idle.given_up == []

    in_a_loop(work)


def test_progress_is_measured_from_when_the_total_began_to_hold_publishers_up() -> None:
    def work() -> None:
        before, since = FakeDelivery(9), FakeDelivery(8)
        limits = Limits(before, since)
        limits.hold_up(TOTAL)
        limits.timeouts.check(1)
        before.backlog.acknowledge(before.backlog.take(8, 100_000))
        limits.holding.release(TOTAL)
        held = BlockedPublish(limits.holding, iter(()), 0, 0.0)
        limits.holding.hold(held, [TOTAL], 1.1)
        limits.timeouts.check(1.25)
        since.backlog.acknowledge(since.backlog.take(7, 100_000))
        limits.timeouts.check(12)
        assert limits.gone == [before]

    in_a_loop(work)


def test_a_full_total_without_a_cause_disconnects_nobody() -> None:
    def work() -> None:
        idle = FakeDelivery()
        limits = Limits(idle)
        limits.hold_up(TOTAL)
        limits.timeouts.check(11)
        assert idle.given_up == []

    in_a_loop(work)


def test_what_has_expired_is_looked_for_at_once_where_publishers_wait() -> None:
    def work() -> None:
        frozen = FakeDelivery(events=1)
        limits = Limits(frozen)
        limits.timeouts.check(limits.begin)
        assert limits.expired == []
        limits.hold_up(TOTAL)
        limits.timeouts.check(limits.begin)
        assert limits.expired == [frozen.backlog]

    in_a_loop(work)


@pytest.mark.parametrize(
    ("times", "intervals"),
    [
        ({}, (0.25, 1.0)),
        ({"delivery_deadline": 0.8, "heartbeat_answer": 0.4}, (0.1, 0.1)),
        ({"linger": 0.4, "heartbeat": 0.8}, (0.05, 0.2)),
        ({"frame_timeout": 1.6, "block_suspension": 2.0}, (0.2, 0.5)),
        ({"linger": 0.0001, "heartbeat": 0.0001}, (0.01, 0.01)),
    ],
)
def test_short_times_are_looked_after_often(times: dict[str, float], intervals: tuple[float, float]) -> None:
    assert check_intervals(ServiceOptions(**times)) == pytest.approx(intervals)


def test_they_look_again_and_again_until_they_are_stopped() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        looked: asyncio.Future[None] = loop.create_future()
        active, silent = FakeDelivery(), FakeDelivery(alive=False)
        late, client = FakeDelivery(), FakeConnection()
        waiting = FakeConnection(held=2 * OPTIONS.total_backlog_bytes)  # for the pool, so nothing is held up
        limits = Limits(active, silent, options=replace(OPTIONS, linger=0.01, heartbeat=0.01))
        limits.clients.update({client, waiting})
        limits.deliveries.lingering[late] = 0.0

        def enough() -> None:
            if min(active.beats, client.looks, len(late.closed)) >= 3:
                looked.set_result(None)
            else:
                loop.call_soon(enough)

        enough()
        await asyncio.wait_for(looked, 10)
        limits.timeouts.stop()
        assert active.given_up == []
        assert set(silent.given_up) == {Loss.GONE}
        assert waiting.aborted and not client.aborted
        assert active.backlog in limits.expired, "it may have expired events"

    asyncio.run(work())

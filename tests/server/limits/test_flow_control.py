"""Which publications wait for what, without a loop."""

from __future__ import annotations

from pyro_events.broker.accounting import TotalBytes
from pyro_events.broker.backlog import Backlog
from pyro_events.broker.publishing import Entry
from pyro_events.options import BacklogOptions
from pyro_events.server.limits.flow_control import TOTAL, BlockedPublish, BlockedPublishes


def backlog(name: str) -> Backlog:
    return Backlog(name, BacklogOptions(), TotalBytes())


def test_a_publication_waits_for_all_of_its_obstacles() -> None:
    holding, one, two = BlockedPublishes(), backlog("one"), backlog("two")
    held = BlockedPublish(holding, iter(()), 3, 0.0)
    holding.hold(held, [one, two, TOTAL], 10.0)
    assert holding.holds(one) and holding.holds(two) and holding.holds(TOTAL)
    assert holding.release(one) == []
    assert not holding.holds(one)
    assert holding.release(TOTAL) == []
    assert holding.release(two) == [held]
    assert holding.check(20.0) == []


def test_those_that_waited_longest_are_freed_first() -> None:
    holding, one = BlockedPublishes(), backlog("one")
    held = [BlockedPublish(holding, iter(()), 0, 0.0) for _ in range(5)]
    for number, each in enumerate(held):
        holding.hold(each, [one], float(number))
    assert holding.check(10.0) == [(one, 10.0)]
    assert holding.release(one) == held
    assert holding.release(one) == []


def test_an_abandoned_publication_is_waited_for_no_longer() -> None:
    holding, one = BlockedPublishes(), backlog("one")
    first, second = (BlockedPublish(holding, iter(()), 0, 0.0) for _ in range(2))
    holding.hold(first, [one, TOTAL], 1.0)
    holding.hold(second, [one], 2.0)
    first.abandon()
    assert first.abandoned
    assert holding.check(5.0) == [(one, 3.0)]
    assert holding.release(one) == [second]
    second.abandon()  # harmless when nothing holds it


def test_a_settled_publication_hands_its_count_over_unless_it_was_abandoned() -> None:
    holding = BlockedPublishes()
    counts: list[int] = []
    done, gone = BlockedPublish(holding, iter(()), 4, 0.0), BlockedPublish(holding, iter(()), 5, 0.0)
    for each in (done, gone):
        each.when_done(counts.append)
    gone.abandon()
    for each in (done, gone):
        each.settle(each.queued)
    assert counts == [4]


def test_publishers_that_give_up_and_come_again_do_not_restart_the_time() -> None:
    holding, one = BlockedPublishes(), backlog("one")
    now = 0.0
    for _ in range(10):
        impatient = BlockedPublish(holding, iter(()), 0, 0.0)
        holding.hold(impatient, [one], now)
        holding.check(now + 1.5)
        impatient.abandon()
        assert holding.check(now + 2.0) == []
        now += 2.0
    holding.hold(BlockedPublish(holding, iter(()), 0, 0.0), [one], now)
    assert holding.check(now) == [(one, 15.0)]
    holding.restart(one)  # it has moved
    assert holding.check(now + 1.0) == [(one, 1.0)]
    assert holding.release(one)
    assert not holding.holds(one)


def test_many_entries_are_not_measured_each_time_that_one_of_them_blocks_the_call() -> None:
    looked = 0

    class Message(bytes):
        def __len__(self) -> int:
            nonlocal looked
            looked += 1
            return super().__len__()

    entries: list[Entry] = [(["a"], Message(b"x" * 10)) for _ in range(1_000)]
    holding, one, rest = BlockedPublishes(), backlog("one"), iter(entries)
    held = BlockedPublish(holding, rest, 0, 0.0)
    sizes = []
    for _ in range(1_000):
        next(held.entries)
        holding.hold(held, [one], 0.0)
        sizes.append(held.held)
        assert holding.release(one) == [held]
    assert looked < 3_000
    left = [10 * (999 - number) for number in range(1_000)]
    assert all(exact <= size <= 2 * exact + 200 for exact, size in zip(left, sizes, strict=True))
    assert sizes[-1] == 0

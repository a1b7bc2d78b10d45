"""Which subscribers of one program may make a request."""

from __future__ import annotations

import pytest

from pyro_events.client.reconnect.reconnect_queue import ReconnectQueue
from pyro_events.client.reconnect.state import NEVER
from pyro_events.client.reconnect.times import ReconnectTimes

HERE, THERE = "here", "there"
AT_ONCE = 3


class One:
    def __init__(self, number: int) -> None:
        self.number = number
        self.times = ReconnectTimes(spread=lambda: 1.0)


@pytest.fixture
def queue() -> ReconnectQueue[One]:
    return ReconnectQueue(AT_ONCE)


def join(queue: ReconnectQueue[One], count: int, address: str = HERE) -> list[One]:
    """So many subscribers that want to make a request one after the other."""
    many = [One(number) for number in range(count)]
    for one in many:
        queue.join(one, address)
    return many


def taken(queue: ReconnectQueue[One], now: float = 0.0) -> list[One]:
    """All subscribers that may make a request now."""
    found = []
    while (one := queue.take(now)) is not None:
        found.append(one)
    return found


def test_a_few_go_side_by_side_and_the_next_when_one_is_done(queue: ReconnectQueue[One]) -> None:
    many = join(queue, AT_ONCE + 3)
    assert taken(queue) == many[:AT_ONCE]
    assert queue.due() == NEVER
    queue.finished(many[1], 1.0, reached=True)
    queue.finished(many[1], 1.0, reached=True)
    assert taken(queue) == [many[AT_ONCE]]
    queue.finished(many[0], 1.0, reached=None)
    assert taken(queue) == [many[AT_ONCE + 1]]
    assert len(queue) == AT_ONCE + 1


def test_after_a_failure_one_at_a_time_tries_with_growing_pauses(queue: ReconnectQueue[One]) -> None:
    many = join(queue, AT_ONCE + 2)
    for one in taken(queue):
        queue.finished(one, 10.0, reached=False)
        # Simultaneous requests count once.
        assert taken(queue, 10.05) == []
    pauses, now = [], 10.0
    for one in many[AT_ONCE:]:
        pauses.append(queue.due() - now)
        now = queue.due()
        assert taken(queue, now) == [one]
        queue.finished(one, now, reached=False)
    assert pauses == pytest.approx([0.1, 0.2])
    more = join(queue, AT_ONCE + 1)
    assert taken(queue, queue.due()) == more[:1]
    queue.finished(more[0], 20.0, reached=True)
    assert taken(queue, 20.0) == more[1:]


def test_who_tries_for_many_tries_more_often(queue: ReconnectQueue[One]) -> None:
    many = join(queue, 10)
    for one in taken(queue):
        queue.finished(one, 0.0, reached=False)
    assert queue.due() == pytest.approx(0.1 / 4)
    assert taken(queue, 1.0) == [many[AT_ONCE]]


def test_after_a_failure_that_lasts_the_pauses_are_much_longer(queue: ReconnectQueue[One]) -> None:
    one, other = join(queue, 2)
    taken(queue)
    queue.finished(one, 0.0, reached=False)
    queue.finished(other, 0.0, reached=False, lasting=True)
    queue.join(one, HERE)
    assert queue.due() == pytest.approx(0.1 * one.times.lasting)


def test_a_failure_is_remembered_though_nobody_waits(queue: ReconnectQueue[One]) -> None:
    """All of them wait for times of their own before they come again."""
    for number in range(3):
        (one,) = join(queue, 1)
        now = queue.due()
        assert taken(queue, now) == [one]
        queue.finished(one, now, reached=False)
        assert queue.due() == NEVER
        queue.join(one, HERE)
        assert queue.due() == pytest.approx(now + 0.1 * 2**number)
        queue.leave(one)


def test_an_address_that_nobody_wants_is_forgotten(queue: ReconnectQueue[One]) -> None:
    for address, reached in ((HERE, True), (THERE, False)):
        (one,) = join(queue, 1, address)
        taken(queue, 1000.0)
        queue.finished(one, 0.0, reached)
    assert list(queue._addresses) == [THERE]
    (one,) = join(queue, 1)
    taken(queue, 1000.0)
    queue.finished(one, 1000.0, reached=True)
    assert not queue._addresses


def test_addresses_do_not_wait_for_each_other(queue: ReconnectQueue[One]) -> None:
    here, there = join(queue, AT_ONCE + 1), join(queue, 2, THERE)
    order = taken(queue)
    assert order[:4] == [here[0], there[0], here[1], there[1]]
    queue.join(here[-1], THERE)
    assert taken(queue) == [here[-1]]
    assert queue.running(THERE) and set(queue.running(THERE)) == {*there, here[-1]}
    assert queue.running("nowhere") == []


def test_a_subscriber_that_leaves_delays_no_others(queue: ReconnectQueue[One]) -> None:
    many = join(queue, AT_ONCE + 2)
    taken(queue)
    queue.leave(many[0])
    queue.leave(many[0])
    queue.leave(many[AT_ONCE])
    assert taken(queue) == [many[AT_ONCE + 1]]
    queue.finished(many[0], 5.0, reached=False)  # which is nobody's concern any more
    assert not queue._addresses[HERE].failing

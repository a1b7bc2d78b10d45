"""The account of every event: each is in one state, and every state is counted."""

from __future__ import annotations

import pytest

from pyro_events.client.background.options import BackgroundOptions
from pyro_events.client.background.queue import BackgroundQueue, queue_for


def filled(*subjects: str) -> BackgroundQueue:
    """A queue in which one event of each subject waits."""
    queue = queue_for(BackgroundOptions())
    for subject in subjects:
        queue.inbox.append(((subject, b"\x01"), 1, 100))
    queue.admit_all()
    return queue


def numbers(queue: BackgroundQueue) -> tuple[int, ...]:
    return queue.accepted, queue.published, queue.refused, queue.unknown, queue.unsettled


def test_what_was_sent_is_unsettled_until_its_outcome_is_known() -> None:
    queue = filled("A", "B", "C")
    batch = queue.take()
    assert batch is not None and batch.events == 3 and numbers(queue) == (3, 0, 0, 0, 3)
    queue.sent(batch)
    assert numbers(queue) == (3, 0, 0, 0, 3) and queue.held == queue.held_bytes == 0
    queue.acknowledged(batch, 6)
    assert numbers(queue) == (3, 3, 0, 0, 0) and queue.queued == 6


@pytest.mark.parametrize("left", [True, False])
def test_a_batch_is_refused_or_lost_while_it_is_sent_or_afterwards(left: bool) -> None:
    queue = filled("A")
    refused = queue.take()
    assert refused is not None
    if left:
        queue.sent(refused)
    queue.not_accepted(refused)
    assert numbers(queue) == (1, 0, 1, 0, 0) and queue.settled(1)
    queue.inbox.append((("B", b"\x01"), 1, 100))
    queue.admit_all()
    lost = queue.take()
    assert lost is not None and not queue.settled(2)
    if left:
        queue.sent(lost)
    queue.lost(lost)
    assert numbers(queue) == (2, 0, 1, 1, 0) and queue.settled(2)


def test_the_oldest_event_without_an_outcome_decides_what_is_settled() -> None:
    queue = filled("A")
    first = queue.take()
    assert first is not None
    queue.sent(first)
    queue.inbox.append((("B", b"\x01"), 1, 100))
    queue.admit_all()
    second = queue.take()
    assert second is not None
    queue.not_accepted(second)
    assert not queue.settled(1) and not queue.settled(2)
    queue.acknowledged(first, 0)
    assert queue.settled(2)


def test_overflow_is_counted_until_the_queue_has_caught_up() -> None:
    queue = queue_for(BackgroundOptions(limit=1))
    for number in range(3):
        queue.inbox.append((("A", bytes([number])), 1, 100))
    queue.admit_all()
    assert queue.overflowed == 2 and queue.caught_up() == 2
    assert queue.overflowed == queue.caught_up() == 0 and queue.dropped["drop-oldest"] == 2

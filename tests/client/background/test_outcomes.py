"""What is logged of events in the background: once for each episode, and what the statistics are told."""

from __future__ import annotations

import pytest
from log_lines import counted

from pyro_events.client.background.accounts import Batch
from pyro_events.client.background.options import BackgroundOptions
from pyro_events.client.background.outcomes import Outcomes
from pyro_events.client.background.shared_queue import SharedQueue


class Counted:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.figures = [0, 0, 0]

    def count(self, published: int = 0, queued: int = 0, unknown: int = 0) -> None:
        self.figures = [
            one + other for one, other in zip(self.figures, (published, queued, unknown), strict=True)
        ]


@pytest.fixture
def queue() -> SharedQueue:
    return SharedQueue(BackgroundOptions(limit=2))


@pytest.fixture
def counter() -> Counted:
    return Counted()


@pytest.fixture
def outcomes(queue: SharedQueue, counter: Counted) -> Outcomes:
    return Outcomes(queue, counter, "oven")


def take(queue: SharedQueue) -> Batch:
    """Publish two events, and take them."""
    queue.publish((["A", "B"], b"\x01"), 2, 10)
    batch = queue.use(lambda queue: queue.take())
    assert batch is not None
    return batch


def test_an_outcome_is_counted_everywhere(
    queue: SharedQueue, counter: Counted, outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes.acknowledged(take(queue), 6)
    outcomes.refused(take(queue), ValueError("no"))
    outcomes.unknown(take(queue), ConnectionError("it broke"))
    figures = queue.statistics(0, True, None, "oven")
    assert (figures.published, figures.refused, figures.unknown) == (2, 2, 2) and figures.queued == 6
    assert counter.figures == [2, 6, 2]
    assert "oven: the event service has refused 2 events: no" in caplog.text
    assert "oven: whether 2 events were published is unknown: it broke" in caplog.text


def test_each_absence_of_the_service_is_logged_once(
    outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes.reached()
    for _ in range(2):
        for reason in ("refused", "no route"):
            outcomes.lost(ConnectionError(reason))
        assert outcomes.away == "no route"
        outcomes.reached()
        outcomes.reached()
        assert outcomes.away is None
    assert counted(caplog.records, "is away, and what is published in the background waits: refused") == 2
    assert counted(caplog.records, "no route") == 0 and counted(caplog.records, "is back") == 2


def test_each_overflow_is_logged_once_with_its_number(
    queue: SharedQueue, outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes.caught_up()
    for reason in ("more slowly than they are published", "it is away"):
        for _ in range(3):
            queue.publish((["A", "B"], b"\x01"), 2, 10)
        outcomes.overflowed()
        outcomes.overflowed()
        assert counted(caplog.records, reason) == 1
        batch = queue.use(lambda queue: queue.take())
        assert batch is not None
        outcomes.acknowledged(batch, 0)
        outcomes.caught_up()
        assert not queue.overflowed
        outcomes.lost(ConnectionError("gone"))
    assert counted(caplog.records, "caught up; 4 events were dropped") == 2


def test_the_end_drops_what_waits_and_says_how_much(
    queue: SharedQueue, outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    queue.publish((["A", "B"], b"\x01"), 2, 10)
    outcomes.ended()
    outcomes.ended()
    assert counted(caplog.records, "oven: the background publisher ended before 2 events were sent") == 1
    assert queue.empty


def test_a_forked_child_begins_anew(outcomes: Outcomes) -> None:
    outcomes.lost(ConnectionError("gone"))
    outcomes.overflowed()
    outcomes.reset()
    assert outcomes.away is None

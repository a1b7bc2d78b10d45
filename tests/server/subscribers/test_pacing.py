"""The pace of a subscriber: half a second's work at most, held against a model that remembers every batch.

Knows: what a batch may cost a subscriber. Must not know: how the pace is kept.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyro_events.constants import BATCH_EVENTS, BATCH_SECONDS, LATEST_SECONDS
from pyro_events.server.subscribers.pacing import BatchPacer

QUICKEST = Fraction(1, 10**6)  # no event takes less


class Model:
    """The size of the next batch from all those before, in exact numbers."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, Fraction, bool]] = []  # events, seconds, whether for `latest`

    def _paces(self) -> list[Fraction]:
        """The seconds for an event of each batch; for `latest` without the way there and back."""
        paces = []
        way: Fraction | None = None
        for events, seconds, latest in self.batches:
            if latest:
                way = seconds if way is None or seconds < way else way + (seconds - way) / 64
                seconds = max(Fraction(0), seconds - way)
            paces.append(seconds / events)
        return paces

    def _pace(self) -> Fraction:
        """The slowest, where each batch since has taken half of the difference to its own pace away."""
        slowest = Fraction(0)
        paces = self._paces()
        for at, held in enumerate(paces):
            for later in paces[at + 1 :]:
                held = (held + later) / 2
            slowest = max(slowest, held)
        return slowest

    def limit(self, before: int, window: int, latest: bool) -> int:
        budget = Fraction(LATEST_SECONDS) if latest else Fraction(BATCH_SECONDS) / window
        fitting = int(budget / max(self._pace(), QUICKEST))
        return max(1, min(fitting, 2 * max(before, self.batches[-1][0]), BATCH_EVENTS))


microseconds = st.integers(0, 2_000_000) | st.integers(0, 3_000)
steps = st.tuples(
    st.integers(1, 100),  # the part of the limit that waited, in per cent
    microseconds,  # that the batch takes
    microseconds,  # that pass before the next one
    st.sampled_from([(True, False), (True, True), (False, False), (False, True)]),  # how it is configured
)


@settings(deadline=None, max_examples=150)
@given(st.lists(steps, min_size=1, max_size=30))
def test_every_history_is_paced_as_the_model_says(
    history: list[tuple[int, int, int, tuple[bool, bool]]],
) -> None:
    pacer, model, now = BatchPacer(), Model(), 0
    for part, taken, idle, (takes_batches, latest) in history:
        pacer.configure(takes_batches, latest)
        assert pacer.window == (2 if takes_batches and not latest else 1)
        before = pacer.limit
        events = max(1, before * part // 100)
        pacer.sent(now / 1e6)
        now += taken
        pacer.acknowledged(events, now / 1e6)
        model.batches.append((events, Fraction(taken, 10**6), latest))
        assert abs(pacer.limit - model.limit(before, pacer.window, latest)) <= 1  # of rounding
        assert 1 <= pacer.limit <= min(BATCH_EVENTS, 2 * before)
        now += idle


@settings(deadline=None)
@given(pace=st.integers(1, 3_000_000), window=st.sampled_from([1, 2]))
def test_a_steady_subscriber_gets_half_a_second_of_work_and_no_more(pace: int, window: int) -> None:
    """Batches of a second's work are never sent, from the first on."""
    pacer, now = BatchPacer(), 0.0
    pacer.configure(window == 2, latest=False)
    for _ in range(20):
        events = pacer.limit
        assert events == 1 or events * window * pace <= BATCH_SECONDS * 1_000_001
        pacer.sent(now)
        now += events * pace / 1e6
        pacer.acknowledged(events, now)
    fitting = BATCH_SECONDS * 1e6 / window / pace
    assert max(1, min(fitting, BATCH_EVENTS)) - 1.001 <= pacer.limit <= max(1, fitting * 1.001)


@pytest.mark.parametrize("way", [0.0, 0.001, 0.2])
def test_with_latest_a_batch_is_little_work_however_far_the_subscriber_is(way: float) -> None:
    pacer, now = BatchPacer(), 0.0
    pacer.configure(takes_batches=True, latest=True)
    pace = 0.001
    pacer.sent(now)
    now += way
    pacer.acknowledged(1, now)  # as quick as the way allows
    for _ in range(50):
        pacer.sent(now)
        events = pacer.limit
        now += way + events * pace
        pacer.acknowledged(events, now)
    assert LATEST_SECONDS / pace / 2 <= pacer.limit <= 4 * LATEST_SECONDS / pace


def test_a_subscriber_that_has_become_slow_gets_less_at_once() -> None:
    pacer = BatchPacer()
    pacer.configure(takes_batches=True, latest=False)
    for now in range(20):
        pacer.sent(now)
        pacer.acknowledged(pacer.limit, now + 0.001)
    assert pacer.limit == BATCH_EVENTS
    pacer.sent(100.0)
    pacer.acknowledged(10, 101.0)
    assert pacer.limit == 2


def test_what_is_sent_ahead_is_begun_when_the_batch_before_it_is_done() -> None:
    """And a time without a batch counts for nothing."""
    pacer = BatchPacer()
    pacer.configure(takes_batches=True, latest=False)
    pacer.sent(1000.0)
    pacer.acknowledged(1, 1000.1)  # a second one was sent meanwhile
    pacer.acknowledged(1, 1000.2)
    assert pacer.limit == 2

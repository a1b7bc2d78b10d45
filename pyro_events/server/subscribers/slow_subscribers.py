"""Slow subscribers: those whose backlogs stay nearly full. The log says so, and an event of the service.

Knows: when an episode begins and ends. It begins when a backlog is three quarters full and does not become
calm for a while. It ends when the backlog stays calm for longer: at most a quarter full, and losing nothing.
Must not know: deliveries, publishers, or deadlines.

A display that watches a fast camera has a full backlog thirty times a second, and an empty one in between:
that is one episode: two lines in the log, and two events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ...broker.backlog import Backlog
from ...client_name import described
from ...constants import CAUGHT_UP_AFTER, SLOW_AFTER
from ...log.background import get_logger

log = get_logger("pyro_events.engine")


class _Episode:
    """since: when it began, or since when it is calm, None while it is not. lost: events lost to overflow."""

    __slots__ = ("lost", "since", "slow")

    def __init__(self, backlog: Backlog, now: float) -> None:
        self.since: float | None = now
        self.slow = False
        self.lost = backlog.overflowed

    def calm(self, backlog: Backlog) -> bool:
        """Whether the backlog is nearly empty, and has lost nothing since the last check."""
        lost, self.lost = self.lost, backlog.overflowed
        return backlog.relaxed and lost == self.lost


class Episodes(Protocol):
    """What is told when an episode begins and ends."""

    def slow(self, backlog: Backlog) -> None: ...

    def recovered(self, backlog: Backlog) -> None: ...


class SlowSubscribers:
    """The episodes of all subscribers of one service, checked at intervals."""

    def __init__(
        self, events: Episodes, slow_after: float = SLOW_AFTER, caught_up_after: float = CAUGHT_UP_AFTER
    ) -> None:
        """events: publishes them. slow_after, caught_up_after: how long a state lasts before it is told, in
        seconds."""
        self._events = events
        self._slow_after = slow_after
        self._caught_up_after = caught_up_after
        self._episodes: dict[Backlog, _Episode] = {}

    def check(self, backlogs: Iterable[Backlog], now: float) -> None:
        """Tell which subscribers have become slow, and which have caught up. now: in seconds."""
        before, self._episodes = self._episodes, {}
        for backlog in backlogs:
            episode = before.get(backlog)
            if episode is None and backlog.crowded:
                episode = _Episode(backlog, now)
            if episode is not None and self._goes_on(episode, backlog, now):
                self._episodes[backlog] = episode

    def _goes_on(self, episode: _Episode, backlog: Backlog, now: float) -> bool:
        calm = episode.calm(backlog)
        name = described(backlog.name, backlog.subscriber)
        if not episode.slow:
            if not calm and episode.since is not None and now - episode.since >= self._slow_after:
                episode.slow, episode.since = True, None
                log.warning("%s is slow: %d events wait for it", name, len(backlog), about=backlog.subscriber)
                self._events.slow(backlog)
            return not calm
        if not calm:
            episode.since = None
        elif episode.since is None:
            episode.since = now
        elif now - episode.since >= self._caught_up_after:
            log.warning("%s has caught up", name, about=backlog.subscriber)
            self._events.recovered(backlog)
            return False
        return True

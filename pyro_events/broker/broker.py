"""Broker: who gets what. The few verbs that the engine speaks to the core.

Knows: subscribers by their URIs, routing, backlogs, and the limits of a subscriber. Must not know:
sockets, threads, the clock (time comes in as an argument), or how events travel.

"Held up" is an answer, never a wait: a publish whose event finds a backlog full leaves that backlog
in `full`, and the engine decides what its publisher has to wait for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ..constants import MAX_SUBSCRIBER_PROGRAMS, MAX_SUBSCRIPTIONS
from ..options import BacklogOptions
from .backlog import Backlog, BacklogStatistics, Loss, Outcome, QueuedEvent, TotalBytes
from .routing import RoutingTable
from .subjects import Pattern, check_subjects, check_texts, compile_pattern

_QUEUED, _FULL = Outcome.QUEUED, Outcome.FULL


@dataclass(frozen=True)
class BrokerStatistics:
    """The service at one moment.

    published: events accepted, each name of a call one event. accepted: deliveries promised, one
    for each event and subscriber; accepted = delivered + sum(lost) + waiting, also summed over
    subscribers that are gone. backlog_bytes: held for all subscribers, events in flight included.
    """

    published: int
    accepted: int
    delivered: int
    lost: Mapping[str, int]
    waiting: int
    backlog_bytes: int
    subscribers: tuple[BacklogStatistics, ...]


class Broker:
    """Subscriptions and backlogs of one service."""

    def __init__(self, options: BacklogOptions, total_bytes: int) -> None:
        """options: a subscriber's defaults and widest bounds. total_bytes: the bound of all together."""
        self._options = options
        self._most_bytes = total_bytes
        self._routing: RoutingTable[Backlog] = RoutingTable()
        self._subscribers: dict[str, Backlog] = {}
        self._total = TotalBytes()
        self._published = 0
        self._gone_accepted = 0
        self._gone_delivered = 0
        self._gone_lost: Counter[str] = Counter()
        self.ready: list[Backlog] = []
        self.full: list[Backlog] = []
        self.failing: list[Backlog] = []

    @property
    def overloaded(self) -> bool:
        """Whether all backlogs together are beyond their bound."""
        return self._total.value > self._most_bytes

    @property
    def relieved(self) -> bool:
        """Whether publishers held up by the total may go on: an eighth of it has been freed."""
        return self._total.value <= self._most_bytes - self._most_bytes // 8

    def take_ready(self) -> list[Backlog]:
        """The backlogs that got something to send since the last call."""
        ready, self.ready = self.ready, []
        for backlog in ready:
            backlog.ready = False
        return ready

    def take_full(self) -> list[Backlog]:
        """The backlogs that were full for an event published since the last call."""
        full, self.full = self.full, []
        return full

    def take_failing(self) -> list[Backlog]:
        """The backlogs whose overflow policy asks for their disconnection, since the last call."""
        failing, self.failing = self.failing, []
        return failing

    def publish(self, subjects: Iterable[str], payload: bytes, now: float) -> int:
        """One event for each subject, which must have been checked; returns the deliveries queued.

        payload: an encoded message, shared by all. now: the time stamp, seconds since the epoch.
        """
        queued = 0
        for subject in subjects:
            self._published += 1
            targets = self._routing.match(subject)
            if not targets:
                continue
            event = QueuedEvent(subject, now, payload)
            for backlog in targets:
                outcome = backlog.push(event)
                if outcome is _QUEUED:
                    queued += 1
                elif outcome is _FULL:
                    queued += 1
                    self.full.append(backlog)
                elif outcome is Outcome.DISCONNECT:
                    self.failing.append(backlog)
                if not backlog.ready:
                    backlog.ready = True
                    self.ready.append(backlog)
        return queued

    def subscribe(
        self,
        subscriber: str,
        names: object = (),
        patterns: object = (),
        options: Mapping[str, Any] | None = None,
    ) -> Backlog:
        """Subscribe the subscriber with that URI; returns its backlog, new if it had none.

        names, patterns: one or several texts. options: what `BacklogOptions.narrowed` takes; the
        last ones given hold. Raises TypeError or ValueError, and then nothing has changed.
        """
        checked = check_subjects(names)
        compiled = [self._pattern(text) for text in check_texts(patterns)]
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"options must be a dictionary, not {type(options).__name__}")
        backlog = self._subscribers.get(subscriber)
        wanted = self._options.narrowed(options) if options else None
        if backlog is None:
            backlog = Backlog(subscriber, wanted or self._options, self._total)
        self._check_limits(backlog, checked, compiled)
        if wanted is not None:
            backlog.configure(wanted)
        self._subscribers[subscriber] = backlog
        for name in checked:
            self._routing.add_name(name, backlog)
        for pattern in compiled:
            self._routing.add_pattern(pattern, backlog)
        return backlog

    def _pattern(self, text: str) -> Pattern:
        return self._routing.known_pattern(text) or compile_pattern(text)

    def _check_limits(self, backlog: Backlog, names: list[str], patterns: list[Pattern]) -> None:
        count, programs = self._routing.would_add(backlog, names, patterns)
        if count > MAX_SUBSCRIPTIONS:
            raise ValueError(
                f"a subscriber can have {MAX_SUBSCRIPTIONS} subscriptions, this would make {count}; "
                "subscribe to a pattern instead of many names"
            )
        if programs > MAX_SUBSCRIBER_PROGRAMS:
            raise ValueError(
                f"the patterns of a subscriber can have a compiled size of {MAX_SUBSCRIBER_PROGRAMS} "
                f"together, this would make {programs}; use fewer or simpler patterns"
            )

    def find(self, subscriber: str) -> Backlog | None:
        """The backlog of the subscriber with that URI, if it has one."""
        return self._subscribers.get(subscriber)

    def subscriptions(self, backlog: Backlog) -> int:
        """How many names and patterns it is subscribed to."""
        return self._routing.count(backlog)

    def unsubscribe(self, subscriber: str, texts: object) -> Backlog | None:
        """Remove names and patterns, spelled as they were subscribed; returns its backlog, if any.

        Removing what is not there is no error. Raises TypeError or ValueError for what can be
        neither a name nor a pattern, and then nothing has changed.
        """
        checked = check_texts(texts)
        backlog = self._subscribers.get(subscriber)
        if backlog is not None:
            for text in checked:
                self._routing.remove(text, backlog)
        return backlog

    def remove(self, backlog: Backlog, reason: Loss) -> int:
        """Forget a subscriber; returns how many events are lost by that."""
        if self._subscribers.pop(backlog.subscriber, None) is None:
            return 0
        self._routing.remove_target(backlog)
        lost = backlog.lose_everything(reason)
        self._gone_accepted += backlog.accepted
        self._gone_delivered += backlog.delivered
        self._gone_lost.update(backlog.lost)
        return lost

    def backlogs(self) -> list[Backlog]:
        """All backlogs, in the order in which their subscribers came."""
        return list(self._subscribers.values())

    def statistics(self, now: float) -> BrokerStatistics:
        """A snapshot. now: the time of day, as events are stamped with it."""
        subscribers = tuple(
            backlog.statistics(self._routing.subscriptions(backlog), now)
            for backlog in self._subscribers.values()
        )
        lost = Counter(self._gone_lost)
        for subscriber in subscribers:
            lost.update(subscriber.lost)
        return BrokerStatistics(
            published=self._published,
            accepted=self._gone_accepted + sum(each.accepted for each in subscribers),
            delivered=self._gone_delivered + sum(each.delivered for each in subscribers),
            lost=dict(lost),
            waiting=sum(each.backlog + each.unacknowledged for each in subscribers),
            backlog_bytes=self._total.value,
            subscribers=subscribers,
        )

"""Broker: which subscribers get an event. The few operations that the engine uses of this package.

Knows: subscribers by their URIs, routing, backlogs, and the limits of a subscriber. Must not know: sockets,
threads, the clock (time comes in as an argument), or how events travel.

Blocking is an answer, never a wait: a publish whose event finds a backlog full notes that backlog (see
`take_full`), and the engine decides what its publisher has to wait for.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from ..constants import (
    HOLDER_OVERHEAD,
    HOST_SUBSCRIPTION_BYTES,
    MAX_SUBSCRIBER_PROGRAMS,
    MAX_SUBSCRIPTIONS,
    TOTAL_SUBSCRIPTION_BYTES,
    Payload,
)
from ..options import BacklogOptions, Overflow
from .accounting import INDEX_MOST, BoundedTotal, Loss, QueuedEvent, base_size, shares_of
from .backlog import Backlog, Outcome
from .delivery_rights import allowed_targets, lose_denied
from .matching.rights import Rights
from .matching.routing import RoutingTable
from .matching.subjects import check_subjects, check_texts
from .statistics import BrokerStatistics, GoneSubscribers, described
from .subscription_limits import SubscriptionLimits

_QUEUED = Outcome.QUEUED
# Where a publication goes, and its encoded message.
Entry = tuple[Sequence[str], Payload]


class Broker(BoundedTotal):
    """Subscriptions and backlogs of one service."""

    def __init__(
        self,
        options: BacklogOptions,
        total_bytes: int,
        max_subscriptions: int = MAX_SUBSCRIPTIONS,
        max_programs: int = MAX_SUBSCRIBER_PROGRAMS,
        subscription_bytes: int = TOTAL_SUBSCRIPTION_BYTES,
        owner_bytes: int = HOST_SUBSCRIPTION_BYTES,
    ) -> None:
        """options: a subscriber's defaults and widest bounds. total_bytes: the bound of all backlogs
        together. max_subscriptions, max_programs: of one subscriber, as in ServiceOptions.
        subscription_bytes, owner_bytes: the memory for all subscriptions, and for those of one owner."""
        super().__init__(total_bytes)
        self._options = options
        self._routing: RoutingTable[Backlog] = RoutingTable()
        self._limits = SubscriptionLimits(
            self._routing, max_subscriptions, max_programs, subscription_bytes, owner_bytes
        )
        self._subscribers: dict[str, Backlog] = {}
        self._published = 0
        self._gone = GoneSubscribers()
        self.ready: list[Backlog] = []
        self.full: list[Backlog] = []
        self.failing: list[Backlog] = []

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

    def publish(self, entries: Iterator[Entry], now: float) -> int:
        """Accept entries, each a sequence of subjects and a payload, all of them checked.

        Each subject becomes one event; the subjects of one entry share the payload. It stops after an entry
        that found a backlog full (see `take_full`) or all of them together (see `overloaded`), and leaves the
        rest in the iterator. While they are overloaded it accepts nothing. Returns how many deliveries were
        queued. now: the time stamp, seconds since the epoch.

        Consecutive events for the same subscribers are queued together, as long as they cannot block anybody:
        a push for each event and each subscriber takes twice as long.
        """
        match, total, most = self._routing.match, self._total, self._most_bytes
        if total.value > most:
            return 0
        queued = published = 0
        run: list[QueuedEvent] = []
        size = free = free_bytes = base = sharing = 0
        spelled: str | None = None
        before: tuple[Backlog, ...] = ()
        targets: tuple[Backlog, ...] = ()
        for subjects, payload in entries:
            for subject in subjects:
                published += 1
                if subject is not spelled:
                    spelled, targets, base = subject, match(subject), base_size(subject)
                    sharing = HOLDER_OVERHEAD * (len(targets) - 1)
                if not targets:
                    continue
                cost = base + len(payload)
                event = subject, now, payload, cost, shares_of(len(targets)) if sharing else None
                if targets is before or targets == before:
                    if not run:
                        free, free_bytes = self._free(targets)
                    if len(run) < free and size + cost <= free_bytes:
                        run.append(event)
                        size += cost
                        continue
                if run:
                    queued += self._extend(before, run, size)
                    run, size = [], 0
                before = targets
                total.value += cost + sharing
                queued += self._push(targets, event)
            if self.full or total.value > most:
                break
        if run:
            queued += self._extend(before, run, size)
        self._published += published
        return queued

    def _push(self, targets: tuple[Backlog, ...], event: QueuedEvent) -> int:
        """Give an event that is already counted to each target. Returns the deliveries queued."""
        queued = 0
        for backlog in targets:
            outcome = backlog.push(event)
            if outcome is _QUEUED:
                queued += 1
            else:
                queued += self._note(outcome, backlog)
            if not backlog.ready:
                backlog.ready = True
                self.ready.append(backlog)
        return queued

    def _free(self, targets: tuple[Backlog, ...]) -> tuple[int, int]:
        """How many events, and how many bytes, can come for all the targets before a publisher is blocked."""
        free = [backlog.free for backlog in targets]
        left = (self._most_bytes - self._total.value) // len(targets)
        most, bytes_left = min([events for events, _ in free]), min(left, min([size for _, size in free]))
        if Overflow.LATEST in [backlog.overflow for backlog in targets]:
            # Half of what is left is for the index, which also gets the event that waits already.
            half = left // 2
            return min(most, half // INDEX_MOST - 1), min(bytes_left, half)
        return most, bytes_left

    def _extend(self, targets: tuple[Backlog, ...], run: list[QueuedEvent], size: int) -> int:
        """Queue events of `size` bytes together, within `_free`. Returns the deliveries queued."""
        queued = 0
        self._total.value += size + len(run) * HOLDER_OVERHEAD * (len(targets) - 1)
        for backlog in targets:
            if backlog.extend(run, size):
                queued += len(run)
            else:
                queued += sum([self._push((backlog,), event) for event in run])
        return queued

    def _note(self, outcome: Outcome, backlog: Backlog) -> int:
        """Remember a backlog that could not simply accept an event. Returns the deliveries queued."""
        if outcome is Outcome.FULL:
            self.full.append(backlog)
            return 1
        if outcome is Outcome.DISCONNECT:
            self.failing.append(backlog)
        return 0

    def subscribe(
        self,
        subscriber: str,
        names: object = (),
        patterns: object = (),
        options: Mapping[str, Any] | None = None,
        owner: str = "",
        rights: Rights | None = None,
    ) -> Backlog:
        """Subscribe the subscriber with that URI. Returns its backlog, a new one if it had none.

        names, patterns: one text or several. options: what `BacklogOptions.narrowed` takes; the last ones
        given hold. owner, rights: whom a new subscriber's subscriptions count for, and what it may get.
        Raises TypeError or ValueError, and then nothing has changed.
        """
        checked = check_subjects(names)
        compiled = self._limits.compiled(check_texts(patterns, "pattern"))
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"options must be a dictionary, not {type(options).__name__}")
        backlog = self._subscribers.get(subscriber)
        current = backlog.options if backlog is not None else None
        wanted = self._options.narrowed(options, current) if options else None
        if backlog is None:
            backlog = Backlog(subscriber, wanted or self._options, self._total)
            backlog.rights = rights
        self._limits.check(backlog, subscriber, checked, compiled, owner)
        if wanted is not None:
            backlog.configure(wanted)
        self._subscribers[subscriber] = backlog
        for name in checked:
            self._routing.add_name(name, backlog)
        for pattern in compiled:
            self._routing.add_pattern(pattern, backlog)
        self._limits.note(backlog, subscriber, owner)
        return backlog

    def restrict(self) -> list[Backlog]:
        """From now on the rights of each backlog decide which events it gets; call it again when some have
        changed. Waiting events that are not allowed are lost. Returns the backlogs that lost any."""
        self._routing.restrict(allowed_targets)
        return lose_denied(self._subscribers.values())

    def find(self, subscriber: str) -> Backlog | None:
        """The backlog of the subscriber with that URI, or None."""
        return self._subscribers.get(subscriber)

    def subscriptions(self, backlog: Backlog) -> int:
        """How many names and patterns its subscriber is subscribed to."""
        return self._routing.count(backlog)

    def unsubscribe(self, subscriber: str, texts: object) -> Backlog | None:
        """Remove names and patterns, spelled as they were subscribed. Returns the subscriber's backlog, or
        None.

        Those that are not there are ignored. Raises TypeError or ValueError for something that can be neither
        a name nor a pattern, and then nothing has changed.
        """
        checked = check_texts(texts)
        backlog = self._subscribers.get(subscriber)
        if backlog is not None:
            for text in checked:
                self._routing.remove(text, backlog)
            self._limits.note(backlog, subscriber)
        return backlog

    def remove(self, backlog: Backlog, reason: Loss) -> int:
        """Forget a subscriber. Returns how many events are lost by that, 0 if it was forgotten before."""
        if self._subscribers.get(backlog.subscriber) is not backlog:
            return 0
        del self._subscribers[backlog.subscriber]
        self._routing.remove_target(backlog)
        self._limits.forget(backlog)
        lost = backlog.lose_everything(reason)
        self._gone.add(backlog)
        return lost

    def backlogs(self) -> list[Backlog]:
        """All backlogs, in the order in which their subscribers came."""
        return list(self._subscribers.values())

    def statistics(self, now: float) -> BrokerStatistics:
        """A snapshot. now: the time of day, as events are stamped with it."""
        pieces = self.statistics_by_piece(now)
        while True:
            try:
                next(pieces)
            except StopIteration as done:
                snapshot: BrokerStatistics = done.value
                return snapshot

    def statistics_by_piece(self, now: float) -> Generator[None, None, BrokerStatistics]:
        """The same for many subscribers, with a pause after every few.

        The sums are right even if events are published and subscribers leave during the pauses. Each
        subscriber is shown as it is when its turn comes; those that come later are left out.
        """
        gone, published = self._gone.copy(), self._published
        subscribers = yield from described(list(self._subscribers.values()), self._routing, now)
        return gone.and_those(subscribers, published, self._total.value, self._limits.bytes)

"""Publishing: an accepted event goes into the backlog of each subscriber that it matches.

Knows: routing, backlogs, the bytes of all of them together, and which backlogs need attention after that.
Must not know: who may subscribe, sockets, threads, the clock (time comes in as an argument), or how events
travel.

Blocking is an answer, never a wait: a publish whose event finds a backlog full notes that backlog (see
`take_full`), and the engine decides what its publisher has to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ..constants import HOLDER_OVERHEAD, Payload
from ..options import Overflow
from .accounting import INDEX_MOST, BoundedTotal, QueuedEvent, base_size, shares_of
from .backlog import Backlog
from .dropping import Outcome
from .matching.routing import RoutingTable

_QUEUED: Final = Outcome.QUEUED
# Where a publication goes, and its encoded message.
Entry = tuple[Sequence[str], Payload]


class Publishing(BoundedTotal):
    """Base of the broker: what happens to an event.

    ready: the backlogs that got something to send. full, failing: those that were full, and those whose
    policy asks for their disconnection. Each since it was taken last.
    """

    def __init__(self, total_bytes: int) -> None:
        """total_bytes: the bound of all backlogs together."""
        super().__init__(total_bytes)
        self._routing: RoutingTable[Backlog] = RoutingTable()
        self._published = 0
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
                shares = shares_of(len(targets)) if sharing else None
                event: QueuedEvent = (subject, now, payload, cost, shares)  # type: ignore[assignment]
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

    def listening(self, subject: str) -> tuple[Backlog, ...]:
        """The backlogs that an event of that subject would come into. Used again at once, a subject costs
        nothing."""
        return self._routing.match(subject)

    def offer(self, subject: str, payload: Payload, now: float) -> None:
        """Publish an event that nobody waits for: a backlog without space for it drops it, whatever its
        policy is, except that with `latest` it replaces the one that waits. Nobody is blocked or disconnected
        by it. now: as for `publish`."""
        targets = self._routing.match(subject)
        if not targets:
            return
        space = not self.overloaded
        cost = base_size(subject) + len(payload)
        shares = shares_of(len(targets)) if len(targets) > 1 else None
        event: QueuedEvent = (subject, now, payload, cost, shares)  # type: ignore[assignment]
        self._total.value += cost + HOLDER_OVERHEAD * (len(targets) - 1)
        self._published += 1
        for backlog in targets:
            backlog.offer(event, space)
            if not backlog.ready:
                backlog.ready = True
                self.ready.append(backlog)

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

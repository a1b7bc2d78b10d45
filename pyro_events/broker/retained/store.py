"""RetainedEvents: the newest retained event of each subject, bounded.

Knows: subjects, what their events count for, and the bounds. Must not know: who subscribes, how an event is
delivered, or when one is published.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Sequence

from ...constants import Payload
from ..accounting import TotalBytes
from ..matching.patterns import Pattern
from ..matching.service_subjects import is_service_subject
from ..matching.subjects import fold
from .kept_event import KeptEvent, kept_size
from .name_index import NameIndex
from .reserved_space import ReservedSpace

# Where a retained publication goes, and its encoded message.
Entry = tuple[Sequence[str], Payload]
# What a call that is blocked may still add: of each folded subject, what its largest event counts for.
Reserved = dict[str, int]


def check_retained(subjects: Iterable[str]) -> None:
    """Raise ValueError for a subject that has no last value: what the service says of itself, and tests."""
    for subject in subjects:
        if is_service_subject(fold(subject)):
            raise ValueError(
                f"subject {subject!r} begins with '$ES.', and the event service keeps no last value of such "
                "subjects: publish it without retain"
            )


class RetainedEvents:
    """The last values of one service.

    bytes: what they count for. published: how many events were ever kept.

    "Newest" means accepted last: what a subscriber has got last that was there all the time.
    """

    def __init__(self, most: int, most_bytes: int, total: TotalBytes) -> None:
        """most, most_bytes: how many subjects, and bytes, may be kept. total: of all backlogs; it counts what
        only subscribers' replays hold any more."""
        self._most = most
        self._most_bytes = most_bytes
        self._total = total
        # By folded subject, the one that was kept last at the end.
        self._kept: dict[str, KeptEvent] = {}
        self._index = NameIndex()
        self._reserved = ReservedSpace()
        self.bytes = 0
        self.published = 0

    def __len__(self) -> int:
        """How many subjects have a retained event."""
        return len(self._kept)

    # Publishing

    def check(self, entries: Iterable[Entry]) -> None:
        """Raise ValueError if entries would take more than may be kept, at any moment while they are accepted
        one after the other."""
        subjects, size = self._growth(entries)
        if subjects and len(self._kept) + self._reserved.subjects + subjects > self._most:
            raise ValueError(
                f"the event service keeps the last value of at most {self._most} subjects: clear those that "
                "nobody needs with clear_retained(), or start it with more --max-retained"
            )
        if size and self.bytes + self._reserved.bytes + size > self._most_bytes:
            raise ValueError(
                f"the last values that the event service keeps may take at most {self._most_bytes} bytes: "
                "clear those that nobody needs with clear_retained(), or start it with more "
                "--max-retained-bytes"
            )

    def _growth(self, entries: Iterable[Entry]) -> tuple[int, int]:
        """How many more subjects, and bytes, would be kept or reserved, at most, while entries are accepted
        one after the other."""
        costs: dict[str, int] = {}
        subjects = size = most = 0
        for names, payload in entries:
            for name in names:
                key = fold(name)
                reserved = self._reserved.of(key)
                before = costs.get(key)
                if before is None:
                    before = max(self._cost(key), reserved)
                    subjects += not before
                costs[key] = cost = max(kept_size(name, key, payload), reserved)
                size += cost - before
                most = max(most, size)
        return subjects, most

    def reserve(self, entries: Iterable[Entry]) -> Reserved:
        """Keep space for entries, which were checked, of a call that is blocked: whatever is cleared or
        replaced meanwhile, nobody else gets it. Returns what `release` must be given."""
        costs: Reserved = {}
        for names, payload in entries:
            for name in names:
                key = fold(name)
                costs[key] = max(costs.get(key, 0), kept_size(name, key, payload))
        for key, cost in costs.items():
            self._reserved.add(key, cost, self._cost(key))
        return costs

    def release(self, reserved: Reserved) -> None:
        """The call is accepted, or never will be."""
        for key in reserved:
            self._reserved.remove(key, self._cost(key))

    def _cost(self, key: str) -> int:
        """What the event that is kept of a subject counts for, 0 if there is none."""
        kept = self._kept.get(key)
        return 0 if kept is None else kept.cost

    def put(self, subject: str, time: float, payload: Payload) -> None:
        """Keep an event, which was checked, in place of the one of its subject."""
        key = fold(subject)
        before = self._kept.pop(key, None)
        if before is not None:
            self._let_go(before)
        if before is None or before.subject != subject:
            if before is not None:
                self._index.remove(before.subject)
            self._index.add(subject)
        self.published += 1
        event = self._kept[key] = KeptEvent(subject, key, time, payload, self.published)
        self.bytes += event.cost
        self._reserved.kept(key, 0 if before is None else before.cost, event.cost)

    def clear(self, subjects: Iterable[str]) -> int:
        """Forget the events of subjects. Returns how many there were."""
        cleared = 0
        for subject in subjects:
            event = self._kept.pop(fold(subject), None)
            if event is not None:
                self._let_go(event)
                self._reserved.kept(event.key, event.cost, 0)
                self._index.remove(event.subject)
                cleared += 1
        return cleared

    def _let_go(self, event: KeptEvent) -> None:
        self.bytes -= event.cost
        event.discard(self._total)

    # Subscribing

    def knows(self, patterns: Collection[Pattern]) -> bool:
        """Whether `snapshot` takes no long time for these patterns."""
        return not patterns or self._index.knows(patterns)

    def search(self, patterns: Collection[Pattern]) -> Generator[None, None, None]:
        """Find the subjects that match these patterns, in pieces, so that `snapshot` takes no long time."""
        return self._index.search(patterns)

    def snapshot(
        self,
        names: Iterable[str],
        patterns: Collection[Pattern] = (),
        allowed: Callable[[str], bool] | None = None,
    ) -> list[KeptEvent]:
        """What is kept now of the subjects with one of these names, or that a pattern matches, oldest first.

        allowed: whether the subscriber may get a subject; None for all.
        """
        keys = {fold(name) for name in names}
        matching = self._index.matching(patterns) if patterns else set[str]()
        if 8 * (len(keys) + len(matching)) < len(self._kept):
            keys.update([fold(name) for name in matching if self._is_kept(name)])
            found = sorted([self._kept[key] for key in keys if key in self._kept], key=_number)
        else:
            found = [event for key, event in self._kept.items() if event.subject in matching or key in keys]
        return found if allowed is None else [event for event in found if allowed(event.subject)]

    def _is_kept(self, name: str) -> bool:
        event = self._kept.get(fold(name))
        return event is not None and event.subject == name


def _number(event: KeptEvent) -> int:
    return event.number

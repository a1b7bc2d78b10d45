"""Functions: which of a subscriber's functions get which event.

Knows: the names and the patterns of each function and of `event`, and what nobody wants any more. Must not
know: what the service was told, or how a function is called.

A change is made in two steps. The names and patterns of a registration change at once, which takes no lock
that matching takes: code that interrupts a thread in the middle of matching may make a change too. The
routing table, which has one user at a time, follows before the next event is matched.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...broker.matching.patterns import Pattern
from ...broker.matching.routing import RoutingTable
from ...broker.matching.subjects import fold
from ...constants import MATCH_CACHE_SUBJECTS
from ...event import Event
from ..dispatch.function_calls import EventFunction
from ..dispatch.handover import Via

Function = Callable[[Event], object]


class Wanted(NamedTuple):
    """Names and patterns."""

    names: list[str]
    patterns: list[Pattern]


class Registration(EventFunction):
    """One function, or `event`, and what it wants: folded name -> name, and text of a pattern -> pattern.

    last: of which of them it wants the last values too, the names folded and the texts of the patterns.
    """

    __slots__ = ("last", "names", "patterns")

    def __init__(self, function: Function | None, via: Via | None = None) -> None:
        super().__init__(function, via)
        self.names: dict[str, str] = {}
        self.patterns: dict[str, Pattern] = {}
        self.last: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    def is_of(self, function: Function | None) -> bool:
        """Whether it is the registration of a function; of a bound method, whichever object stands for it."""
        if function is None or self.function is None:
            return function is self.function
        return self.function is function or bool(self.function == function)

    def want_last(self, wanted: Wanted, last: bool) -> None:
        """last: whether it wants the last values of these names and patterns; those of others stay."""
        names, patterns = frozenset(map(fold, wanted.names)), frozenset(each.text for each in wanted.patterns)
        before = self.last
        if last:
            self.last = before[0] | names, before[1] | patterns
        else:
            self.last = before[0] - names, before[1] - patterns


class Addition(NamedTuple):
    """What a registration has got: names, and texts of patterns. before, last: its `via` and its `last` until
    then."""

    registration: Registration
    names: list[str]
    patterns: list[str]
    before: Via | None
    last: tuple[frozenset[str], frozenset[str]]


class Functions:
    """The functions of one subscriber, and its `event`.

    One thread at a time may change them; any thread may match at any time.
    """

    def __init__(self, cache_size: int = MATCH_CACHE_SUBJECTS) -> None:
        """cache_size: for how many subjects the functions are remembered."""
        self._registrations: list[Registration] = []
        self._routing: RoutingTable[Registration] = RoutingTable(cache_size)
        # Of which registrations a name or a pattern has changed; the routing table does not know it yet.
        self._changes: deque[tuple[Registration, str]] = deque()
        self._matching = threading.RLock()

    def match(self, subject: str) -> tuple[Registration, ...]:
        """Those that want an event of that subject, each once, in the order in which they were registered."""
        if not self._changes:
            found = self._routing.recall(subject)
            if found is not None:
                return found
        with self._matching:
            while self._changes:
                self._follow(*self._changes[0])
                # Not earlier: another thread that finds no change relies on the routing table.
                self._changes.popleft()
            return self._routing.match(subject)

    def _follow(self, registration: Registration, text: str) -> None:
        name, pattern = registration.names.get(fold(text)), registration.patterns.get(text)
        if name is not None:
            self._routing.add_name(name, registration)
        if pattern is not None:
            self._routing.add_pattern(pattern, registration)
        self._routing.remove(text, registration, names=name is None, patterns=pattern is None)

    def add(
        self, function: Function | None, wanted: Wanted, via: Via | None = None, last: bool = False
    ) -> Addition:
        """Let a function, or `event`, have more names and patterns.

        function: None for `event`. via: None leaves it as it is. last: whether it wants their last values
        too. Returns what was added, for `take_back`.
        """
        found = self._find(function)
        registration = Registration(function) if found is None else found
        names = {fold(name): name for name in wanted.names if fold(name) not in registration.names}
        patterns = {each.text: each for each in wanted.patterns if each.text not in registration.patterns}
        addition = Addition(
            registration, list(names.values()), list(patterns), registration.via, registration.last
        )
        registration.names.update(names)
        registration.patterns.update(patterns)
        registration.want_last(wanted, last)
        if via is not None:
            registration.via = via
        if found is None and (names or patterns):
            self._registrations.append(registration)
        self._changes.extend((registration, text) for text in (*addition.names, *addition.patterns))
        return addition

    def take_back(self, addition: Addition) -> None:
        """Undo `add`."""
        registration = addition.registration
        registration.via = addition.before
        registration.last = addition.last
        for name in addition.names:
            registration.names.pop(fold(name), None)
        for text in addition.patterns:
            registration.patterns.pop(text, None)
        self._changed(registration, (*addition.names, *addition.patterns))

    def wanting_last(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names, folded, and the texts of patterns whose last values anybody here wants."""
        wanted = [each.last for each in self._registrations]
        return frozenset().union(*(names for names, _ in wanted)), frozenset().union(
            *(some for _, some in wanted)
        )

    def remove(self, function: Function, texts: Iterable[str] | None = None) -> tuple[list[str], list[str]]:
        """End names and patterns of a function, all of them without `texts`.

        Returns the names, and the texts of patterns, that nobody wants any more.
        """
        registration = self._find(function)
        if registration is None:
            return [], []
        if texts is None:
            texts = [*registration.names.values(), *registration.patterns]
        names, patterns = self._remove(registration, texts)
        rest = self._registrations
        return (
            [name for name in names if not any(fold(name) in each.names for each in rest)],
            [text for text in patterns if not any(text in each.patterns for each in rest)],
        )

    def unsubscribe(self, texts: Iterable[str]) -> None:
        """End names and patterns of all functions and of `event`."""
        texts = list(texts)
        for registration in list(self._registrations):
            self._remove(registration, texts)

    def _find(self, function: Function | None) -> Registration | None:
        return next((each for each in self._registrations if each.is_of(function)), None)

    def _remove(self, registration: Registration, texts: Iterable[str]) -> tuple[list[str], list[str]]:
        """End those of the names and patterns that it has. Returns them."""
        texts = list(texts)
        names = [registration.names.pop(fold(text), None) for text in texts]
        patterns = [registration.patterns.pop(text, None) for text in texts]
        ended = [name for name in names if name is not None], [each.text for each in patterns if each]
        registration.last = (
            registration.last[0].difference(map(fold, texts)),
            registration.last[1].difference(texts),
        )
        self._changed(registration, (*ended[0], *ended[1]))
        return ended

    def _changed(self, registration: Registration, texts: Iterable[str]) -> None:
        """Names and patterns were taken from a registration, perhaps its last ones."""
        self._changes.extend((registration, text) for text in texts)
        if not (registration.names or registration.patterns) and registration in self._registrations:
            self._registrations.remove(registration)

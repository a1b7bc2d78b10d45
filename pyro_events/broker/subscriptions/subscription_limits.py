"""SubscriptionLimits: how many subscriptions a subscriber may have.

Knows: the bounds on their number, on the patterns' cost, and on memory. Must not know: backlogs, events, or
how a subscriber is reached.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, Protocol, TypeVar

from ..matching.patterns import Pattern, compile_pattern
from ..matching.routing import Addition
from .memory import SubscriptionMemory, subscriber_bytes

T = TypeVar("T", bound=Hashable)
S = TypeVar("S", bound=Hashable, contravariant=True)


class Subscriptions(Protocol[S]):
    """The subscriptions of all subscribers, as a RoutingTable has them."""

    def would_add(self, target: S, names: Iterable[str], patterns: Iterable[Pattern], /) -> Addition: ...

    def memory(self, target: S, /) -> int: ...

    def known_pattern(self, text: str) -> Pattern | None: ...


class SubscriptionLimits(Generic[T]):
    """The bounds of all subscribers, checked against the subscriptions that there are. memory: what they
    take; what watchers take is counted there too."""

    def __init__(
        self,
        routing: Subscriptions[T],
        max_subscriptions: int,
        max_programs: int,
        total_bytes: int,
        owner_bytes: int,
    ) -> None:
        """max_subscriptions, max_programs: of one subscriber. total_bytes, owner_bytes: the memory for all
        subscriptions, and for those of one owner."""
        self._routing = routing
        self._most_subscriptions = max_subscriptions
        self._most_programs = max_programs
        self.memory: SubscriptionMemory[Hashable] = SubscriptionMemory(total_bytes, owner_bytes)

    @property
    def bytes(self) -> int:
        """The memory that all subscribers and their subscriptions take."""
        return self.memory.total

    def compiled(self, texts: list[str]) -> list[Pattern]:
        """The patterns of one call, compiled. Raises ValueError as early as it can, because compiling is
        expensive."""
        compiled = []
        new = 0
        for text in dict.fromkeys(texts):
            known = self._routing.known_pattern(text)
            pattern = known or compile_pattern(text)
            if known is None:
                new += pattern.program_size
                self._check_programs(new)
            compiled.append(pattern)
        return compiled

    def check(self, target: T, uri: str, names: list[str], patterns: list[Pattern], owner: str) -> None:
        """Raise ValueError if a subscriber may not be subscribed to these too. owner: of a new one."""
        count, programs, memory = self._routing.would_add(target, names, patterns)
        if count > self._most_subscriptions:
            raise ValueError(
                f"a subscriber can have at most {self._most_subscriptions} subscriptions, and this would "
                f"make {count}; "
                "subscribe to a pattern instead of many names"
            )
        self._check_programs(programs)
        self.memory.check(target, owner, memory + subscriber_bytes(uri))

    def note(self, target: T, uri: str, owner: str = "") -> None:
        """The subscriptions of a subscriber have changed. owner: of a new one."""
        self.memory.note(target, owner, self._routing.memory(target) + subscriber_bytes(uri))

    def forget(self, target: T) -> None:
        """A subscriber is gone."""
        self.memory.note(target, "", 0)

    def _check_programs(self, size: int) -> None:
        if size > self._most_programs:
            raise ValueError(
                f"the maximum total RE2 program size of a subscriber's patterns is {self._most_programs}, "
                f"and these come to {size} or more: use fewer or simpler patterns"
            )

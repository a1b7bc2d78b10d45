"""Groups: which groups there are, and the subscriptions of every subscriber, in a group or in none.

Knows: the group of each subscriber, and the service's routing table. Must not know: the limits of a
subscriber, deliveries, or when a member is given an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from ...options import BacklogOptions
from ..accounting import Loss, TotalBytes
from ..backlog import Backlog
from ..delivery_rights import allowed_targets
from ..matching.patterns import Pattern
from ..matching.routing import Addition, RoutingTable
from ..matching.subjects import fold
from .group import Group
from .group_backlog import Takers

# What a group takes without its subscriptions, in bytes. Each member counts for it.
_GROUP: Final = 4096


class Groups:
    """All groups of one service. A group's name is compared as subjects are, without regard to case."""

    def __init__(
        self, routing: RoutingTable[Backlog], total: TotalBytes, gone: Callable[[Group], None]
    ) -> None:
        """routing, total: of the service. gone: called with each group that has lost its last member."""
        self._routing = routing
        self._total = total
        self._gone = gone
        self._by_name: dict[str, Group] = {}  # by the folded name
        self._by_backlog: dict[Backlog, Group] = {}  # by the backlogs of its members, and by its own
        self._restricted = False

    def __iter__(self) -> Iterator[Group]:
        return iter(list(self._by_name.values()))

    def of(self, backlog: Backlog) -> Group | None:
        """The group of a member, or the one whose own backlog that is."""
        return self._by_backlog.get(backlog)

    # Members

    def check(self, backlog: Backlog | None, name: str, ahead: int) -> None:
        """Raise ValueError if a subscriber cannot be in that group. name, ahead: "" and 0 if it did not say.
        backlog: None for a new subscriber."""
        current = None if backlog is None else self._by_backlog.get(backlog)
        if ahead and not name and current is None:
            raise ValueError("ahead is for the members of a group: give the group's name too")
        if not name or backlog is None or not self.count(backlog):
            return
        if current is None:
            raise ValueError(
                f"{backlog.subscriber} is subscribed without a group, so it cannot be in the group {name!r}: "
                "use another subscriber, or unsubscribe it from everything first"
            )
        if fold(current.name) != fold(name):
            raise ValueError(
                f"{backlog.subscriber} is in the group {current.name!r}, so it cannot be in {name!r} too: "
                "use another subscriber, or unsubscribe it from everything first"
            )

    def enter(self, backlog: Backlog, name: str, ahead: int, options: BacklogOptions | None) -> None:
        """A subscriber asks to be in a group, "" for the one that it is in. options: that it asks for, None
        for nothing. The first member's hold for the group."""
        current = self._by_backlog.get(backlog)
        group = self._by_name.get(fold(name)) if name else current
        if current is not None and current is not group:  # it has no subscription left there
            self.leave(backlog, Loss.GONE)
        if group is None:
            group = Group(name, options or backlog.options, self._total, self._routing)
            self._by_name[fold(name)] = self._by_backlog[group.backlog] = group
        group.join(backlog, ahead)
        self._by_backlog[backlog] = group
        if options is not None and next(iter(group.members)) is backlog:
            group.configure(options)

    def leave(self, backlog: Backlog, reason: Loss) -> None:
        """A member is gone. The last one takes the group's events with it."""
        group = self._by_backlog.pop(backlog)
        backlog.group = ""
        group.leave(backlog, reason)
        self._note_rights()
        self._end_if_empty(group, reason)

    def _end_if_empty(self, group: Group, reason: Loss) -> None:
        if group.members or group.held:
            return
        del self._by_name[fold(group.name)], self._by_backlog[group.backlog]
        group.backlog.lose_everything(reason)
        self._gone(group)

    @contextmanager
    def hold(self, backlog: Backlog) -> Iterator[None]:
        """While a subscriber is replaced by itself, with another backlog: keep the events of its group."""
        group = self._by_backlog.get(backlog)
        if group is None:
            yield
            return
        group.held += 1
        try:
            yield
        finally:
            group.held -= 1
            group.review(Loss.GONE)
            self._end_if_empty(group, Loss.GONE)

    # Rights

    def restrict(self) -> list[Backlog]:
        """From now on the rights of each backlog decide which events it gets; a group gets what any member
        may. Call it again when rights have changed. Returns the groups' backlogs that lost events by that."""
        self._restricted = True
        self._routing.restrict(self._allowed)
        return [group.backlog for group in self if group.rights_changed()]

    def _note_rights(self) -> None:
        """The subscriptions of a member have changed: other events may be allowed for its group."""
        if self._restricted:
            self._routing.restrict(self._allowed)

    def _allowed(self, subject: str, targets: Takers) -> Takers:
        groups = self._by_backlog
        return tuple(
            [
                backlog
                for backlog in allowed_targets(subject, targets)
                if backlog not in groups or groups[backlog].takers(subject)
            ]
        )

    # Subscriptions

    def _table(self, backlog: Backlog) -> RoutingTable[Backlog]:
        """Where the subscriptions of a subscriber are."""
        group = self._by_backlog.get(backlog)
        return self._routing if group is None else group.table

    def add(self, backlog: Backlog, names: list[str], patterns: list[Pattern]) -> None:
        """Subscribe a subscriber."""
        group = self._by_backlog.get(backlog)
        if group is not None:
            group.add(backlog, names, patterns)
            self._note_rights()
            return
        for name in names:
            self._routing.add_name(name, backlog)
        for pattern in patterns:
            self._routing.add_pattern(pattern, backlog)

    def remove(self, backlog: Backlog, texts: list[str]) -> None:
        """Unsubscribe a subscriber from names and patterns."""
        group = self._by_backlog.get(backlog)
        if group is not None:
            group.remove(backlog, texts)
            self._note_rights()
            return
        for text in texts:
            self._routing.remove(text, backlog)

    def remove_all(self, backlog: Backlog, reason: Loss) -> None:
        """A subscriber is gone. reason: why events of its group that no other may get are lost."""
        if backlog in self._by_backlog:
            self.leave(backlog, reason)
        else:
            self._routing.remove_target(backlog)

    def count(self, backlog: Backlog) -> int:
        """How many names and patterns a subscriber is subscribed to."""
        return self._table(backlog).count(backlog)

    def subscriptions(self, backlog: Backlog, most: int) -> list[str]:
        """Its names and patterns; at most so many."""
        return self._table(backlog).subscriptions(backlog, most)

    def would_add(self, backlog: Backlog, names: Iterable[str], patterns: Iterable[Pattern]) -> Addition:
        """What it would have if these were added."""
        return self._table(backlog).would_add(backlog, names, patterns)

    def memory(self, backlog: Backlog) -> int:
        """The bytes that its subscriptions take, and a group for it."""
        return self._table(backlog).memory(backlog) + (_GROUP if backlog in self._by_backlog else 0)

    def known_pattern(self, text: str) -> Pattern | None:
        """The pattern of that spelling if any subscriber has it."""
        return self._routing.known_pattern(text)

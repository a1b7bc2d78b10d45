"""Broker: which subscribers there are. The few operations that the engine uses of this package.

Knows: subscribers by their URIs, their subscriptions and backlogs, and the limits of a subscriber. Must not
know: sockets, threads, the clock (time comes in as an argument), or how events travel. What happens to an
event is in `publishing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final

from ..constants import (
    HOST_SUBSCRIPTION_BYTES,
    MAX_RETAINED,
    MAX_RETAINED_BYTES,
    MAX_SUBSCRIBER_PROGRAMS,
    MAX_SUBSCRIPTIONS,
    TOTAL_SUBSCRIPTION_BYTES,
)
from ..options import BacklogOptions, ServiceOptions
from ..options.backlog_options import check_last_and_group
from .accounting import Loss
from .backlog import Backlog
from .delivery_rights import Judged, lose_denied
from .groups.groups import Groups
from .interest.interest import Interest
from .matching.patterns import Pattern
from .matching.rights import Rights
from .matching.subjects import check_subjects, check_texts
from .publishing import Publishing
from .retained.last import Last
from .retained.store import RetainedEvents
from .statistics import BrokerStatistics, GoneSubscribers, described, described_alone
from .subscriptions.subscription_limits import SubscriptionLimits

# Of so many last values it may be judged at once whether a subscriber may get them.
_FEW_RETAINED: Final = 100


class Broker(Publishing):
    """Subscriptions and backlogs of one service. interest: who listens to what, and who wants to know it."""

    def __init__(
        self,
        options: BacklogOptions,
        total_bytes: int,
        max_subscriptions: int = MAX_SUBSCRIPTIONS,
        max_programs: int = MAX_SUBSCRIBER_PROGRAMS,
        subscription_bytes: int = TOTAL_SUBSCRIPTION_BYTES,
        owner_bytes: int = HOST_SUBSCRIPTION_BYTES,
        max_retained: int = MAX_RETAINED,
        max_retained_bytes: int = MAX_RETAINED_BYTES,
    ) -> None:
        """options: a subscriber's defaults and widest bounds. total_bytes: the bound of all backlogs
        together. max_subscriptions, max_programs: of one subscriber, as in ServiceOptions.
        subscription_bytes, owner_bytes: the memory for all subscriptions, and for those of one owner.
        max_retained, max_retained_bytes: how many last values, and bytes of them, are kept."""
        super().__init__(total_bytes)
        self._options = options
        self._gone = GoneSubscribers()
        self.groups = Groups(self._routing, self._total, self._gone.add_group)
        self._limits = SubscriptionLimits(
            self.groups, max_subscriptions, max_programs, subscription_bytes, owner_bytes
        )
        self.interest: Interest[Backlog] = Interest(self._routing, self._limits.memory, max_subscriptions)
        # By the user, and the URI: what two users subscribe is two subscribers.
        self._subscribers: dict[tuple[str, str], Backlog] = {}
        self._users: Counter[str] = Counter()  # how many have subscribed each URI
        # Of the search for last values that has ended just now.
        self._judged: Judged | None = None
        self.retained = RetainedEvents(max_retained, max_retained_bytes, self._total)

    def subscribe(
        self,
        subscriber: str,
        names: object = (),
        patterns: object = (),
        options: Mapping[str, Any] | None = None,
        owner: str = "",
        rights: Rights | None = None,
        group: str = "",
        ahead: int = 0,
        last: Last = Last.NONE,
        user: str = "",
    ) -> Backlog:
        """Subscribe the subscriber with that URI. Returns its backlog, a new one if it had none.

        names, patterns: one text or several. options: what `BacklogOptions.narrowed` takes; the last ones
        given hold. owner, rights: whom a new subscriber's subscriptions count for, and what it may get.
        group: that it is to be in, "" for the one that it is in, or none; ahead: how many events it may have
        unacknowledged there, 0 for no change. last: for which of the names and patterns the last values come,
        before all other events. user: whose subscriber it is. Raises TypeError or ValueError, and then
        nothing has changed.
        """
        checked = check_subjects(names)
        compiled = self._limits.compiled(check_texts(patterns, "pattern"))
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"options must be a dictionary, not {type(options).__name__}")
        backlog = self.find(subscriber, user)
        self.groups.check(backlog, group, ahead)
        check_last_and_group(last is not Last.NONE, group or (backlog is not None and backlog.group))
        current = backlog.options if backlog is not None else None
        wanted = self._options.narrowed(options, current) if options else None
        if backlog is None:
            backlog = Backlog(subscriber, wanted or self._options, self._total)
            backlog.user, backlog.rights = user, rights
        self._limits.check(backlog, subscriber, checked, compiled, owner)
        if group or backlog.group:
            self.groups.enter(backlog, group, ahead, wanted)
        elif wanted is not None:
            backlog.configure(wanted)
        if (user, subscriber) not in self._subscribers:
            self._subscribers[user, subscriber] = backlog
            self._users[subscriber] += 1
        wanting = self._new(backlog, checked, compiled) if last is Last.OF_NEW else (checked, compiled)
        self.groups.add(backlog, checked, compiled)
        self._limits.note(backlog, subscriber, owner)
        if last is not Last.NONE:
            self._replay(backlog, *wanting)
        return backlog

    def _new(
        self, backlog: Backlog, names: list[str], patterns: list[Pattern]
    ) -> tuple[list[str], list[Pattern]]:
        """What last values come for when a subscriber subscribes again: the names to which it is not
        subscribed, and all the patterns if any of them is new.

        `search_retained` has found what the patterns match together. What a part of them matches would have
        to be found now, which may take long.
        """
        new_names, new_patterns = self._routing.unknown(backlog, names, patterns)
        return new_names, patterns if new_patterns else []

    def _replay(self, backlog: Backlog, names: list[str], patterns: list[Pattern]) -> None:
        """Let what is kept of these subjects come first, as far as the subscriber may get it."""
        judged, self._judged = self._judged, None
        if backlog.rights is None:
            allowed = None
        elif judged is not None and judged.rights is backlog.rights:
            allowed = judged.may_receive
        else:
            allowed = backlog.rights.may_receive
        backlog.replay(self.retained.snapshot(names, patterns, allowed))
        if len(backlog) and not backlog.ready:
            backlog.ready = True
            self.ready.append(backlog)

    def search_retained(
        self, patterns: object, rights: Rights | None = None
    ) -> Generator[None, None, None] | None:
        """Find the last values of subjects that these patterns match, in pieces, so that a subscription with
        them takes no long time, if it follows at once; None if it takes none. rights: of the subscriber.
        Raises TypeError or ValueError."""
        compiled = self._limits.compiled(check_texts(patterns, "pattern"))
        if rights is not None and compiled and len(self.retained) > _FEW_RETAINED:
            return self._judge_retained(compiled, rights)
        return None if self.retained.knows(compiled) else self.retained.search(compiled)

    def _judge_retained(self, patterns: list[Pattern], rights: Rights) -> Generator[None, None, None]:
        judged = Judged(rights)
        yield from self.retained.search(patterns)
        yield from judged.ask([event.subject for event in self.retained.snapshot((), patterns)])
        yield from self.retained.search(patterns)  # for those that have come meanwhile
        self._judged = judged

    def restrict(self) -> list[Backlog]:
        """From now on the rights of each backlog decide which events it gets; call it again when some have
        changed. Waiting events that are not allowed are lost. Returns the backlogs that lost any."""
        return self.groups.restrict() + lose_denied(self._subscribers.values())

    def find(self, subscriber: str, user: str = "") -> Backlog | None:
        """The backlog of a user's subscriber with that URI, or None."""
        return self._subscribers.get((user, subscriber))

    def knows(self, subscriber: str) -> bool:
        """Whether any user has subscribed that URI."""
        return subscriber in self._users

    def subscriptions(self, backlog: Backlog) -> int:
        """How many names and patterns its subscriber is subscribed to."""
        return self.groups.count(backlog)

    def subjects(self, backlog: Backlog, most: int) -> list[str]:
        """The first of these names and patterns, at most so many."""
        return self.groups.subscriptions(backlog, most)

    def unsubscribe(self, subscriber: str, texts: object, user: str = "") -> Backlog | None:
        """Remove names and patterns, spelled as they were subscribed. Returns the backlog of the user's
        subscriber, or None.

        Those that are not there are ignored. Raises TypeError or ValueError for something that can be neither
        a name nor a pattern, and then nothing has changed.
        """
        checked = check_texts(texts)
        backlog = self.find(subscriber, user)
        if backlog is not None:
            self.groups.remove(backlog, checked)
            self._limits.note(backlog, subscriber)
        return backlog

    def remove(self, backlog: Backlog, reason: Loss) -> int:
        """Forget a subscriber. Returns how many events are lost by that, 0 if it was forgotten before."""
        subscriber, user = backlog.subscriber, backlog.user
        if self.find(subscriber, user) is not backlog:
            return 0
        del self._subscribers[user, subscriber]
        self._users[subscriber] -= 1
        if not self._users[subscriber]:
            del self._users[subscriber]
        self.groups.remove_all(backlog, reason)
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

    def statistics_by_piece(
        self, now: float, only: Sequence[Backlog] | None = None
    ) -> Generator[None, None, BrokerStatistics]:
        """The same for many subscribers, with a pause after every few.

        The sums are right even if events are published and subscribers leave during the pauses. Each
        subscriber is shown as it is when its turn comes; those that come later are left out. only: the sums
        are over these, and nothing tells of any other.
        """
        if only is not None:
            return (yield from described_alone(only, self.groups, now))
        gone, published = self._gone.copy(), self._published
        everyone = list(self._subscribers.values())
        subscribers, groups = yield from described(everyone, self.groups, now)
        kept = len(self.retained), self.retained.bytes, self.retained.published
        return gone.and_those(subscribers, published, self._total.value, self._limits.bytes, groups, kept)


def broker_with(options: ServiceOptions) -> Broker:
    """The broker of a service with these options."""
    return Broker(
        options.backlog,
        options.total_backlog_bytes,
        max_subscriptions=options.max_subscriptions,
        max_programs=options.max_programs,
        subscription_bytes=options.total_subscription_bytes,
        owner_bytes=options.host_subscription_bytes,
        max_retained=options.max_retained,
        max_retained_bytes=options.max_retained_bytes,
    )

"""ServiceEvents: what happens at the service, published as events of its own (C39).

Knows: which of these events there are, what each says, and whether anybody listens. Must not know: why
something happened, how a delivery works, or what is done about it.

Nothing is made of what nobody listens to: it costs one look into the routing table. The events are offered
to the broker, which lets nobody wait for them. They are sent a moment later, so that a part of the service
that is in the middle of something may tell of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ...broker.accounting import Loss
from ...broker.backlog import Backlog
from ...broker.broker import Broker
from ...broker.groups.group import Group
from ...codec.message import encode
from ...wire.handshake.greeting_notes import shortened
from .loss_reports import LossReports
from .rate_limit import RateLimit

JOINED: Final = "$ES.SUBSCRIBER.JOINED"
LEFT: Final = "$ES.SUBSCRIBER.LEFT"
SLOW: Final = "$ES.SUBSCRIBER.SLOW"
RECOVERED: Final = "$ES.SUBSCRIBER.RECOVERED"
LOST: Final = "$ES.SUBSCRIBER.LOST"
# The same of the backlog that the members of a group share.
_OF_GROUP: Final = {each: each.replace("SUBSCRIBER", "GROUP") for each in (SLOW, RECOVERED, LOST)}
STOPPING: Final = "$ES.SERVICE.STOPPING"
OMITTED: Final = "$ES.SERVICE.OMITTED"

# How many of a subscriber's names and patterns are shown.
_SUBJECTS: Final = 10
# What is said of a delivery that ended without an explanation, after it had lingered.
_UNSUBSCRIBED: Final = "unsubscribed from everything"


class Subscribed(NamedTuple):
    """What a subscriber is subscribed to. shown: the first of its names and patterns. number: of all. group:
    that it is in, "" for none."""

    shown: list[str]
    number: int
    group: str


class ServiceEvents:
    """The events of one service about itself. Used on the loop's thread."""

    def __init__(
        self,
        broker: Broker,
        now: Callable[[], float],
        deliver: Callable[[], None],
        limit: RateLimit | None = None,
        losses: LossReports | None = None,
    ) -> None:
        """now: the time of day, for the time stamps. deliver: sends what the broker has queued. limit: how
        many events; losses: how often they are told. The usual ones by default."""
        self._broker = broker
        self._now = now
        self._deliver = deliver
        self._limit = RateLimit() if limit is None else limit
        self._losses = LossReports() if losses is None else losses
        self._loop = asyncio.get_running_loop()
        self._present: set[Backlog] = set()  # those whose JOINED was published, or would have been
        self._sending = False
        self._ended = False

    # What subscribers do

    def subscribed(self, backlog: Backlog) -> None:
        """A subscriber may have got subscriptions, perhaps its first."""
        if backlog not in self._present and self._broker.subscriptions(backlog):
            self._present.add(backlog)
            self._tell(JOINED, backlog)
        self._follow_losses()

    def leaving(self, backlog: Backlog) -> Subscribed | None:
        """A subscriber is about to be forgotten. Returns what `left` must be given then; None if it need not
        be called."""
        if backlog not in self._present:
            return None
        self._present.remove(backlog)
        self._losses.forget(backlog)
        if self._ended or not self._broker.listening(LEFT):
            return None
        return self._subscribed(backlog)

    def left(self, backlog: Backlog, subscribed: Subscribed, reason: Loss, why: str) -> None:
        """A subscriber was forgotten. subscribed: what `leaving` returned. why: in words, "" if there are
        none."""
        if self._admits(LEFT):
            explanation = shortened(why) or _UNSUBSCRIBED
            told = self._described(backlog, subscribed, reason=reason.value, why=explanation)
            self._publish(LEFT, told)

    def slow(self, backlog: Backlog) -> None:
        """A backlog, which may be a group's, has stayed nearly full."""
        self._tell(SLOW, backlog)

    def recovered(self, backlog: Backlog) -> None:
        """It has stayed nearly empty after that."""
        self._tell(RECOVERED, backlog)

    def check(self) -> None:
        """Publish what is due now; called a few times a second."""
        now = self._loop.time()
        self._follow_losses()
        if self._losses.going_on and now >= self._losses.next:
            for backlog in self._losses.due(self._backlogs(), now):
                subject = self._subject(LOST, backlog)
                if self._admits(subject):
                    self._publish(subject, self._described(backlog, losses=self._losses.take(backlog)))
        self._tell_omitted(now)

    def _follow_losses(self) -> None:
        """Begin to follow what is lost when somebody listens, and end when nobody does."""
        listening = any(map(self._broker.listening, (LOST, _OF_GROUP[LOST])))
        if listening != self._losses.going_on:
            if listening:
                self._losses.begin(self._backlogs(), self._loop.time())
            else:
                self._losses.end()

    def _backlogs(self) -> list[Backlog]:
        """Those of all subscribers, and of all groups."""
        return self._broker.backlogs() + [group.backlog for group in self._broker.groups]

    # What the service does

    def stopping(self, drain: float) -> None:
        """The service begins to stop. drain: how long it waits for its subscribers at most, in seconds."""
        self._tell_omitted(self._loop.time(), rest=True)
        if self._broker.listening(STOPPING):
            subscribers = len(self._broker.backlogs())
            waiting = sum(len(backlog) + backlog.unacknowledged for backlog in self._backlogs())
            self._publish(STOPPING, {"subscribers": subscribers, "waiting": waiting, "drain": drain})

    def end(self) -> None:
        """Publish nothing more."""
        self._ended = True

    # How it is published

    def _tell(self, subject: str, backlog: Backlog) -> None:
        subject = self._subject(subject, backlog)
        if self._admits(subject):
            self._publish(subject, self._described(backlog))

    def _subject(self, subject: str, backlog: Backlog) -> str:
        return _OF_GROUP[subject] if self._group(backlog) is not None else subject

    def _group(self, backlog: Backlog) -> Group | None:
        """The group that has that backlog, None if it is a subscriber's."""
        group = self._broker.groups.of(backlog)
        return group if group is not None and group.backlog is backlog else None

    def _admits(self, subject: str) -> bool:
        """Whether somebody listens, and there were not too many events lately."""
        if self._ended or not self._broker.listening(subject):
            return False
        return self._limit.admits(subject, self._loop.time())

    def _subscribed(self, backlog: Backlog) -> Subscribed:
        return Subscribed(
            self._broker.subjects(backlog, _SUBJECTS),
            self._broker.subscriptions(backlog),
            backlog.group,
        )

    def _described(
        self, backlog: Backlog, subscribed: Subscribed | None = None, **more: Any
    ) -> dict[str, Any]:
        """What statistics() says of a subscriber, but with few subjects, and more; or of a group.

        subscribed: what it was subscribed to; None for what it is.
        """
        group = self._group(backlog)
        if group is not None:
            return {**vars(group.statistics(self._now())), **more}
        if subscribed is None:
            subscribed = self._subscribed(backlog)
        figures = vars(backlog.statistics(subscribed.shown, self._now(), subscribed.number))
        about = {"subjects": subscribed.shown, "user": backlog.user, "group": subscribed.group}
        return {**figures, **about, **more}

    def _tell_omitted(self, now: float, rest: bool = False) -> None:
        omitted = self._limit.take_omitted(now, rest)
        if omitted and self._broker.listening(OMITTED):
            self._publish(OMITTED, {"omitted": sum(omitted.values()), "subjects": omitted})

    def _publish(self, subject: str, message: dict[str, Any]) -> None:
        self._broker.offer(subject, encode(message), self._now())
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        self._sending = False
        self._deliver()

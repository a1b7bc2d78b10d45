"""What happens to a subscriber's connection to the service, and what is to be done then.

Knows: the events and the actions of ReconnectState. Must not know: which follows from which (state.py), or
who notices and who acts (reconnector.py).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SubscriptionStatus(enum.Enum):
    """What the service says about a subscriber."""

    REACHED = "it can be reached; it was not asked"
    KNOWN = "it has subscriptions of this subscriber"
    UNSURE = "the same, but it may be another service, or does not have all of them"
    UNKNOWN = "it does not know this subscriber: it was started anew, or has disconnected it"


# Events. What the program does:


@dataclass(frozen=True)
class Subscribed:
    """There are subscriptions, where there were none."""


@dataclass(frozen=True)
class Unsubscribed:
    """There are no subscriptions any more."""


@dataclass(frozen=True)
class Listened:
    """`listen` has begun."""


@dataclass(frozen=True)
class Paused:
    """`listen` has ended; it may begin again."""


@dataclass(frozen=True)
class Closed:
    """The subscriber is closed, for good."""


# What the service, or a stranger, does:


@dataclass(frozen=True)
class Connected:
    """The service has connected.

    why: why it disconnected the subscriber before, or lost events of it; "" if it does not say so. note: what
    the subscriber may not do for a while, "" for nothing.
    """

    connection: object
    why: str = ""
    note: str = ""


@dataclass(frozen=True)
class Disconnected:
    """A connection has ended; it may have been reported before, or not be the service's."""

    connection: object


@dataclass(frozen=True)
class Hinted:
    """Somebody connected and left without a word, as a service does that has disconnected a subscriber."""


# What the reconnector does:


@dataclass(frozen=True)
class Due:
    """It is time to do something. activity: a number that changes when events come."""

    activity: int


@dataclass(frozen=True)
class TurnGranted:
    """A request may be made now."""


@dataclass(frozen=True)
class Answered:
    """The service has answered Reach or Ask.

    why: why it does not reach the subscriber, or has disconnected it, "" if it does not say. connected: it is
    connected to the subscriber. silent: the same, but the subscriber has not greeted it yet.
    """

    status: SubscriptionStatus
    why: str = ""
    connected: bool = False
    silent: bool = False


@dataclass(frozen=True)
class Resubscribed:
    """The service has taken all subscriptions."""


@dataclass(frozen=True)
class Failed:
    """A request came to nothing.

    kind: of the error, which is logged once in a row. lasting: to try again soon will hardly help.
    """

    error: Exception
    kind: str = ""
    lasting: bool = False


ReconnectEvent = (
    Subscribed
    | Unsubscribed
    | Listened
    | Paused
    | Closed
    | Connected
    | Disconnected
    | Hinted
    | Due
    | TurnGranted
    | Answered
    | Resubscribed
    | Failed
)


# Actions. Requests, of which one at a time is under way:


@dataclass(frozen=True)
class WaitForTurn:
    """Wait until TurnGranted."""


@dataclass(frozen=True)
class Reach:
    """Connect to the service."""


@dataclass(frozen=True)
class Ask:
    """Connect to the service if need be, and ask what it knows about the subscriber."""


@dataclass(frozen=True)
class Subscribe:
    """Tell the service of all subscriptions. anew: it has no connection to us, whatever it may believe."""

    anew: bool


# And what takes no time:


@dataclass(frozen=True)
class Report:
    """Tell the program, before any event that comes over the new connection, that events may be missing."""

    reason: str


@dataclass(frozen=True)
class HangUp:
    """End connections that the service does not use any more."""

    connections: frozenset[object]


@dataclass(frozen=True)
class DropLink:
    """Give up the connection that a question was sent on: the answer is overdue."""


@dataclass(frozen=True)
class Warn:
    """The service does not reach the subscriber. why: as it says."""

    why: str


@dataclass(frozen=True)
class Complain:
    """Requests fail, for a reason that has not been told yet."""

    error: Exception


Request = Reach | Ask | Subscribe
ReconnectAction = WaitForTurn | Request | Report | HangUp | DropLink | Warn | Complain

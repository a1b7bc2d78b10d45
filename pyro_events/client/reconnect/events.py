"""The events and the actions of a reconnection.

Knows: the events and the actions of ReconnectState. Must not know: which follows from which (state.py), or
what detects and carries them out (reconnector.py).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

# Why the service does not reach a subscriber, where it does not say so.
UNEXPLAINED: Final = "it does not say why"


class SubscriptionStatus(enum.Enum):
    """What the service says about a subscriber."""

    REACHED = "it can be reached; it was not asked"
    KNOWN = "it has subscriptions of this subscriber"
    UNSURE = "the same, but it may be another service, or does not have all of them"
    UNKNOWN = "it does not know this subscriber: it was restarted, or has disconnected it"


# Events that the program causes.


@dataclass(frozen=True)
class Subscribed:
    """There are subscriptions now; before there were none.

    falls_back: whether it can connect itself, if the service cannot.
    """

    falls_back: bool = False


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


# Events that the service, or a stranger, causes.


@dataclass(frozen=True)
class Connected:
    """The service is connected.

    why: why it disconnected the subscriber before, or lost events of it; "" if it does not say. note: what
    the subscriber may not do for a while, "" for nothing. own: the subscriber has made the connection, so
    that it says nothing about whether the program listens.
    """

    connection: object
    why: str = ""
    note: str = ""
    own: bool = False


@dataclass(frozen=True)
class Disconnected:
    """A connection has ended; it may have been reported before, or not be the service's."""

    connection: object


@dataclass(frozen=True)
class Hinted:
    """A peer has connected and closed without sending anything, as a service does that has disconnected a
    subscriber."""


# Events that the reconnector causes.


@dataclass(frozen=True)
class Due:
    """It is time to do something. activity: a number that changes when events arrive."""

    activity: int


@dataclass(frozen=True)
class TurnGranted:
    """A request may be made now."""


@dataclass(frozen=True)
class Answered:
    """The service has answered Reach or Ask.

    why: why it does not reach the subscriber, or has disconnected it, "" if it does not say. connected: it is
    connected to the subscriber. silent: it is connected, but the subscriber has not answered the handshake.
    unreachable: it has tried in vain, and waits for the subscriber to connect itself. falls_back: whether the
    subscriber can do so.
    """

    status: SubscriptionStatus
    why: str = ""
    connected: bool = False
    silent: bool = False
    unreachable: bool = False
    falls_back: bool = False


@dataclass(frozen=True)
class Resubscribed:
    """The service has accepted all subscriptions."""


@dataclass(frozen=True)
class Failed:
    """A request failed.

    kind: of the error; of errors of one kind in a row, one is logged. lasting: trying again soon will hardly
    help.
    """

    error: BaseException
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


# Actions. Requests, of which there is one at a time:


@dataclass(frozen=True)
class WaitForTurn:
    """Wait until TurnGranted."""


@dataclass(frozen=True)
class Reach:
    """Connect to the service."""


@dataclass(frozen=True)
class Ask:
    """Connect to the service if necessary, and ask what it knows about the subscriber."""


@dataclass(frozen=True)
class Subscribe:
    """Send all subscriptions to the service. anew: say that it has no connection to us, even if it believes
    so."""

    anew: bool


# Actions that take no time:


@dataclass(frozen=True)
class Report:
    """Tell the program that events may be missing, before any event from the new connection."""

    reason: str


@dataclass(frozen=True)
class HangUp:
    """End connections that the service does not use any more."""

    connections: frozenset[object]


@dataclass(frozen=True)
class DropConnection:
    """Close the connection on which a question was sent: its answer is overdue."""


@dataclass(frozen=True)
class Warn:
    """The service does not reach the subscriber. why: the service's reason."""

    why: str


@dataclass(frozen=True)
class FallBack:
    """The service does not reach the subscriber, which connects itself from now on. why: the service's
    reason."""

    why: str


@dataclass(frozen=True)
class Complain:
    """Requests fail, for a reason that has not been logged yet."""

    error: BaseException


Request = Reach | Ask | Subscribe
ReconnectAction = WaitForTurn | Request | Report | HangUp | DropConnection | Warn | FallBack | Complain

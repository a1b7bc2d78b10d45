"""The methods by which a program subscribes, of Subscriber and of EventStream.

Knows: what a program may give. Must not know: who is told, or what becomes of an event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ..broker.matching.subjects import check_subjects, check_texts
from ..options import Overflow, OverflowName
from .base import NOT_GIVEN, either
from .subscribing.call_options import given_options
from .subscribing.subscriptions import NAME, PATTERN


class ChangesSubscriptions(Protocol):
    """What tells the service."""

    def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> object:
        """Subscribe to names or patterns."""

    def unsubscribe(self, texts: list[str]) -> object:
        """Unsubscribe from names and patterns."""


class SubscribeMethods:
    """Base of Subscriber and EventStream: subscribing and unsubscribing."""

    # Set by `use_subscriptions`. A class that derives from it says what stands there before.
    __subscriptions: ChangesSubscriptions

    def subscribe(
        self,
        subjects: str | Iterable[str],
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> None:
        """Subscribe to one name or any iterable of names. Subscribing twice is harmless.

        All options but `last` belong to the subscriber, or the stream, as a whole: the last ones given hold
        for all its subscriptions.

        Args:
            subjects: one name or any iterable of names; upper and lower case do not matter.
            backlog: how many events may wait for this subscriber. Default None: as before, or what the
                service allows (100,000).
            backlog_bytes: the same in bytes. Default None: as before, or what the service allows (64 MiB).
            overflow: what happens to an event that finds the backlog full: "block" makes its publisher wait,
                "drop-oldest", "drop-newest", "latest" keeps the newest event of each subject, "disconnect".
                Default None: as before, or what the service does ("block").
            max_age: after how many seconds of waiting an event is dropped; `math.inf` for never. Default
                None: as before, or never.
            group: the name of a group that shares its events, each of which goes to one member. A subscriber
                is in one group or in none, which its first subscription decides; it may choose another group
                when it has unsubscribed from everything. Default None: as before, or in none.
            ahead: how many events a member may have unacknowledged; 1 for long jobs. Default None: as before,
                or up to two batches.
            last: whether the last retained event of each subject comes first, as `publish(retain=True)` has
                left it. It is for these names alone, and not with a group. Default False.

        Raises:
            TypeError, ValueError: a name or an option cannot be used; nothing was subscribed.
            AccessDeniedError: the user has no right to a name or to the group; nothing was subscribed.
            ServiceUnreachableError, ServiceNotFoundError: the connection was lost, and there is no new one.
            OutcomeUnknownError: the connection broke before the acknowledgement.
            EventServiceError: this subscriber or stream is closed.

        Example:
            >>> ticker.subscribe(["STOCKQUOTE.SUN", "STOCKQUOTE.IBM"], overflow="latest")
        """
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        self.__subscriptions.subscribe(NAME, check_subjects(subjects), options)

    def subscribeMatch(
        self,
        patterns: str | Iterable[str] = NOT_GIVEN,
        *,
        subjectPatterns: str | Iterable[str] = NOT_GIVEN,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> None:
        """Subscribe to the subjects that match one regular expression or any of several.

        Args:
            patterns: one pattern or any iterable of them. Each is matched from the start of the subject, and
                upper and lower case do not matter. No default.
            subjectPatterns: Pyro3's name for `patterns`; no default.
            backlog: as for `subscribe`; None by default.
            backlog_bytes: as for `subscribe`; None by default.
            overflow: as for `subscribe`; None by default.
            max_age: as for `subscribe`; None by default.
            group: as for `subscribe`; None by default.
            ahead: as for `subscribe`; None by default.
            last: as for `subscribe`, for each subject that matches; False by default.

        Raises:
            TypeError, ValueError: a pattern or an option cannot be used; the text says why.
            AccessDeniedError: the user has no right to the group.
            EventServiceError: one of those that `subscribe` raises.

        Example:
            >>> ticker.subscribeMatch("^STOCKQUOTE[.]S.*$")
        """
        patterns = either("subscribeMatch()", "patterns", patterns, "subjectPatterns", subjectPatterns)
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        self.__subscriptions.subscribe(PATTERN, check_texts(patterns, "pattern"), options)

    def unsubscribe(self, subjects: str | Iterable[str]) -> None:
        """Remove names and patterns; what is not there is no error.

        Nothing published afterwards arrives by them; what was queued before still may.

        Args:
            subjects: names and patterns, in any mixture, or one of them.

        Raises:
            TypeError, ValueError: they are not text.
            EventServiceError: one of those that `subscribe` raises.
        """
        self.__subscriptions.unsubscribe(check_texts(subjects))


def use_subscriptions(client: SubscribeMethods, subscriptions: ChangesSubscriptions) -> None:
    """The methods of `client` tell `subscriptions` from now on."""
    client._SubscribeMethods__subscriptions = subscriptions  # type: ignore[attr-defined]

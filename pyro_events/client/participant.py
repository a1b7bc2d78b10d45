"""What a publisher and a subscriber have in common, so that one class may be both.

Knows: that a participant has up to two ends, each with its own connection. Must not know: what an
end does.

Neither `__init__` calls the other's; whichever runs adds its end, in either order.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ..wire.identity import identity_of
from .locate import Finder

Self = TypeVar("Self", bound="Participant")


class End(Protocol):
    """The publishing or the subscribing end of a participant."""

    def close(self) -> None:
        """Release everything; may be called again, from any thread."""

    def statistics(self) -> Any:
        """A frozen snapshot."""


@dataclass(frozen=True)
class ParticipantStatistics:
    """The statistics of a class that inherits from both Publisher and Subscriber."""

    publisher: Any
    subscriber: Any


class Participant:
    """Base of Publisher and Subscriber: closing, statistics and the `with` statement."""

    __ends: dict[str, End]

    def _join(self, role: str, end: End) -> None:
        """Add the end that plays `role`, which is "publisher" or "subscriber"."""
        ends = self.__dict__.setdefault("_Participant__ends", {})
        previous = ends.get(role)
        ends[role] = end
        if previous is not None:  # __init__ was called twice
            previous.close()

    def close(self) -> None:
        """Release the connections and threads; harmless when done already.

        A subscriber is unsubscribed from everything first.
        """
        ends = self.__dict__.get("_Participant__ends", {})
        # The subscriber first: its handlers may still publish.
        for role in ("subscriber", "publisher"):
            if role in ends:
                ends[role].close()

    def statistics(self) -> Any:
        """A frozen snapshot: PublisherStatistics, SubscriberStatistics, or both in one object with
        the attributes `publisher` and `subscriber`."""
        ends = self.__ends
        if len(ends) == 2:
            return ParticipantStatistics(ends["publisher"].statistics(), ends["subscriber"].statistics())
        (end,) = ends.values()
        return end.statistics()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def chosen_finder(ident: object, es_uri: object, esURI: object) -> Finder:
    """What finds the service that the arguments of a participant's `__init__` name.

    Raises TypeError when both spellings are given, TypeError or ValueError for what is no passphrase or
    no URI.
    """
    if es_uri is not None and esURI is not None:
        raise TypeError("es_uri and esURI are the same argument: give one of them")
    return Finder(es_uri if es_uri is not None else esURI, identity_of(ident))

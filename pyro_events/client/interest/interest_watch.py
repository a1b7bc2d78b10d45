"""InterestWatch: what `Publisher.on_interest` returns.

Knows: what its user may do. Must not know: how the service is told, or when the function is called.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from ..statistics import InterestStatistics
from .functions import InterestFunction


class Watching(Protocol):
    """The publisher's part that watches."""

    @property
    def connected(self) -> bool:
        """Whether the service is connected."""

    def unwatch(self, function: InterestFunction) -> None:
        """Call a function no more."""


def statistics_of(function: InterestFunction, connected: bool) -> InterestStatistics:
    """A snapshot. connected: whether the publisher's part that watches is."""
    connected = connected and not function.ended
    return InterestStatistics(
        tuple(function.subjects.values()), dict(function.told), function.calls, function.failed, connected
    )


def shown(function: InterestFunction) -> str:
    """The subjects of a function, and whether it is still called, for a `repr`."""
    subjects, state = list(function.subjects.values()), "closed" if function.ended else "open"
    return f"of {', '.join(subjects[:3])}{', ...' * (len(subjects) > 3)}, {state}"


class InterestWatch:
    """Subjects whose listeners a function is told of; made by `Publisher.on_interest`.

    It ends with the `with` block, with `close`, or with its publisher.

    Example:
        >>> with market.on_interest("STOCKQUOTE.SUN", call=print) as watch:
        ...     watch.statistics().subjects
        ('STOCKQUOTE.SUN',)
    """

    def __init__(self, watching: Watching, function: InterestFunction) -> None:
        self._watching = watching
        self._function = function

    def close(self) -> None:
        """Call the function no more. A call that is running is not waited for. Harmless when called again.

        It raises nothing that the service has caused.

        Example:
            >>> watch = market.on_interest("STOCKQUOTE.SUN", call=print)
            >>> watch.close()
        """
        self._watching.unwatch(self._function)

    def statistics(self) -> InterestStatistics:
        """What the function was told so far.

        Returns:
            A frozen snapshot.

        Example:
            >>> with market.on_interest("STOCKQUOTE.SUN", call=print) as watch:
            ...     watch.statistics().calls
            0
        """
        return statistics_of(self._function, self._watching.connected)

    def __repr__(self) -> str:
        return f"<InterestWatch {shown(self._function)}>"

    def __enter__(self) -> InterestWatch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

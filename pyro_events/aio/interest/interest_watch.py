"""InterestWatch: what `aio.Publisher.on_interest` returns.

Knows: what its user may do. Must not know: how the service is told, or when the function is called.
"""

from __future__ import annotations

from types import TracebackType

from ...client.interest.functions import InterestFunction
from ...client.interest.interest_watch import shown, statistics_of
from ...client.statistics import InterestStatistics
from .publisher_interest import PublisherInterest


class InterestWatch:
    """Subjects whose listeners a function is told of; made by `aio.Publisher.on_interest`.

    It ends with the `async with` block, with `close`, or with its publisher.

    Example:
        >>> async def main():
        ...     async with aio.Publisher() as market:
        ...         async with await market.on_interest("STOCKQUOTE.SUN", call=print) as watch:
        ...             return watch.statistics().subjects
        >>> asyncio.run(main())
        ('STOCKQUOTE.SUN',)
    """

    def __init__(self, interest: PublisherInterest, function: InterestFunction) -> None:
        self._interest = interest
        self._function = function

    async def close(self) -> None:
        """Call the function no more, from the beginning of this on. Harmless when called again.

        Raises:
            EventServiceError: its publisher belongs to another event loop.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market:
            ...         watch = await market.on_interest("STOCKQUOTE.SUN", call=print)
            ...         await watch.close()
            >>> asyncio.run(main())
        """
        await self._interest.unwatch(self._function)

    def statistics(self) -> InterestStatistics:
        """What the function was told so far.

        Returns:
            A frozen snapshot.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market:
            ...         watch = await market.on_interest("STOCKQUOTE.SUN", call=print)
            ...         return watch.statistics().calls
            >>> asyncio.run(main())
            0
        """
        return statistics_of(self._function, self._interest.connected)

    def __repr__(self) -> str:
        return f"<aio.InterestWatch {shown(self._function)}>"

    async def __aenter__(self) -> InterestWatch:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

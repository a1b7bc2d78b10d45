"""The methods by which a publisher on an event loop finds out who listens.

Knows: what a program may give. Must not know: connections, or when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...broker.matching.service_subjects import check_published_all
from ...client.interest_methods import checked_exact, checked_watch
from ..async_client import AsyncClient
from ..sender import Sender
from .interest_watch import InterestWatch
from .publisher_interest import PublisherInterest


class InterestMethods(AsyncClient):
    """Base of aio.Publisher: who listens."""

    _sender: Sender
    _interest: PublisherInterest | None = None

    async def listeners(self, subjects: str | Iterable[str], exact: bool = False) -> dict[str, int]:
        """How many listeners subjects have now: how many deliveries an event would become.

        Patterns count, and a group of subscribers counts as one. A subscriber counts from when its
        subscription is accepted, even if it does not listen yet.

        Args:
            subjects: one name or any iterable of names, at most 1,000.
            exact: do not count those that match a subject only by patterns that match everything, such as
                `.*`: loggers and screens that show whatever there is. Default False: count all of them.

        Returns:
            The number of listeners by subject, as given.

        Raises:
            TypeError, ValueError: a name cannot be published, or `exact` is neither True nor False; the text
                says which.
            AccessDeniedError: the user has no right to publish a subject.
            ServiceUnreachableError, ServiceNotFoundError: there is no connection to the service.
            EventServiceError: this publisher is closed, not connected yet, or belongs to another event loop.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, aio.EventStream("STOCKQUOTE.SUN"):
            ...         return await market.listeners(["STOCKQUOTE.SUN", "STOCKQUOTE.IBM"])
            >>> asyncio.run(main())
            {'STOCKQUOTE.SUN': 1, 'STOCKQUOTE.IBM': 0}
        """
        names = check_published_all(subjects)
        return await self._interested().listeners(names, checked_exact(exact))

    async def on_interest(self, *subjects: str, call: Callable[[str, int], object]) -> InterestWatch:
        """Call a function when the first listener of a subject comes, and when the last one goes.

        So an instrument can work only while somebody looks. `call(subject, listeners)` is called with the
        number of listeners, 0 when the last one has gone; at the beginning only for subjects that have some.
        When the connection to the service was lost and is there again, it is called once for each of the
        subjects, whatever has changed. Who comes and goes in quick succession may not be noticed, but the
        last call says how it is.

        The function is called on this publisher's loop, so it must not block. It may create tasks, which
        may do anything with this publisher. What it raises is logged and counted.

        Args:
            subjects: one or more names, as for `publish`.
            call: a plain function, not a coroutine function, which is called with a subject, spelled as here,
                and a number.

        Returns:
            An InterestWatch, whose `close` ends it. It ends with its `async with` block, if it has one, and
            with the publisher.

        Raises:
            TypeError, ValueError: a name cannot be published, there are too many, or the function cannot be
                called with a subject and a number, or then runs nothing, as a coroutine function.
            AccessDeniedError: the user has no right to publish a subject.
            ServiceUnreachableError, ServiceNotFoundError: there is no connection to the service, or the
                service is too old. Then nothing has changed.
            EventServiceError: this publisher is closed, not connected yet, or belongs to another event loop.

        Example:
            >>> async def main():
            ...     looked_at = asyncio.Event()
            ...     def switch(subject, listeners):
            ...         looked_at.set() if listeners else looked_at.clear()
            ...     async with aio.Publisher() as camera:
            ...         await camera.on_interest("CAMERA.1", call=switch)
            ...         async with aio.EventStream("CAMERA.1"):
            ...             await looked_at.wait()
            >>> asyncio.run(main())
        """
        function = checked_watch(subjects, call)
        interest = self._interested()
        await interest.watch(function, self)
        return InterestWatch(interest, function)

    def _interested(self) -> PublisherInterest:
        self._sender.check()
        if self._interest is None:
            self._interest = PublisherInterest(self._sender)
        return self._interest

"""What the clients for asyncio programs have in common: `async with`, and the end of one that is dropped.

Knows: that a client has an inside with connections. Must not know: what a client does.
"""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import NoReturn, Protocol, TypeVar

from ..client.statistics import PublisherStatistics, StreamStatistics

Self = TypeVar("Self", bound="AsyncClient")


class Inside(Protocol):
    """The connections of a client."""

    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""

    @property
    def in_use(self) -> bool:
        """Whether a socket is open, or is about to be."""

    def statistics(self) -> PublisherStatistics | StreamStatistics:
        """A snapshot."""

    def drop(self) -> None:
        """Release the sockets, from any thread: nobody has the client any more."""


class AsyncClient:
    """Base of Publisher and EventStream."""

    _inside: Inside | None = None  # as long as no argument was found wrong

    async def connect(self: Self) -> Self:
        """Find the event service and connect to it."""
        raise NotImplementedError

    async def close(self) -> None:
        """Release the connections. Calling it again is harmless."""
        raise NotImplementedError

    async def __aenter__(self: Self) -> Self:
        return await self.connect()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        inside, kind = self._inside, type(self).__name__
        if inside is None:
            return f"<aio.{kind}, not initialised>"
        found = inside.statistics()
        of = f" of {found.address}" if found.address is not None else ""
        state = "closed" if inside.closed else "connected" if found.connected else "not connected"
        return f"<aio.{kind} {found.name!r}{of}, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} can be neither copied nor pickled, because it has connections: make "
            "another one where you need it"
        )

    def __del__(self) -> None:
        inside = self._inside
        if inside is not None and inside.in_use:
            text = f"unclosed {self!r}: use it in `async with`, or call `await close()`"
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)
            inside.drop()

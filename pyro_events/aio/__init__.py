"""pyro_events.aio: the clients for asyncio programs, with the names, arguments and rules of pyro_events.

It works on the running event loop, asyncio's own or uvloop, with the loop's own sockets. Only a look-up of a
name, in the name server or of a host, uses a thread.

Example:
    >>> async def main():
    ...     async with aio.Publisher() as market:
    ...         return await market.publish("STOCKQUOTE.SUN", 22.44)
    >>> asyncio.run(main())
    0

Knows: the public names. Must not know: anything else.
"""

from __future__ import annotations

from .background_publisher import BackgroundPublisher
from .event_stream import EventStream
from .interest.interest_watch import InterestWatch
from .pipeline import Pipeline
from .publisher import Publisher

__all__ = ["BackgroundPublisher", "EventStream", "InterestWatch", "Pipeline", "Publisher"]


def __dir__() -> list[str]:
    """What tab completion offers: the modules that these names come from are not for programs."""
    return list(__all__)

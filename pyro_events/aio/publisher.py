"""Publisher: the class with which an asyncio program publishes.

Knows: what one publish means. Must not know: frames, transports, whose turn it is (sender.py does).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from Pyro5.core import URI

from ..broker.matching.service_subjects import check_published_all
from ..client.background.options import BackgroundOptions, BackgroundPolicy
from ..client.base import checked_wait, chosen_locator
from ..client.publishing.entry import checked_entry, checked_timeout
from ..client.statistics import PublisherStatistics
from ..codec.message import encode_shared
from ..constants import BACKGROUND_BYTES, BACKGROUND_EVENTS
from ..options import Overflow
from ..wire.handshake.passphrase import Ident, sealed
from .background_publisher import BackgroundPublisher
from .interest.interest_methods import InterestMethods
from .pipeline import Pipeline
from .sender import Sender

Self = TypeVar("Self", bound="Publisher")


class Publisher(InterestMethods):
    """Publishes events from an asyncio program; the same as `pyro_events.Publisher`, with `await`.

    It connects in `async with`, or with `await connect()`; then call `await close()`. It has one connection,
    on the loop that runs then (asyncio's own or uvloop), and makes a new one when that broke. Any number of
    tasks of that loop may use it: each waits for its own acknowledgement only. Whatever `await` is cancelled,
    the publisher can be used on. A cancelled `publish` was either sent whole, in its place, or not at all.

    Example:
        >>> async def main():
        ...     async with aio.Publisher() as market:
        ...         await market.publish("STOCKQUOTE.SUN", ("SUN", 22.44))
        ...         async with market.pipeline() as fast:
        ...             for price in (22.45, 22.46):
        ...                 await fast.publish("STOCKQUOTE.SUN", ("SUN", price))
        ...     return market.statistics().published
        >>> asyncio.run(main())
        3
    """

    def __init__(
        self,
        ident: Ident = None,
        es_uri: str | URI | None = None,
        *,
        esURI: str | URI | None = None,
        user: str | None = None,
        name: str | None = None,
        ns_host: str | None = None,
        ns_port: int | None = None,
        wait: float = 0.0,
    ) -> None:
        """Check the arguments. Nothing is connected yet.

        Args:
            ident: the passphrase of service and name server, which both sides prove to each other. Default
                None: they have none.
            es_uri: where the service is: "host:port", "[::1]:9095", or a Pyro URI. Default None: what
                PYROEVENTS_ES_URI in the environment says; without it the name server is asked, in a thread of
                its own.
            esURI: Pyro3's name for `es_uri`; None by default.
            user: whose passphrase `ident` is: a user of the service's permissions file. Default None: it is
                the service's own.
            name: what statistics and log of the service call this client, at most 100 printable characters.
                Default None: the script's name and process id.
            ns_host: where the name server is. Default None: Pyro5's setting NS_HOST.
            ns_port: its port. Default None: Pyro5's setting NS_PORT.
            wait: seconds for which connecting tries a service, or a name server, that is not there yet, again
                and again; `math.inf` for ever. Default 0: connecting raises at once, within two seconds.

        Raises:
            TypeError, ValueError: an argument is not one of the above; the text says what to write.

        Example:
            >>> aio.Publisher(es_uri="lab-server:9095", name="market")
            <aio.Publisher 'market', not connected>
        """
        ident = sealed(ident)
        locator = chosen_locator(ident, es_uri, esURI, name, ns_host, ns_port, user)
        self._sender = self._inside = Sender(locator, checked_wait(wait))

    async def connect(self: Self) -> Self:
        """Find the event service and connect to it, as `async with` does. Calling it again is harmless.

        Returns:
            This publisher.

        Raises:
            ServiceNotFoundError: there is no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address (a CommunicationError).
            AccessDeniedError: the passphrase, or the user, is missing or wrong, at the name server or the
                service.
            EventServiceError: this publisher is closed, or no event loop of asyncio runs here.

        Example:
            >>> async def main():
            ...     market = await aio.Publisher(es_uri=es_uri, wait=30).connect()
            ...     await market.publish("STOCKQUOTE.SUN", 22.44)
            ...     await market.close()
            >>> asyncio.run(main())
        """
        await self._sender.connect()
        return self

    async def publish(
        self,
        subjects: str | Iterable[str],
        message: object,
        *,
        timeout: float | None = None,
        retain: bool = False,
    ) -> int:
        """Publish a message under one name, or one event for each of several.

        A full backlog holds the call up, if its subscriber's overflow policy is `block`, and then also what
        other tasks publish with this publisher meanwhile. If the call is cancelled, the event is published
        once or never.

        Args:
            subjects: one name or any iterable of names, each of 1 to 255 characters.
            message: any Python object that can be sent; instances of your classes once `register_class`
                knows them. Do not change it before the call has returned or was cancelled.
            timeout: seconds that the call may take. Default None: as long as the service blocks it.
            retain: whether the service also keeps the event as the last value of its subjects, for those who
                subscribe later with `last=True`; until the next such event, `clear_retained`, or the end of
                the service. False by default.

        Returns:
            How many deliveries the service has queued: 0 when nobody listens.

        Raises:
            TypeError, ValueError: a subject or the message cannot be published, or the service keeps as many
                last values as it may. As with the next two, nothing was published.
            AccessDeniedError: the user has no right to publish a subject; nothing was.
            MessageTooLargeError: the message is over the service's limit, which is 16 MiB by default.
            ServiceUnreachableError, ServiceNotFoundError: the connection was lost, and there is no new one.
            AnswerTimeoutError: the timeout is over (also a TimeoutError). Unless the text says that nothing
                was sent, the service may still publish the event, in its place in this publisher's order.
            OutcomeUnknownError: the connection broke before the acknowledgement.
            EventServiceError: this publisher is closed, not connected yet, or belongs to another event loop.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market:
            ...         prices = {"SUN": 22.44, "IBM": 120.1}
            ...         calls = [market.publish(f"STOCKQUOTE.{name}", prices[name]) for name in prices]
            ...         return await asyncio.gather(*calls)
            >>> asyncio.run(main())
            [0, 0]
        """
        if timeout is not None:
            timeout = checked_timeout(timeout)
        sender, payload = self._sender, encode_shared(message)
        if len(payload) > sender.connection.max_message:
            await sender.check_size(len(payload))
        entry, events, _ = checked_entry(subjects, payload, retain)
        return await sender.publish(entry, events, timeout) if events else 0

    async def clear_retained(self, subjects: str | Iterable[str]) -> int:
        """Forget the last values of some subjects, after what this publisher has published before.

        Args:
            subjects: one name or any iterable of names; upper and lower case do not matter.

        Returns:
            How many of them had a last value, of those that the user may subscribe to.

        Raises:
            TypeError, ValueError: a name cannot be used; nothing was forgotten.
            AccessDeniedError: the user has no right to publish a subject.
            EventServiceError: one of those that `publish` raises.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market:
            ...         await market.publish("STOCKQUOTE.SUN", 22.44, retain=True)
            ...         return await market.clear_retained("STOCKQUOTE.SUN")
            >>> asyncio.run(main())
            1
        """
        return await self._sender.clear_retained(check_published_all(subjects))

    def pipeline(self) -> Pipeline:
        """A faster way to publish much: gathers events and is acknowledged in the background.

        Several may be in use at once, and `publish` beside them: what one publisher publishes stays in order.

        Returns:
            A new Pipeline, for an `async with` statement.

        Raises:
            EventServiceError: when it is used and cannot be, as with `publish`.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, market.pipeline() as fast:
            ...         for number in range(1000):
            ...             await fast.publish("NUMBERS", number)
            >>> asyncio.run(main())
        """
        return Pipeline(self._sender, self)

    def background(
        self,
        limit: int = BACKGROUND_EVENTS,
        limit_bytes: int = BACKGROUND_BYTES,
        overflow: Overflow | BackgroundPolicy = Overflow.DROP_OLDEST,
    ) -> BackgroundPublisher:
        """A way to publish that never waits for the service, and needs no `await`.

        It has a connection of its own and a task on this publisher's loop, and its queue is bounded. What it
        publishes stays in order; between it and what this publisher publishes in other ways there is none. It
        ends with this publisher. It may be made while the service is away.

        Args:
            limit: how many events may wait to be sent, each subject of a call counted; 10,000 by default.
            limit_bytes: how many bytes of memory they may take; 64 MiB by default. A larger event is taken if
                no other waits.
            overflow: what is dropped beyond that: "drop-oldest", the default, "drop-newest", or "latest",
                which always keeps the newest event of each subject only.

        Returns:
            A new BackgroundPublisher, for an `async with` statement.

        Raises:
            ValueError: a limit is not a whole number of at least 1, or the policy is none of the three.
            EventServiceError: this publisher is closed, not connected yet, or belongs to another event loop.

        Example:
            >>> async def main():
            ...     async with aio.Publisher() as market, market.background() as instrument:
            ...         instrument.publish("OVEN.TEMPERATURE", 210.5)
            >>> asyncio.run(main())
        """
        options = BackgroundOptions(limit, limit_bytes, Overflow.parse(overflow))
        return BackgroundPublisher(self._sender, self, options)

    def statistics(self) -> PublisherStatistics:
        """What this publisher has done so far.

        A call that was cancelled after it had been sent counts as unknown.

        Returns:
            A frozen snapshot.

        Example:
            >>> aio.Publisher(es_uri="lab-server:9095").statistics().connected
            False
        """
        return self._sender.statistics()

    async def close(self) -> None:
        """Release the connection. Calling it again is harmless.

        Calls that wait for their acknowledgement raise OutcomeUnknownError, and what a pipeline still buffers
        is not sent.

        Raises:
            EventServiceError: this publisher belongs to another event loop, which still is open.
        """
        await self._sender.close()

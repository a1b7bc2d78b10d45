"""EventStream: events that an asyncio program takes one by one, over its own connection.

Knows: what a program may do with a stream. Must not know: transports, tasks, or how a lost connection comes
back (streaming/stream_receiver.py does).
"""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Iterable
from typing import TypeVar

from Pyro5.core import URI

from ..broker.matching.patterns import compile_pattern
from ..broker.matching.subjects import check_subjects, check_texts
from ..client.base import checked_wait, chosen_locator
from ..client.publishing.entry import checked_timeout
from ..client.statistics import StreamStatistics
from ..client.subscribing.call_options import given_options
from ..client.subscribing.subscriptions import NAME, PATTERN
from ..event import Event
from ..options import Overflow, OverflowName
from ..wire.handshake.passphrase import Ident, sealed
from .async_client import AsyncClient
from .streaming.stream_receiver import StreamReceiver

Self = TypeVar("Self", bound="EventStream")


class EventStream(AsyncClient):
    """Events of some subjects, for asyncio programs; the same as `pyro_events.EventStream`, with `await`.

    It connects and subscribes in `async with`, or with `await connect()`; then call `await close()`. It makes
    its connection on the loop that runs then (asyncio's own or uvloop), and any task of that loop may use it.
    Order, `seq`, `missed`, backlogs and their policies are those of a Subscriber. An event counts as
    delivered when the program has taken it, so a slow program has a backlog at the service.

    When the service is lost, the stream finds it again by itself. `get` waits meanwhile, and the first event
    afterwards has `missed` None. Whatever `await` is cancelled, no event is lost by that, and the stream can
    be used on.

    Example:
        >>> async def main():
        ...     async with aio.EventStream("STOCKQUOTE.SUN", match="^NEWS[.]") as events:
        ...         async with aio.Publisher() as market:
        ...             await market.publish(["STOCKQUOTE.SUN", "NEWS.TECH"], "up")
        ...         async for event in events:
        ...             print(event.subject, event.msg)
        ...             if event.seq == 2:
        ...                 break
        >>> asyncio.run(main())
        STOCKQUOTE.SUN up
        NEWS.TECH up
    """

    def __init__(
        self,
        subjects: str | Iterable[str] = (),
        *,
        match: str | Iterable[str] = (),
        es_uri: str | URI | None = None,
        ident: Ident = None,
        user: str | None = None,
        name: str | None = None,
        wait: float = 0.0,
        ns_host: str | None = None,
        ns_port: int | None = None,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> None:
        """Check the arguments. Nothing is connected yet.

        Args:
            subjects: the names to subscribe to: one, or any iterable of them. Default (): none.
            match: one regular expression or any iterable of them, matched from the start of the subject.
                Default (): none.
            es_uri: where the service is: "host:port", "[::1]:9095", or a Pyro URI. Default None: what
                PYROEVENTS_ES_URI in the environment says; without it the name server is asked, in a thread.
            ident: the passphrase of service and name server, which both sides prove to each other. Default
                None: they have none.
            user: whose passphrase `ident` is: a user of the service's permissions file. Default None: it is
                the service's own.
            name: what statistics and log of the service call this client, at most 100 printable characters.
                Default None: the script's name and process id.
            wait: seconds for which connecting tries a service, or a name server, that is not there yet, again
                and again; `math.inf` for ever. Default 0: connecting raises at once, within two seconds.
            ns_host: where the name server is. Default None: Pyro5's setting NS_HOST.
            ns_port: its port. Default None: Pyro5's setting NS_PORT.
            backlog: how many events the service keeps for this stream while it is slow. Default None: what
                the service does.
            backlog_bytes: how many bytes it keeps. Default None: what the service does.
            overflow: what happens when the backlog is full: "block", "drop-oldest", "drop-newest", "latest"
                or "disconnect". Default None: what the service does, usually "block".
            max_age: after how many seconds of waiting an event is dropped; `math.inf` for never. Default
                None: what the service does, usually never.
            group: the name of a group that shares its events, each of which goes to one member. Default None:
                the stream is in none.
            ahead: how many events a member may have unacknowledged, that is not taken yet; 1 for long jobs.
                Default None: up to two batches.
            last: whether the last retained event of each of these subjects comes first; not with a group.
                Default False.

        Raises:
            TypeError, ValueError: an argument is not one of the above; the text says what to write.
        """
        ident = sealed(ident)
        names, patterns = check_subjects(subjects), check_texts(match, "pattern")
        for pattern in patterns:
            compile_pattern(pattern)
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        locator = chosen_locator(ident, es_uri, None, name, ns_host, ns_port, user)
        self._wanted = [(NAME, names), (PATTERN, patterns)]
        self._receiver = self._inside = StreamReceiver(locator, options, checked_wait(wait))
        self._source, self._home = self._receiver.source, self._receiver.home

    async def connect(self: Self) -> Self:
        """Find the event service, connect to it and subscribe, as `async with` does. Calling it again is
        harmless.

        Returns:
            This stream.

        Raises:
            ServiceNotFoundError: there is no name server, or no service in it (a NamingError).
            ServiceUnreachableError: the service does not answer at its address, or is too old to send events
                over a connection that was made to it (a CommunicationError).
            AccessDeniedError: the passphrase, or the user, is missing or wrong, at the name server or the
                service; or the user has no right to a name or to the group.
            ValueError: the service does not accept the options of the backlog.
            EventServiceError: this stream is closed, or no event loop of asyncio runs here.
        """
        await self._receiver.connect(self._wanted)
        return self

    async def get(self, timeout: float | None = None) -> Event:
        """Take the next event, and wait for it if there is none.

        Args:
            timeout: seconds to wait; 0 takes only what has come. Default None: until there is one.

        Returns:
            The event.

        Raises:
            TimeoutError: none came in time.
            EventServiceError: the stream is closed, before or meanwhile; or it is not connected yet, or
                belongs to another event loop.
            TypeError, ValueError: the timeout is not a number of seconds of at least 0.

        Example:
            >>> async def main():
            ...     async with aio.EventStream("NEWS") as events:
            ...         await events.get(timeout=0)
            >>> asyncio.run(main())
            Traceback (most recent call last):
            ...
            TimeoutError: no event came within 0 s
        """
        seconds = checked_timeout(timeout)
        receiver = self._receiver
        loop = receiver.check()
        row = await receiver.source.next(None if seconds is None else loop.time() + seconds)
        if row is not None:
            return Event.from_payload(*row)
        if receiver.source.over:
            raise receiver.over()
        raise TimeoutError(f"no event came within {seconds:g} s")

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> Event:
        source = self._source
        # These lines run for each event; whatever else there is to do, `next` does.
        if _get_running_loop() is not self._home.loop or self._home.loop is None:
            self._home.check()
        row = source.take()
        if row is None:
            row = await source.next(None)
            if row is None:
                if source.closed:
                    raise StopAsyncIteration
                raise self._receiver.over()
        return Event.from_payload(*row)

    async def subscribe(
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
        """Subscribe to one more name or several. Subscribing twice is harmless.

        A call that is cancelled subscribes to all of them or to none.

        Args:
            subjects: one name or any iterable of names.
            backlog: as when the stream is made; of the stream, not of these names. Default None: as before.
            backlog_bytes: the same. Default None: as before.
            overflow: the same. Default None: as before.
            max_age: the same. Default None: as before.
            group: as when the stream is made; another one only after it has unsubscribed from everything.
                Default None: as before.
            ahead: the same as `backlog`. Default None: as before.
            last: whether the last retained event of each of these names comes first. Default False.

        Raises:
            TypeError, ValueError: a name or an option cannot be used; the text says why.
            AccessDeniedError: the user has no right to a name or to the group.
            EventServiceError: the stream is closed, or the service cannot be reached; then nothing has
                changed.
        """
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        await self._receiver.subscribe(NAME, check_subjects(subjects), options)

    async def subscribeMatch(
        self,
        patterns: str | Iterable[str],
        *,
        backlog: int | None = None,
        backlog_bytes: int | None = None,
        overflow: Overflow | OverflowName | None = None,
        max_age: float | None = None,
        group: str | None = None,
        ahead: int | None = None,
        last: bool = False,
    ) -> None:
        """Subscribe to the subjects that match one more regular expression or several.

        Args:
            patterns: one pattern or any iterable of them; upper and lower case do not matter.
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
            EventServiceError: as for `subscribe`.
        """
        options = given_options(backlog, backlog_bytes, overflow, max_age, group, ahead, last)
        await self._receiver.subscribe(PATTERN, check_texts(patterns, "pattern"), options)

    async def unsubscribe(self, subjects: str | Iterable[str]) -> None:
        """Remove names and patterns; what is not there is no error.

        Nothing published afterwards arrives by them; what was queued before still may.

        Args:
            subjects: names and patterns, in any mixture, or one of them.

        Raises:
            TypeError, ValueError: they are not text.
            EventServiceError: as for `subscribe`.
        """
        await self._receiver.unsubscribe(check_texts(subjects))

    def statistics(self) -> StreamStatistics:
        """What this stream has done so far.

        Returns:
            A frozen snapshot.

        Example:
            >>> aio.EventStream("NEWS", es_uri="lab-server:9095").statistics().connected
            False
        """
        return self._receiver.statistics()

    async def close(self) -> None:
        """Unsubscribe and release the connection. Calling it again is harmless.

        A task that waits for an event wakes: its `get` raises EventServiceError, and its loop ends.

        Raises:
            EventServiceError: this stream belongs to another event loop, which still is open.
        """
        await self._receiver.close()

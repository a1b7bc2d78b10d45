"""The receiver of a stream on an event loop: its connections, its subscriptions, and how it comes back.

Knows: the connection for events, the one for calls, and the times of reconnecting. Must not know: frames,
what an event is made of, who takes events, or what the service is told about subscriptions.

One task of each stream waits for the end of its connection, and makes it again.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from ...client.connection.discovery import ServiceLocator
from ...client.connection.times import ConnectTimes
from ...client.forks import tell_in_child
from ...client.reconnect.times import ReconnectTimes
from ...client.statistics import StreamStatistics
from ...client.stream.stream_receiver import CLOSED, STREAM_TIMES
from ...client.subscribing.call_options import of_the_subscriber
from ...errors import AccessDeniedError, EventServiceError
from ...log.background import get_logger
from ...wire.own_connection import Attached, attach_options
from ..connection.control_calls import ControlCalls
from ..connection.current import CurrentConnection
from ..connection.turns import Turns
from ..home_loop import HomeLoop
from .event_connection import open_event_connection
from .event_source import EventSource
from .remote_subscriptions import RemoteSubscriptions

log = get_logger("pyro_events.stream")

ABANDONED: Final = (
    "the connection of this stream has ended, and the task that would make another one was ended by this "
    "program, perhaps with all tasks of its loop: make another stream"
)
_USUAL_TIMES: Final = ConnectTimes()


class StreamReceiver:
    """The inside of one stream. source: where its events come from."""

    def __init__(
        self,
        locator: ServiceLocator,
        options: dict[str, Any],
        wait: float,
        times: ReconnectTimes = STREAM_TIMES,
    ) -> None:
        """options: of the backlog. wait: seconds for which a service that is not there yet is tried again."""
        self._locator = locator
        self._options = options
        self._wait = wait
        self._times = times
        self.home = HomeLoop("stream")
        self.calls = ControlCalls(CurrentConnection(locator, _USUAL_TIMES))
        self.remote = RemoteSubscriptions(self.calls)
        self.source = EventSource(self.home)
        self.reconnects = 0
        self._attached = Attached("", "")
        self._turns = Turns()
        self._keeping: asyncio.Task[None] | None = None
        tell_in_child(self)

    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""
        return self.source.closed

    @property
    def in_use(self) -> bool:
        """Whether a socket is open, or is about to be."""
        comes_back = self._keeping is not None
        connected = comes_back or self.source.connected or self.calls.connection.in_use
        return not self.source.closed and connected

    # ---- the first connection -------------------------------------------------------------------

    async def connect(self, wanted: list[tuple[str, list[str]]]) -> None:
        """Connect, and subscribe. If it raises, nothing is connected; harmless if it is connected."""
        if self.source.closed:
            raise EventServiceError(CLOSED)
        self.home.enter()
        await self._turns.take()
        try:
            if self._keeping is None:
                await self._connect(wanted)
        finally:
            self._turns.give()

    async def _connect(self, wanted: list[tuple[str, list[str]]]) -> None:
        try:
            await self.calls.connection.open_first(self._wait)
            await self._attach(_USUAL_TIMES.first, again=False)
            if any(texts for _, texts in wanted):
                await self.remote.subscribe(wanted, self._options)
        except BaseException:
            self._release("it is not wanted any more")
            raise
        self._keeping = asyncio.ensure_future(self._keep())

    async def _attach(self, seconds: float, again: bool) -> None:
        """Make a connection for events. seconds: as for `open_event_connection`."""
        lasting = of_the_subscriber(self._options)
        options = attach_options(self.calls.connection.name, self._attached.key, **lasting)
        events, self._attached = await open_event_connection(
            self._locator, options, _USUAL_TIMES, seconds, again, self.source.changed
        )
        self.remote.subscriber = self._attached.subscriber
        self.source.replace(events)
        if self.source.closed:
            raise EventServiceError(CLOSED)

    # ---- coming back ----------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Make the connection again whenever it ends."""
        try:
            await self._keep_connected()
        finally:
            self.source.abandon()

    async def _keep_connected(self) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while not self.source.closed:
            began = loop.time()
            await self._end_of_connection()
            if loop.time() - began >= self._times.steady:
                failures = 0
            log.debug("the connection of a stream has ended")
            lasting = False
            while not self.source.closed and not self.source.connected:
                # Also before the first attempt: the program may take what has come meanwhile.
                await asyncio.sleep(self._times.backoff(failures, lasting))
                failures += 1
                lasting = not await self._come_back(first=failures == 1)

    async def _end_of_connection(self) -> None:
        """Return when the connection has ended, or the service does not know it any more."""
        loop = asyncio.get_running_loop()
        events, failed = self.source.events, 0
        while events is not None:
            heard = events.inbox.heard
            if await self.source.lost(loop.time() + self._times.heartbeat):
                return
            if events.inbox.heard != heard:
                failed = 0
                continue
            # The service's heartbeat is missing. The network may be cut for a while, so silence alone does
            # not end the connection; the system does after two minutes.
            try:
                known = await self.remote.is_known()
            except Exception as error:  # nothing that a service answers may end this task
                failed += 1
                if failed == self._times.tries:
                    log.warning("nothing is heard from the event service: %s", error, about=self._id)
            else:
                if not known:
                    events.end("the service does not know it any more")

    async def _come_back(self, first: bool) -> bool:
        """Try to make the connection again. Returns whether trying again soon may help."""
        try:
            await self._attach(_USUAL_TIMES.connect, again=True)
            await self.remote.resubscribe()
            self.reconnects += 1
            log.info("a stream was subscribed again%s", self._why(), about=self._id)
        except Exception as error:
            if self.source.closed:
                raise
            if first:
                log.warning("a stream cannot connect again: %s", error, about=self._id)
            self.source.end("the service could not be told of the subscriptions")
            return not isinstance(error, AccessDeniedError) and getattr(error, "temporary", True)
        return True

    def _why(self) -> str:
        """Why it was disconnected, and what it may not do now, for the log."""
        told = "; ".join(filter(None, self._attached.notes))
        return f": {told}" if told else ""

    @property
    def _id(self) -> str:
        return f"stream {self._attached.id}"

    # ---- what the program asks for --------------------------------------------------------------

    async def subscribe(self, how: str, texts: list[str], options: dict[str, Any]) -> None:
        """Subscribe to names or patterns. If it raises, nothing has changed."""
        self.check()
        if texts:
            known = await self.remote.subscribe([(how, texts)], options)
            self._options = {**self._options, **of_the_subscriber(options)}
            if not known:
                self.source.end("the service does not know it any more")

    async def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        self.check()
        await self.remote.unsubscribe(texts)

    def check(self) -> asyncio.AbstractEventLoop:
        """The running loop. Raises EventServiceError if it cannot be used here, or any more."""
        loop = self.home.check()
        if self.source.over:
            raise self.over()
        return loop

    def over(self) -> EventServiceError:
        """Why no event will come any more."""
        return EventServiceError(CLOSED if self.source.closed else ABANDONED)

    def statistics(self) -> StreamStatistics:
        """A snapshot."""
        source, connection = self.source, self.calls.connection
        return StreamStatistics(
            source.taken,
            source.waiting,
            self.remote.texts(),
            self._attached.id,
            self.reconnects,
            source.connected,
            connection.address,
            connection.name,
        )

    # ---- the end --------------------------------------------------------------------------------

    async def close(self) -> None:
        """Unsubscribe and release everything; a task that waits for an event wakes first."""
        loop = self.home.loop
        if loop is not None:
            if loop.is_closed():
                self.drop()
                return
            self.home.check()
        first = self.source.close()
        if self._keeping is not None:
            self._keeping.cancel()
        try:
            if first and self.source.connected:
                await self.remote.unsubscribe_all()
        finally:
            self._release("this program closed it")
            self.calls.close()
        if self.source.events is not None:
            await self.source.events.released()
        await self.calls.connection.released()

    def _release(self, reason: str) -> None:
        self.remote.close()
        self.calls.connection.release(reason)
        self.source.end(reason)

    def drop(self) -> None:
        """Release the sockets, from any thread: nobody has the stream any more."""
        self.source.closed = True
        keeping, loop = self._keeping, self.home.loop
        if keeping is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(keeping.cancel)
        if self.source.events is not None:
            self.source.events.drop()
        self.calls.connection.drop()

    def forked(self) -> None:
        """In a forked child: the connections are the parent's."""
        self.source.closed, self.home.loop = True, None
        if self.source.events is not None:
            self.source.events.disown()
        self.calls.connection.disown()

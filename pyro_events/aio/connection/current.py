"""The connection in use on an event loop: made when it is needed, checked after it was idle, made again.

Knows: the one Connection to the service, and what the service said when the last one was made. Must not know:
which calls are made.

Connecting is a task of its own, for which all wait that need the connection. So a caller that is cancelled
stops only its own waiting.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ...client.connection.discovery import ServiceLocator
from ...client.connection.first_attempts import FirstAttempts
from ...client.connection.opener import CLOSED
from ...client.connection.outcome import not_sent_in_time
from ...client.connection.times import ConnectTimes
from ...constants import MAX_MESSAGE
from ...errors import EventServiceError
from .connection import Connection
from .opener import open_connection

CANCELLED: Final = (
    "connecting to the event service was cancelled by this program, perhaps with all tasks of its loop; "
    "nothing was sent, and the next call tries again"
)


class CurrentConnection:
    """announced: the largest message in bytes, as the service said on the last connection. max_message: the
    same, or the default if the service did not say it. reconnects: how often the connection had to be made
    again. closed: whether it is never made again."""

    def __init__(self, locator: ServiceLocator, times: ConnectTimes) -> None:
        self._locator = locator
        self._times = times
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self.closed = False
        self.address: str | None = None
        self.reconnects = 0
        self.announced: int | None = None
        self.max_message = MAX_MESSAGE

    @property
    def name(self) -> str:
        """The name of this client at the service."""
        return self._locator.name

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as that is known without using it."""
        connection = self._connection
        return connection is not None and connection.ended is None

    @property
    def transport(self) -> str:
        """How the connection goes to the service: "tcp" or "unix"."""
        return self._connection.transport if self._connection is not None else "tcp"

    @property
    def in_use(self) -> bool:
        """Whether a socket is open, or is about to be."""
        return self.connected or self._opening is not None

    def usable(self) -> Connection | None:
        """The connection to send on; None if one has to be made first."""
        connection = self._connection
        if connection is not None and connection.is_usable(self._times.idle):
            return connection
        return None

    async def open(self, deadline: float | None = None, seconds: float | None = None) -> Connection:
        """Make the connection again, or wait until the task that does so has ended.

        Args:
            deadline: how long this caller waits, on the loop's clock; then AnswerTimeoutError.
            seconds: how long the attempt may take; None gives each address its own time.

        Raises:
            EventServiceError: as `open_connection`; or it is closed.
        """
        if self.closed:
            raise EventServiceError(CLOSED)
        loop = asyncio.get_running_loop()
        opening = self._opening
        if opening is None:
            self._opening = opening = loop.create_task(open_connection(self._locator, self._times, seconds))
            opening.add_done_callback(self._opened)
        # Unlike awaiting the task, this passes no cancellation on to it.
        await asyncio.wait({opening}, timeout=None if deadline is None else max(0.0, deadline - loop.time()))
        if not opening.done():
            raise not_sent_in_time(self.address)
        if opening.cancelled():
            raise EventServiceError(CLOSED if self.closed else CANCELLED)
        return opening.result()

    def _opened(self, opening: asyncio.Task[Connection]) -> None:
        """The attempt has ended."""
        if opening.cancelled():
            if opening is self._opening:  # by the program
                self._opening = None
            return
        error = opening.exception()  # so that asyncio does not report it if nobody waits any more
        if opening is not self._opening:  # it was stopped, and has not noticed
            if error is None:
                opening.result().end("nobody waits for it")
            return
        self._opening = None
        if error is not None:
            return
        connection = opening.result()
        self.announced = connection.announced
        self.max_message = MAX_MESSAGE if connection.announced is None else connection.announced
        if self.address is not None:
            self.reconnects += 1
        self._connection, self.address = connection, connection.address

    async def open_first(self, wait: float) -> None:
        """Connect for the first time: an answer comes within two seconds.

        wait: seconds for which a service, or a name server, that is not there yet is tried again. Raises as
        `open`; at once if waiting cannot help.
        """
        loop = asyncio.get_running_loop()
        attempts = FirstAttempts(wait, self._locator.delay, self._times, loop.time())
        while True:
            try:
                await self.open(seconds=attempts.deadline(0.0))
                return
            except EventServiceError as error:
                pause = attempts.pause_after(error, loop.time())
            except asyncio.CancelledError:
                self._stop()
                raise
            await asyncio.sleep(pause)

    def _stop(self) -> None:
        """End an attempt to connect."""
        opening, self._opening = self._opening, None
        if opening is not None and not opening.get_loop().is_closed():
            opening.cancel()

    def close(self) -> None:
        """End the connection for good, and an attempt to make one."""
        self.closed = True
        self._stop()
        self.release("this program closed it")

    def release(self, reason: str) -> None:
        """Close the connection for now; it is made again when it is needed."""
        if self._connection is not None:
            self._connection.end(reason)

    async def released(self) -> None:
        """Wait until the socket of a closed connection is released."""
        if self._connection is not None:
            await self._connection.released()

    def drop(self) -> None:
        """Release the socket, from any thread: nobody has the client any more."""
        self.closed = True
        if self._connection is not None:
            self._connection.drop()

    def disown(self) -> None:
        """In a forked child: release the parent's connection for good, without sending anything on it."""
        self.closed = True
        connection, self._connection, self._opening = self._connection, None, None
        if connection is not None:
            connection.disown()

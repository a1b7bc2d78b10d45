"""The connection in use: made when it is needed, checked after it was idle, released when it has ended.

Knows: the one Connection to the service, and what the service said when the last one was made. Must not know:
which calls are made, or which threads make them; the caller holds the sending lock where a method says so.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ...constants import MAX_MESSAGE
from ...errors import EventServiceError, ServiceNotFoundError, ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...wire.handshake.capabilities import NOTHING_SAID, PeerInfo
from ..interruptions import owned, within
from .connection import Connection
from .discovery import ServiceLocator
from .opener import CLOSED, ConnectionOpener
from .outcome import not_sent_in_time
from .reply_reader import ReplyReader
from .times import ConnectTimes


class CurrentConnection:
    """announced: the largest message in bytes, as the service said on the last connection. max_message: the
    same, or the default if the service did not say it. Both are plain attributes, because they are read for
    each event. reconnects: how often the connection had to be made again. times: how long connecting may
    take. sending: the lock of the thread that sends. reader: reads the replies."""

    def __init__(self, locator: ServiceLocator, times: ConnectTimes) -> None:
        self.times = times
        self._opener = ConnectionOpener(locator)
        self._connection: Connection | None = None
        self._used = 0.0
        self.closed = False
        self.address: str | None = None
        self.remote_host = ""
        self.reconnects = 0
        self.announced: int | None = None
        self.max_message = MAX_MESSAGE
        self._make_locks()

    def _make_locks(self) -> None:
        self.sending: Any = threading.RLock()
        self.reader = ReplyReader()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as that is known without using it."""
        connection = self._connection
        return connection is not None and not connection.dead

    @property
    def local_host(self) -> str:
        """This program's address on the connection to the service; "" before the first connection."""
        connection = self._connection
        return connection.local_host if connection is not None else ""

    @property
    def transport(self) -> str:
        """How the connection goes to the service: "tcp" or "unix"."""
        connection = self._connection
        return connection.transport if connection is not None else "tcp"

    @property
    def peer(self) -> PeerInfo:
        """What the service says about itself."""
        connection = self._connection
        return connection.peer if connection is not None else NOTHING_SAID

    def usable(self, quick: bool = False, deadline: float | None = None) -> Connection:
        """The connection to send on; `sending` is held.

        Args:
            quick: if it has to be made, do not try for long.
            deadline: on the monotonic clock, for a connection that has to be made.
        """
        if self.closed:
            raise EventServiceError(CLOSED)
        connection = self._connection
        now = time.monotonic()
        if connection is not None and not connection.dead:
            if now - self._used < self.times.idle or not connection.closed_while_idle():
                self._used = now
                return connection
            connection.fail("the service closed the connection")
        if connection is not None:
            connection.fail("it could not be used any more")
            self.reader.close(connection)
        if deadline is None:
            return self.reopen(quick)
        try:
            return self.reopen(quick, min(deadline, now + self.times.connect))
        except (ServiceNotFoundError, ServiceUnreachableError) as error:
            if time.monotonic() < deadline or is_foreign(error, EventServiceError):
                raise
            raise not_sent_in_time(self.address) from error

    def reopen(self, quick: bool, deadline: float | None = None) -> Connection:
        """Make the connection again; `sending` is held. Raises as ConnectionOpener.open."""
        connection = self._opener.open(quick, self.times, deadline)
        self.announced = connection.announced
        self.max_message = MAX_MESSAGE if connection.announced is None else connection.announced
        if self.address is not None:
            self.reconnects += 1
        self._connection, self.address = connection, connection.address
        self.remote_host = connection.remote_host
        self._used = time.monotonic()
        if self.closed:
            connection.close()
            raise EventServiceError(CLOSED)
        return connection

    def drop(self, reason: str) -> None:
        """Close the connection; the next call makes a new one."""
        connection = self._connection
        if connection is not None:
            self.retire(connection, reason)

    def retire(self, connection: Connection, reason: str) -> None:
        """Wake the threads that use a connection, then release its socket."""
        connection.fail(reason)
        # With a time limit, because the woken thread may be busy; then it, or the next call, releases the
        # socket. This thread does not wait at all if it is the one that sends, because a receiver may wait
        # for it.
        seconds = 0.0 if owned(self.sending) else self.times.let_go
        within(self.reader.lock, seconds, lambda: within(self.sending, seconds, connection.close))

    def rest(self, idle: float) -> None:
        """Close the connection if no call has used it for `idle` seconds, and none is using it; the next call
        makes a new one."""
        connection = self._connection
        if connection is None or connection.dead or time.monotonic() - self._used < idle:
            return
        if owned(self.sending) or self.reader.entered:
            return

        def close() -> None:
            if not connection.waits:
                connection.fail("it was not used for a while")
                connection.close()

        within(self.reader.lock, 0.0, lambda: within(self.sending, 0.0, close))

    def close(self) -> None:
        """End the connection for good, and interrupt an attempt to make one."""
        self.closed = True
        self._opener.close()
        self.drop("this program closed it")

    def forked(self) -> None:
        """In a forked child: release the parent's connection without sending anything on it."""
        connection, self._connection = self._connection, None
        self._opener.forked()
        self._make_locks()
        if connection is not None:
            connection.dead = True
            connection.close()

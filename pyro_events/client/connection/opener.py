"""Opens connections to the service: which address is tried, for how long, and how that is interrupted.

Knows: the addresses from the locator, and how long each attempt may take. Must not know: which thread uses a
connection afterwards, or for what.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

from ...errors import AccessDeniedError, EventServiceError, ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...transport.sockets import shut_down
from .connection import Connection
from .discovery import ServiceLocator
from .handshake import Attempt, open_connection
from .times import ConnectTimes

# The error for a program that uses an object after it has closed it.
CLOSED: Final = "this publisher or subscriber is closed: its program has called close()"


class ConnectionOpener:
    """Opens one connection at a time. `close` interrupts an attempt, also from another thread."""

    def __init__(self, locator: ServiceLocator) -> None:
        self._locator = locator
        self._socket: socket.socket | None = None
        self._closed = False

    def open(
        self,
        quick: bool,
        times: ConnectTimes,
        deadline: float | None = None,
        prepare: Callable[[Connection, float], object] | None = None,
    ) -> Connection:
        """Try the addresses in turn, and return the first connection that is made.

        Args:
            quick: try each address for `times.quick` seconds only, because the caller tries again soon.
            times: how long connecting may take.
            deadline: end of all attempts, on the monotonic clock, the look-up included; None gives each
                address its own time.
            prepare: called with a connection that is made, and with the deadline, before an address counts as
                good. What it raises closes the connection; of the errors below, it leads to the next address.

        Raises:
            ServiceNotFoundError: there is no address to try.
            ServiceUnreachableError: no address answered; the error is the last address's.
            AccessDeniedError: the service, or this program, did not accept the other's proof.
        """
        failure: ServiceUnreachableError | AccessDeniedError | None = None
        patience = times.quick if quick else times.connect
        locator = self._locator
        for uri in locator.candidates(quick):
            until = time.monotonic() + times.connect if deadline is None else deadline
            attempt = Attempt(
                uri, locator.identity, locator.name, patience, until, self._begin, lambda: not self._closed
            )
            try:
                connection = _prepared(attempt, prepare)
            except (ServiceUnreachableError, AccessDeniedError) as error:
                if is_foreign(error, ServiceUnreachableError, AccessDeniedError):
                    raise
                error.args = (f"{error}{locator.source(uri)}", *error.args[1:])
                failure = error
                continue
            finally:
                self._socket = None
            locator.was_good(uri)
            if self._closed:
                connection.close()
                raise EventServiceError(CLOSED)
            return connection
        assert failure is not None, "the locator names at least one address"
        raise failure

    def _begin(self, sock: socket.socket) -> None:
        """A socket is connected, before its handshake: `close` must be able to interrupt that."""
        self._socket = sock
        if self._closed:
            raise EventServiceError(CLOSED)

    def close(self) -> None:
        """Open nothing from now on, and interrupt a running attempt."""
        self._closed = True
        opening = self._socket
        if opening is not None:
            shut_down(opening)

    def forked(self) -> None:
        """In a forked child: release the parent's attempt without sending anything."""
        opening, self._socket = self._socket, None
        if opening is not None:
            opening.close()


def _prepared(attempt: Attempt, prepare: Callable[[Connection, float], object] | None) -> Connection:
    """A connection, when `prepare` is done with it."""
    connection = open_connection(attempt)
    if prepare is not None:
        try:
            prepare(connection, attempt.deadline)
        except BaseException:
            connection.close()
            raise
    return connection

"""A link to the service that any thread may use, and that connects again by itself.

Knows: which thread may send and which may receive, and what is certain when a connection breaks.
Must not know: what the calls mean.

Two locks: `_sending` orders the calls of all threads on the wire; `_receiving` is held by the one
thread that reads, for itself and for those whose replies come before its own. A thread that needs
both takes `_receiving` first.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import weakref
from typing import Any, Final

import Pyro5.errors

from ..errors import (
    AccessDeniedError,
    EventServiceError,
    OutcomeUnknownError,
    ServiceNotFoundError,
    ServiceUnreachableError,
)
from ..wire.frames import FrameError
from ..wire.identity import Identity
from ..wire.packing import pack
from .locate import Finder
from .replies import read_reply
from .session import CONNECT_TIMEOUT, Call, Session, Ticket

# A link that was idle for this many seconds is looked at before it is used: a restarted service
# then costs no spurious error. No service restarts faster, and no busy link pays for the look.
IDLE: Final = 0.05
# Seconds for connecting, when a lost service is looked for again and again: just beyond the second
# after which Linux repeats a lost SYN, so that no two are more than two seconds apart.
QUICK_CONNECT: Final = 1.1
# Seconds for all of a constructor's connecting, look-up included: its user has an answer within two.
FIRST_CONNECT: Final = 1.9
# A constructor that waits for its service tries again after so many seconds, and at last after these.
_FIRST_DELAY: Final = 0.05
_LAST_DELAY: Final = 0.8
# How long a thread that closes a session waits for those it has just woken to let go of it.
_LET_GO: Final = 1.0

_NO_NAMED_ARGUMENTS: Final = b"\x80"


def packed_call(method: str, *arguments: Any) -> Call:
    """A call as `Link.post` takes it."""
    return (pack(method) + pack(arguments) + _NO_NAMED_ARGUMENTS,)


class Link:
    """One connection to the service at a time, made when it is needed.

    A call whose connection breaks before its reply came raises OutcomeUnknownError and is never
    repeated. Connecting raises ServiceNotFoundError or ServiceUnreachableError, and then nothing
    was sent.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._session: Session | None = None
        self._used = 0.0
        self._closed = False
        self._opening: socket.socket | None = None
        self._last_address: str | None = None
        self._examined = False
        self.reconnects = 0
        self._make_locks()
        _links.add(self)

    def _make_locks(self) -> None:
        self._sending = threading.Lock()
        self._receiving = threading.Lock()

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as one can know without using it."""
        session = self._session
        return session is not None and not session.dead

    @property
    def address(self) -> str | None:
        """The URI of the service that the link is, or was last, connected to."""
        return self._last_address

    @property
    def name(self) -> str:
        """What the service calls this client."""
        return self._finder.name

    @property
    def identity(self) -> Identity | None:
        """What is proved to the service, and demanded of it."""
        return self._finder.identity

    @property
    def closed(self) -> bool:
        """Whether the program has closed it."""
        return self._closed

    @property
    def local_host(self) -> str:
        """This program's address towards the service, "" for none; the link must have connected."""
        session = self._session
        return session.local_host if session is not None else ""

    def connect(self, quick: bool = False) -> None:
        """Connect if there is no connection.

        quick: do not try for long, because the caller will come again soon.
        """
        with self._sending:
            self._usable(quick)

    def connect_first(self, wait: float = 0.0) -> None:
        """Connect, for a constructor: an answer comes within two seconds.

        wait: seconds for which a service, or a name server, that is not there yet is tried again.
        Raises as `connect` does, at once what no waiting mends.
        """
        until = time.monotonic() + wait
        delay = _FIRST_DELAY
        while True:
            try:
                with self._sending:
                    self._connected_anew(False, time.monotonic() + FIRST_CONNECT + self._finder.delay)
                return
            except (ServiceNotFoundError, ServiceUnreachableError) as error:
                left = until - time.monotonic()
                if not error.temporary or left <= 0:
                    if wait:
                        error.args = (f"{error} (after waiting {wait:g} s)",)
                    raise error.with_traceback(None) from None  # its user's frames are what helps
            except EventServiceError as error:
                raise error.with_traceback(None) from None
            time.sleep(min(delay, left))
            delay = min(2 * delay, _LAST_DELAY)

    def drop(self, reason: str) -> None:
        """Give the connection up; the next call makes a new one."""
        session = self._session
        if session is not None:
            self._retire(session, reason)

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Make a call and return its result, or raise the error that it answered with.

        timeout: seconds to wait for the reply; then Pyro5's TimeoutError, and the outcome is unknown.
        """
        return self.wait(self.post(packed_call(method, *arguments)), timeout)

    def post(self, call: Call) -> Ticket:
        """Send a call made by `packed_call`. Its ticket can be waited for, in any order, or forgotten."""
        for _ in range(2):
            with self._sending:
                session = self._usable()
                try:
                    return session.send(call)
                except BaseException as error:
                    interruption = error
            self._retire(session, "sending was interrupted")
            if not isinstance(interruption, OSError):
                raise interruption
            # Not all of the call had left, so it was not made: it may go over a new connection.
        raise ServiceUnreachableError(f"the event service at {self.address} closes every connection")

    def wait(self, ticket: Ticket, timeout: float | None = None) -> Any:
        """The result of a call that was posted, or the error that it answered with."""
        if ticket.frame is None and ticket.lost is None:
            self._receive_until_settled(ticket, timeout)
        if ticket.frame is not None:
            return read_reply(ticket.frame)
        raise OutcomeUnknownError(
            f"the connection to the event service at {ticket.session.address} broke before it had "
            f"answered ({ticket.lost}); whether the call has taken effect is unknown, and it was not repeated"
        )

    def _receive_until_settled(self, ticket: Ticket, timeout: float | None) -> None:
        session = ticket.session
        try:
            if timeout is not None:
                self._receive_in_time(ticket, timeout)
                return
            with self._receiving:
                while ticket.frame is None and ticket.lost is None:
                    session.receive()
        except (OSError, FrameError) as error:
            self._retire(session, str(error))
        except BaseException as error:
            # A reply may be half read: no other may be taken for it.
            self._retire(session, f"waiting was ended by {type(error).__name__}")
            raise

    def _receive_in_time(self, ticket: Ticket, timeout: float) -> None:
        """As above, but raise Pyro5's TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        late = Pyro5.errors.TimeoutError(f"the event service did not answer within {timeout:g} s")
        if not self._receiving.acquire(timeout=timeout):
            raise late
        try:
            while ticket.frame is None and ticket.lost is None:
                if not ticket.session.readable(max(0.0, deadline - time.monotonic())):
                    raise late
                ticket.session.receive()
        finally:
            self._receiving.release()

    def _usable(self, quick: bool = False) -> Session:
        """The session to send on; `_sending` is held."""
        if self._closed:
            raise EventServiceError("this connection to the event service was closed by its program")
        session = self._session
        now = time.monotonic()
        if session is not None and not session.dead:
            if now - self._used < IDLE or not session.closed_while_idle():
                self._used = now
                return session
            # No reply is awaited, so nobody receives, and we hold the sending side.
            session.fail("the service closed the connection")
            session.close()
        return self._connected_anew(quick)

    def _connected_anew(self, quick: bool, deadline: float | None = None) -> Session:
        """deadline: on the monotonic clock, for the look-up too; None: CONNECT_TIMEOUT for each address."""
        failure: ServiceUnreachableError | AccessDeniedError | None = None
        patience = QUICK_CONNECT if quick else CONNECT_TIMEOUT
        for uri in self._finder.candidates(quick):
            timeout = None if deadline is None else deadline - time.monotonic()
            # A service that is looked for again and again is not examined each time.
            examine, self._examined = not quick or not self._examined, quick
            try:
                session = Session.open(
                    uri, self._finder.identity, patience, self._begin, self._finder.name, timeout, examine
                )
            except (ServiceUnreachableError, AccessDeniedError) as error:
                error.args = (f"{error}{self._finder.source(uri)}", *error.args[1:])
                failure = error
                continue
            finally:
                self._opening = None
            self._finder.was_good(uri)
            if self._last_address is not None:
                self.reconnects += 1
            self._session, self._last_address = session, session.address
            self._used = time.monotonic()
            if self._closed:
                session.close()
                raise EventServiceError("this connection to the event service was closed by its program")
            return session
        assert failure is not None, "a finder names at least one address"
        raise failure

    def _begin(self, sock: socket.socket) -> None:
        """A socket is connected and about to shake hands: `close` must be able to interrupt that."""
        self._opening = sock
        if self._closed:
            raise EventServiceError("this connection to the event service was closed by its program")

    def _retire(self, session: Session, reason: str) -> None:
        """Wake whoever uses the session, then release its socket; no lock may be held."""
        session.fail(reason)
        # With a bound, because a signal's handler may have interrupted the very thread that holds
        # a lock: then that thread retires the session as soon as it goes on.
        if self._receiving.acquire(timeout=_LET_GO):
            try:
                if self._sending.acquire(timeout=_LET_GO):
                    try:
                        session.close()
                    finally:
                        self._sending.release()
            finally:
                self._receiving.release()

    def close(self) -> None:
        """End the connection for good; a thread that waits for a reply is woken."""
        self._closed = True
        opening = self._opening
        if opening is not None:
            with contextlib.suppress(OSError):  # it has been closed meanwhile, which is what we want
                opening.shutdown(socket.SHUT_RDWR)
        session = self._session
        if session is not None:
            self._retire(session, "this program closed it")

    def disown(self) -> None:
        """In a forked child: release the parent's connection without a word on it, for good."""
        self._closed = True
        self._forked()

    def _forked(self) -> None:
        """In a forked child: let go of the parent's connection without a word on it."""
        session, self._session = self._session, None
        self._make_locks()
        if session is not None:
            session.dead = True
            session.close()


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _after_fork() -> None:
    for link in list(_links):
        link._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

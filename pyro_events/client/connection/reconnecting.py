"""A connection to the service that any thread may use, and that is made again when it has ended.

Knows: which thread may send, and what is certain when a connection breaks. Must not know: what the calls
mean, which address is tried, or how replies are read.

There are two locks. `current.sending` orders the calls of all threads on the wire. The thread that reads
holds the lock of the ReplyReader. A thread that needs both takes the reader's first.

A signal handler, or other code that runs in the middle of a thread (interruptions.py), may use the connection
that the thread is using. The locks are reentrant; `_writing`, and `reading` of the ReplyReader, tell whether
a thread is at work while it holds them. If it is the same thread, the inner call uses another connection,
`_beside`. An exception that ends sending or receiving leaves a Connection that is `dead`.
"""

from __future__ import annotations

import time
from typing import Any, Final

from ...errors import (
    EventServiceError,
    ServiceUnreachableError,
)
from ...service_threads import refuse_in_service_thread, running
from ...wire.handshake.passphrase import Identity
from ...wire.requests import PackedCall, packed_call
from ..forks import tell_in_child
from ..interruptions import owned, within
from .connection import Connection, PendingReply
from .current import CurrentConnection
from .discovery import ServiceLocator
from .first_attempts import connect_first
from .outcome import answered_too_late, not_sent_in_time, outcome, too_large
from .times import ConnectTimes

_USUAL_TIMES: Final = ConnectTimes()
# How many calls one thread may make in the middle of each other. With more, something calls itself.
_DEPTH: Final = 8
# How often a call is sent, if not all of it could be sent before.
_ATTEMPTS: Final = (1, 2)


class ReconnectingConnection:
    """One connection to the service at a time, made when it is needed.

    If the connection of a call breaks before the reply came, the call raises OutcomeUnknownError and is never
    repeated. Connecting raises ServiceNotFoundError or ServiceUnreachableError; then nothing was sent.
    """

    def __init__(self, locator: ServiceLocator, depth: int = 0, times: ConnectTimes = _USUAL_TIMES) -> None:
        """depth: how many other connections this one was made in the middle of. times: how long connecting
        may take."""
        self._locator = locator
        self._depth = depth
        self.current = CurrentConnection(locator, times)
        self._writing = False
        self._beside: ReconnectingConnection | None = None
        tell_in_child(self)

    @property
    def name(self) -> str:
        """The name of this client at the service."""
        return self._locator.name

    @property
    def identity(self) -> Identity | None:
        """The identity that both sides prove."""
        return self._locator.identity

    @property
    def entered(self) -> bool:
        """Whether the calling thread is in the middle of using it."""
        return owned(self.current.sending) or self.current.reader.entered

    def connect(self, quick: bool = False, deadline: float | None = None) -> None:
        """Connect if there is no connection.

        quick: do not try for long, because the caller tries again soon. deadline: on the monotonic clock.
        """
        with self.current.sending:
            if self._writing:
                return  # the same thread is about to connect
            self._writing = True
            try:
                self.current.usable(quick, deadline)
            finally:
                self._writing = False

    def connect_first(self, wait: float = 0.0) -> None:
        """Connect, for a constructor: an answer comes within two seconds.

        wait: seconds for which a service, or a name server, that is not there yet is tried again. Raises as
        `connect`; at once if waiting cannot help.
        """

        def attempt(deadline: float) -> None:
            with self.current.sending:
                self.current.reopen(False, deadline)

        connect_first(attempt, wait, self._locator.delay, self.current.times)

    def check_size(self, size: int) -> None:
        """Raise MessageTooLargeError if the service does not accept a message of so many bytes.

        The service may have been restarted with another limit, so this connects if there is no connection.
        """
        self.connect()
        if size > self.current.max_message:
            raise too_large(size, self.current.max_message, self.current.address)

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Make a call and return its result, or raise the error in its reply.

        timeout: seconds to wait for the reply; then AnswerTimeoutError, and the connection is closed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        reply = self.post(packed_call(method, *arguments), deadline)
        if not self.settled(reply, deadline):
            self.current.retire(reply.connection, "it did not answer in time")
            raise answered_too_late(reply.connection.address)
        return self.wait(reply)

    def post(self, call: PackedCall, deadline: float | None = None, looked: bool = False) -> PendingReply:
        """Send a call made by `packed_call`. Its reply can be waited for, in any order, or ignored.

        deadline: on the monotonic clock, for sending and for connecting. Raises AnswerTimeoutError if nothing
        could be sent by then. If the calling thread is in the middle of another call, this one uses another
        connection and is answered when this returns. looked: the caller has checked that it is not.
        """
        current = self.current
        if not looked and (current.reader.reading or running or deadline is not None):
            return self._look_and_post(call, deadline)
        for _ in _ATTEMPTS:
            connection: Connection | None = None
            with current.sending:
                if self._writing:  # only that thread can get here now
                    return self._post_beside(call, deadline)
                self._writing = True
                try:
                    usable = current.usable(False, deadline)
                    if len(call) > 1 and len(call[1]) > current.max_message:
                        raise too_large(len(call[1]), current.max_message, usable.address)
                    connection = usable
                    reply = connection.send(call, deadline)
                except BaseException:
                    self._writing = False
                    if connection is not None:
                        connection.dead = True
                        connection.fail("sending was interrupted")
                    raise
                self._writing = False
            if reply is not None:
                return reply
            # Not all of the call was sent, so it was not made: it may use a new connection.
            current.retire(connection, "sending failed")
        raise ServiceUnreachableError(f"the event service at {current.address} closes every connection")

    def _look_and_post(self, call: PackedCall, deadline: float | None) -> PendingReply:
        refuse_in_service_thread()
        if self.current.reader.reading and self.current.reader.entered:
            return self._post_beside(call, deadline)
        if deadline is None:
            return self.post(call, looked=True)
        replies: list[PendingReply] = []

        def post() -> None:
            replies.append(self.post(call, deadline, looked=True))

        if not within(self.current.sending, deadline - time.monotonic(), post):
            raise not_sent_in_time(self.current.address)
        return replies[0]

    def _post_beside(self, call: PackedCall, deadline: float | None) -> PendingReply:
        """The calling thread is in the middle of using this connection: make the call on another one."""
        if self._beside is None:
            if self._depth >= _DEPTH:
                raise EventServiceError(
                    f"one thread has made a call to the event service in the middle of {_DEPTH} others: "
                    "something that the call runs (a signal handler, a logging handler, a __del__) makes the "
                    "call again"
                )
            self._beside = ReconnectingConnection(self._locator, self._depth + 1, self.current.times)
        beside = self._beside
        if self.current.closed:
            beside.close()
        reply = beside.post(call, deadline)
        if not beside.settled(reply, deadline):
            raise answered_too_late(reply.connection.address)
        return reply

    def wait(self, reply: PendingReply, deadline: float | None = None) -> Any:
        """The result of a call that was posted, or the error in its reply.

        deadline: on the monotonic clock; then AnswerTimeoutError. The connection stays in use: the reply may
        still come, and the call may be waited for again.
        """
        answer = reply.answer
        # As nearly always; without the calls of `settled`.
        if answer is None and reply.lost is None and deadline is None and not running:
            reader = self.current.reader
            with reader.lock:
                reader.receive(reply, None)
            answer = reply.answer
            if isinstance(answer, int):
                return answer
            if reply.connection.dead:
                self.current.retire(reply.connection, "")
        elif not self.settled(reply, deadline):
            raise answered_too_late(reply.connection.address)
        return outcome(reply, deadline is None or time.monotonic() < deadline)

    def settled(self, reply: PendingReply, deadline: float | None) -> bool:
        """Receive until a call has its reply, or will have none. False if that takes too long."""
        if reply.answer is not None or reply.lost is not None:
            return True
        if running:
            refuse_in_service_thread()
        reader = self.current.reader
        if deadline is None:
            with reader.lock:
                reader.receive(reply, None)
        else:
            reader.settle(reply, deadline)
        if reply.connection.dead:
            self.current.retire(reply.connection, "")
        return reply.answer is not None or reply.lost is not None

    def rest(self, idle: float) -> None:
        """Close the connection until the next call, if none has used it for `idle` seconds."""
        self.current.rest(idle)

    def drop(self, reason: str) -> None:
        """Close the connection; the next call makes a new one."""
        self.current.drop(reason)

    def close(self) -> None:
        """End the connection for good, and wake a thread that waits for a reply."""
        self.current.closed = True
        if self._beside is not None:
            self._beside.close()
        self.current.close()

    def disown(self) -> None:
        """In a forked child: release the parent's connection for good, without sending anything on it."""
        self.current.closed = True
        self.forked()

    def forked(self) -> None:
        """In a forked child: release the parent's connection without sending anything on it."""
        self._writing = False
        self.current.forked()

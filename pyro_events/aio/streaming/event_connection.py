"""A listener's own connection on an event loop: how it is opened, and the events that come over it.

Knows: the call that swaps the roles, and the inbox that the bytes go into. Must not know: who takes the
events, what is subscribed, or what to do when the connection has ended.

wire/own_connection.py draws the protocol. From the answer to `attach` on, another protocol has the transport.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any, Final

import Pyro5.errors

from ...client.connection.discovery import ServiceLocator
from ...client.connection.outcome import broken
from ...client.connection.times import ConnectTimes
from ...client.own_connection.opening import check_capable
from ...client.stream.inbox import EventInbox
from ...constants import KIB, MAX_MESSAGE
from ...errors import ServiceUnreachableError
from ...foreign_exceptions import is_foreign
from ...transport.failures import reason
from ...transport.keepalive import FROM_SERVICE, keep_alive
from ...wire.own_connection import INTEREST, Attached, delivery_limits, packed_attach, read_attached
from ..connection.calls import TOO_LATE, Loss, Reply, value_of
from ..connection.connection import Connection
from ..connection.opener import open_connection
from ..connection.service_protocol import ServiceProtocol
from ..connection.waiting import result_by, set_once

# How many bytes are received at once. All streams of a loop share the memory, because it is emptied at once.
_RECEIVE_SIZE: Final = 64 * KIB
_buffers: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview]] = (
    weakref.WeakKeyDictionary()
)


class EventConnection(ServiceProtocol):
    """A connection on which the service calls `events`. inbox: the events that have come."""

    def __init__(self, before: Connection, again: bool, changed: Callable[[], object]) -> None:
        """before: the connection that is taken over; the answer to its last call has just come. again:
        whether it replaces another one, so that events may have been missed. changed: called when events have
        come, or the connection has ended."""
        super().__init__(before.loop, before.sock, before.address)
        reader = before.reader
        reader.limits = delivery_limits(MAX_MESSAGE if before.announced is None else before.announced)
        self.inbox = EventInbox(reader, on_demand=True)
        if again:
            self.inbox.after_a_gap()
        self._changed = changed
        self._space: memoryview | None = None
        self._buffer = _buffers.get(before.loop) or memoryview(bytearray(_RECEIVE_SIZE))
        _buffers[before.loop] = self._buffer
        self.served = True
        before.hand_over(self)
        keep_alive(self.sock, FROM_SERVICE)

    def get_buffer(self, sizehint: int) -> memoryview:
        self._space = space = self.inbox.space()
        return self._buffer if space is None else space

    def buffer_updated(self, nbytes: int) -> None:
        if self._space is None:
            self.take_in(self._buffer[:nbytes].tobytes())
        else:
            self._space = None
            self.inbox.filled(nbytes)
            self.take_in(b"")

    def take_in(self, data: bytes) -> None:
        """Read bytes that have come, and answer the service's pings."""
        try:
            answers = self.inbox.feed(data)
        except Pyro5.errors.ProtocolError as error:
            self.end(str(error), error)
            return
        except BaseException:  # a part of a frame may have been read
            why = "receiving was interrupted"
            self.end(why, ConnectionError(why))
            raise
        if answers and self.paused:  # 64 KiB of them are on their way, and hardly any should be
            self.end("the service does not read what it is answered")
            return
        if answers:
            self.write(answers)
        self._changed()

    def begin(self) -> bool:
        """Begin with the next batch, if it has come and the one before is acknowledged. Returns whether it
        has an event."""
        try:
            self.inbox.begin()
        except Pyro5.errors.ProtocolError as error:
            self.end(str(error), error)
        except BaseException:  # it may be half read
            why = "reading was interrupted"
            self.end(why, ConnectionError(why))
            raise
        return bool(self.inbox.rows)

    def acknowledge_soon(self) -> None:
        """All events of a batch were taken: acknowledge it.

        That is done at the loop's next turn, because the program that takes the last of them should not wait
        until it is sent, and because other tasks have their turn then, too.
        """
        if self.ended is None:
            self.loop.call_soon(self._acknowledge)
        else:
            self._acknowledge()

    def _acknowledge(self) -> None:
        answers = self.inbox.acknowledge()
        if self.ended is None:
            self.write(answers)
        self._changed()

    def end(self, reason: str, error: Exception | None = None) -> None:
        """End the connection. What the program has taken is acknowledged before, unless it is broken."""
        if self.ended is None and self.inbox.finished:
            answers = self.inbox.acknowledge()
            if error is None and not self.loop.is_closed():
                self.write(answers)
        super().end(reason, error)

    def lost(self, error: Exception) -> None:
        """It has just ended."""
        self._changed()


class AttachCall:
    """The call of `attach`: when its answer comes, the roles are swapped before anything else is read.

    outcome: the new connection and what the service has answered; or why there is none.
    """

    __slots__ = ("_again", "_before", "_changed", "outcome", "seq")

    def __init__(self, before: Connection, again: bool, changed: Callable[[], object]) -> None:
        self.seq = 0
        self._before, self._again, self._changed = before, again, changed
        self.outcome: asyncio.Future[tuple[EventConnection, Attached] | Exception | Loss] = (
            before.loop.create_future()
        )

    def answered(self, reply: Reply) -> None:
        """The service has answered."""
        try:
            attached = read_attached(value_of(reply))
        except Exception as error:
            if is_foreign(error, Exception):
                raise
            set_once(self.outcome, error)
            return
        if self.outcome.done():  # nobody waits for it any more
            self._before.end("nobody waits for it")
            return
        events = EventConnection(self._before, self._again, self._changed)
        self.outcome.set_result((events, attached))
        events.take_in(b"")

    def lost(self, loss: Loss) -> None:
        """The connection broke before."""
        set_once(self.outcome, loss)


async def open_event_connection(
    locator: ServiceLocator,
    options: dict[str, Any],
    times: ConnectTimes,
    seconds: float,
    again: bool,
    changed: Callable[[], object],
) -> tuple[EventConnection, Attached]:
    """Connect, shake hands and attach.

    Args:
        locator: names the addresses.
        options: of `attach`, from `attach_options`.
        times: how long connecting may take.
        seconds: for the connection, as for `open_connection`, and again for the answer.
        again, changed: as for EventConnection.

    Raises:
        ServiceNotFoundError, AccessDeniedError: as `open_connection`.
        ServiceUnreachableError: too where the service is one that gives no such connection, or has not
            answered.
        Exception: the service's error, where it does not accept the options.
    """
    connection = await open_connection(locator, times, seconds)
    call: AttachCall | None = None
    try:
        check_capable(connection.peer, connection.address, bool(options.get(INTEREST)))
        call = AttachCall(connection, again, changed)
        connection.send_at_once(packed_attach(options), call)
        outcome = await result_by(call.outcome, connection.loop.time() + seconds, TOO_LATE)
    except BaseException:
        connection.end("it is not wanted any more")
        if call is not None and call.outcome.done() and not call.outcome.cancelled():
            given_up = call.outcome.result()
            if isinstance(given_up, tuple) and not isinstance(given_up, Loss):
                given_up[0].end("it is not wanted any more")
        raise
    if isinstance(outcome, Loss):
        connection.end("it did not answer in time")
        why = broken(connection.address, outcome.reason) if outcome.reason else "no answer in time"
        raise _not_attached(connection.address, why)
    if isinstance(outcome, Exception):
        connection.end("it did not take over the connection")
        if isinstance(outcome, Pyro5.errors.ProtocolError):
            raise _not_attached(connection.address, reason(outcome)) from None
        raise outcome
    return outcome


def _not_attached(address: str, why: object) -> ServiceUnreachableError:
    return ServiceUnreachableError(
        f"the event service at {address} did not take over the connection for events: {why}"
    )

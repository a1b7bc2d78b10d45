"""Delivery: the connection to one subscriber.

Knows: one subscriber's backlog, its connection, and the state of that connection. Must not know: what an
answer or a handshake must look like, how large a batch may be, other subscribers, routing, or who published.

A delivery is first connecting, then greeting (it sends nothing but the handshake until the object has shown
`event` or `events`), then active, and at last closed. Whatever comes from the subscriber is bounded and read
to plain data; anything unexpected closes the connection::

    CONNECTING --- connected ---> GREETING --- answered ---> ACTIVE
        ^                                                      |
        +------ its daemon ended the connection after ---------+
                a result that it could not send

    any of them --- refused, lost, silent, or disconnected ---> CLOSED
"""

from __future__ import annotations

import asyncio
import enum
import ssl

import Pyro5.errors

from ... import constants as c
from ...broker.accounting import Batch, Loss
from ...broker.backlog import Backlog
from ...options import Overflow, ServiceOptions
from ...transport.tls import failure_of
from ...wire.event_answers import ANSWER_LIMITS
from ...wire.event_batch import write_event_batch, write_events, write_large_event
from ...wire.frames import PING, Frame, FrameError, TlsSpokenError
from ...wire.handshake.greeting_notes import GreetingNotes
from ...wire.handshake.messages import answer_limits
from ...wire.handshake.passphrase import CallbackProof
from ...wire.requests import write_ping
from ..limits.turn_reader import TurnReader
from .acknowledgement import Outcome, settle_answer
from .callback_address import Callback
from .coalescing import FEW, FEW_BYTES, Coalescer
from .connecting import Contact, log_end, lost, no_answer, obstacle, parting_words, refused
from .heartbeat import Beat, Heartbeat
from .owner import DeliveryOwner
from .pacing import BatchPacer

_GREETING_LIMITS = answer_limits()


class State(enum.Enum):
    """The state of a delivery."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    ACTIVE = "active"
    CLOSED = "closed"


# Module constants, because a lookup in an enum takes a while.
_GREETING, _ACTIVE, _CLOSED = State.GREETING, State.ACTIVE, State.CLOSED
_DONE, _PARTLY_DONE = Outcome.DONE, Outcome.PARTLY_DONE


class Delivery(TurnReader):
    """The connection to one subscriber: sends batches from its backlog as long as it acknowledges them.

    last_acknowledged: when it last acknowledged events, on the loop's clock. lingering: whether its
    subscriber has no subscription left.
    """

    __slots__ = (
        "_batches",
        "_coalescer",
        "_contact",
        "_event_only",
        "_heartbeat",
        "_loop",
        "_object_id",
        "_owner",
        "_pacer",
        "_seq",
        "address",
        "backlog",
        "last_acknowledged",
        "lingering",
        "state",
        "subscribed_from",
    )

    def __init__(
        self,
        owner: DeliveryOwner[Delivery],
        backlog: Backlog,
        callback: Callback,
        options: ServiceOptions,
        proof: CallbackProof | None = None,
        subscribed_from: str = "",
    ) -> None:
        """callback: where the subscriber is. proof: for the handshake; the subscriber must match it. It is
        good once. subscribed_from: the host of the call that subscribed it."""
        super().__init__(owner.scheduler, callback.address[0], _GREETING_LIMITS)
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._object_id = callback.object_id
        self._contact = Contact(owner, callback, options, proof)
        self._batches: list[Batch] = []  # a deque costs a small one ten times the memory
        self._event_only = False
        self._coalescer = Coalescer(self._waited)
        self._pacer = BatchPacer()
        self._seq = 0
        self.address = callback.address
        self.backlog = backlog
        self.last_acknowledged = now = self._loop.time()
        self._heartbeat = Heartbeat(options.heartbeat, options.heartbeat_answer, now)
        self.lingering = False
        self.state = State.CONNECTING
        self.subscribed_from = subscribed_from

    def start(self, notes: GreetingNotes) -> None:
        """Connect and do the handshake. notes: what the subscriber is told in the handshake."""
        self._contact.notes = notes
        self._contact.connect(self, self._close_once)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connected = self._connected(transport)
        if self.state is State.CLOSED:
            connected.abort()
            return
        self.state = State.GREETING
        self._contact.greet(connected, lambda reason: self.close(Loss.GONE, reason))

    def _greeted(self, frame: Frame) -> None:
        self._event_only = self._contact.answered(frame)
        self.configured()
        self._reader.limits = ANSWER_LIMITS
        self.state = State.ACTIVE
        self._owner.failures.remove(self.backlog.subscriber)
        self.last_acknowledged = self._loop.time()
        self._owner.greeted(self)
        self.flush()
        self._owner.acknowledged(self)

    def _connect_again(self) -> None:
        """A result could not be serialized: Pyro5's daemon says so in its answer, and ends the connection."""
        assert self._transport is not None
        if self._contact.proved:
            self.close(
                Loss.GONE, "closed its connection, and the proof that it was sent is good for one connection"
            )
            return
        self.state = State.CONNECTING
        while len(self._batches) > 1:  # after the one that is accounted for; there are at most two
            self.backlog.lose_batch(self._batches.pop())
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._resting and self.state is State.ACTIVE:  # its last answers count
            self._work()
        if self.state is State.CONNECTING:  # because of `_connect_again`
            self._restart(_GREETING_LIMITS)
            self._heartbeat.restart()
            self._contact.connect(self, self._close_once)
        elif isinstance(error, ssl.SSLError):
            self._close_once(f"does not accept our connection: {failure_of(error, b'')}")
        else:
            greeting, secured = self.state is State.GREETING, self._owner.client_tls is not None
            self.close(Loss.GONE, lost(error, greeting, secured), hung_up=error is None and not greeting)

    @property
    def obstacle(self) -> str:
        """Why the subscriber gets no events now, "" if it does."""
        if self.state not in (State.CONNECTING, State.GREETING):
            return ""
        seconds = self._loop.time() - self.last_acknowledged
        return obstacle(self.address, self.state is State.GREETING, seconds)

    @property
    def is_open(self) -> bool:
        """Whether the subscriber's bytes are read."""
        return self.state is not State.CLOSED

    def _take_in(self) -> None:
        try:
            while self.state is not _CLOSED and (frame := self._reader.next_frame()) is not None:
                self._heartbeat.heard(self._loop.time())
                if self.state is _GREETING:
                    self._greeted(frame)
                elif frame.type != PING:
                    self._answered(frame)
                elif not self._heartbeat.answered():
                    raise Pyro5.errors.ProtocolError("it sent what it was not asked for")
        except TlsSpokenError as error:
            self._close_once(f"cannot complete the handshake: {error}")
        except FrameError as error:
            self.close(Loss.GONE, no_answer(error))
        except Pyro5.errors.ProtocolError as error:
            self.close(Loss.REFUSED, refused(error))

    def _answered(self, frame: Frame) -> None:
        if not self._batches:
            raise Pyro5.errors.ProtocolError("it answered what it was not asked")
        batch = self._batches[0]
        expected = (self._seq - len(self._batches) + 1) & 0xFFFF
        if frame.seq != expected:
            raise Pyro5.errors.ProtocolError(f"it answered call {frame.seq} instead of {expected}")
        count = len(batch.rows)
        outcome = settle_answer(frame, batch, self.backlog, self._event_only)
        if outcome is _PARTLY_DONE:
            self._send(batch)
        else:
            if outcome is not _DONE:
                self._connect_again()
            del self._batches[:1]  # none are left if it was closed meanwhile
        self.last_acknowledged = now = self._loop.time()
        self._pacer.acknowledged(count, now)
        # The events taken now free space too, so that no publisher waits for a backlog that has some.
        self.flush()
        self._owner.acknowledged(self)

    def heartbeat(self) -> bool:
        """Send an idle subscriber a heartbeat; called every few seconds. False if it left too many
        unanswered."""
        if self.state is not State.ACTIVE or self._batches or self._transport is None:
            return True
        beat = self._heartbeat.beat(self._loop.time())
        if beat is Beat.ASK:
            self._transport.write(write_ping(self._seq))
        return beat is not Beat.DEAD

    @property
    def takes_batches(self) -> bool:
        """Whether it has shown `events`, as our base class does."""
        return self.state is State.ACTIVE and not self._event_only

    def configured(self) -> None:
        """The policy of the backlog may have changed."""
        self._pacer.configure(not self._event_only, self.backlog.overflow is Overflow.LATEST)

    def flush(self, patient: bool = True) -> bool:
        """Send waiting events, as far as the subscriber keeps up. Returns whether none waits any more.

        patient: of a few events in close succession, send the first at once and the others together.
        """
        batches, backlog, pacer = self._batches, self.backlog, self._pacer
        while len(backlog):
            if len(batches) >= pacer.window or self.state is not _ACTIVE:
                return False
            if patient and len(backlog) < FEW and backlog.bytes < FEW_BYTES and self._wait():
                return False
            batch = backlog.take(pacer.limit, c.BATCH_BYTES)
            if not batches:
                pacer.sent(self._loop.time())
            batches.append(batch)
            self._send(batch)
        return True

    def _wait(self) -> bool:
        # A small backlog would soon block a publisher.
        return not self.backlog.crowded and self._coalescer.wait()

    def _waited(self) -> None:
        self.flush(patient=False)
        self._owner.acknowledged(self)  # the events taken now free space too

    def _send(self, batch: Batch) -> None:
        assert self._transport is not None
        self._seq = (self._seq + 1) & 0xFFFF
        self._coalescer.called()
        rows = batch.rows
        if self._event_only:
            self._transport.write(write_event_batch(self._object_id, self._seq, rows))
        elif batch.size > c.LARGE and len(rows) == 1:
            self._transport.writelines(write_large_event(self._object_id, self._seq, rows[0]))
        else:
            self._transport.write(write_events(self._object_id, self._seq, rows))

    def _close_once(self, failure: str) -> None:
        """End a delivery that never began: the subscriber comes back, and the reason is logged only once."""
        self.close(Loss.GONE, failure, not self._owner.failures.is_new(self.backlog.subscriber, failure))

    def close(self, reason: Loss, explanation: str = "", known: bool = False, hung_up: bool = False) -> None:
        """End the delivery, log the explanation if there is one, and tell the engine.

        known: the log has said so before. hung_up: the subscriber has ended the connection, and knows that.
        """
        if self.state is State.CLOSED:
            return
        was, self.state = self.state, State.CLOSED
        self._contact.end()
        self._coalescer.end()
        self._abort()
        self._batches.clear()
        lost = len(self.backlog) + self.backlog.unacknowledged
        if explanation:
            # A program that ends after it has unsubscribed, before it listened, or with all its events, needs
            # no line.
            quiet = reason is Loss.GONE and (self.lingering or (was is State.ACTIVE and not lost))
            log_end(self.backlog, explanation, lost, quiet, known)
        self._owner.ended(self, reason, parting_words("" if hung_up else explanation, lost))

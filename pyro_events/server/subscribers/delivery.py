"""Delivery: the events of one subscriber, sent over one connection.

Knows: one subscriber's backlog, and which batches of it are unacknowledged. Must not know: how the connection
was made (CallbackDelivery and OwnDelivery do), what an answer must look like, how large a batch may be, other
subscribers, routing, or who published.

Whatever comes from the subscriber is bounded and read to plain data; anything unexpected closes the
connection. A delivery sends events while it is ACTIVE::

    CONNECTING --- connected ---> GREETING --- answered ---> ACTIVE
        |                             |                        |
        +--- refused, lost, silent, or disconnected -----------+---> CLOSED

It begins CONNECTING if the service makes the connection (callbacks/callback_delivery.py draws that in full),
and ACTIVE if the subscriber has made it (own_connection.py).
"""

from __future__ import annotations

import asyncio
import enum

import Pyro5.errors

from ... import constants as c
from ...broker.accounting import Batch, Loss
from ...broker.backlog import Backlog
from ...broker.groups.distribution import Room
from ...options import Overflow, ServiceOptions
from ...wire.event_answers import ANSWER_LIMITS
from ...wire.event_batch import PIECE, write_event_batch, write_events, write_in_pieces
from ...wire.frames import PING, Frame, FrameError, FrameLimits, TlsSpokenError
from ...wire.requests import write_ping
from ..limits.turn_reader import TurnReader
from .acknowledgement import Outcome, settle_answer
from .coalescing import FEW, FEW_BYTES, Coalescer
from .departures import remembered_as
from .explanations import log_end, lost, no_answer, parting_words, refused
from .heartbeat import Beat, Heartbeat
from .owner import DeliveryOwner
from .pacing import BatchPacer


class State(enum.Enum):
    """The state of a delivery."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    UNREACHABLE = "unreachable"
    ACTIVE = "active"
    CLOSED = "closed"


# Module constants, because a lookup in an enum takes a while.
_GREETING, _ACTIVE, _CLOSED = State.GREETING, State.ACTIVE, State.CLOSED
_DONE, _PARTLY_DONE = Outcome.DONE, Outcome.PARTLY_DONE


class Delivery(TurnReader):
    """The connection to one subscriber: sends batches from its backlog as long as it acknowledges them.

    address: of the subscriber. last_acknowledged: when it last acknowledged events, on the loop's clock.
    lingering: whether its subscriber has no subscription left. lingers: whether that ends it after a while.
    subscribed_from: the host of the call that subscribed it. user: that caller's. known_as: what its
    departure is remembered by. obstacle: why the subscriber gets no events now, "" if it does.
    """

    __slots__ = (
        "_batches",
        "_coalescer",
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
        "user",
    )

    lingers = True

    def __init__(
        self,
        owner: DeliveryOwner[Delivery],
        backlog: Backlog,
        address: tuple[str, int],
        object_id: str,
        options: ServiceOptions,
        limits: FrameLimits = ANSWER_LIMITS,
        subscribed_from: str = "",
        user: str = "",
    ) -> None:
        """object_id: of the subscriber, in calls of its `events`. limits: on what comes first."""
        super().__init__(owner.scheduler, address[0], limits)
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._object_id = object_id
        self._batches: list[Batch] = []  # a deque costs a small one ten times the memory
        self._event_only = False
        self._coalescer = Coalescer(self._waited)
        self._pacer = BatchPacer()
        self._seq = 0
        self.address = address
        self.backlog = backlog
        self.last_acknowledged = now = self._loop.time()
        self._heartbeat = Heartbeat(options.heartbeat, options.heartbeat_answer, now)
        self.lingering = False
        self.state = State.CONNECTING
        self.subscribed_from = subscribed_from
        self.user = user

    # What differs between the two kinds of connection

    @property
    def known_as(self) -> str:
        return remembered_as(self.backlog.subscriber, self.user)

    @property
    def obstacle(self) -> str:
        return ""

    def _greeted(self, frame: Frame) -> None:
        """The answer to a handshake has come. Raises ProtocolError."""
        raise NotImplementedError

    def _result_not_carried(self) -> None:
        """The subscriber's answer was that it cannot answer."""

    def _end_contact(self) -> None:
        """Wait no longer for a connection or an answer to a handshake."""

    def _fail(self, reason: Loss, explanation: str, known: bool = False, hung_up: bool = False) -> None:
        """The connection cannot be made or used; arguments as for `close`."""
        self.close(reason, explanation, known, hung_up)

    def _fail_once(self, explanation: str) -> None:
        """The same. The subscriber may come back at once, so one that is new is logged."""
        known = not self._owner.failures.is_new(self.backlog.subscriber, explanation)
        self._fail(Loss.GONE, explanation, known)

    # Reading

    def connection_lost(self, error: Exception | None) -> None:
        if self._resting and self.state is State.ACTIVE:  # its last answers count
            self._work()
        greeting, secured = self.state is State.GREETING, self._owner.client_tls is not None
        self._fail(Loss.GONE, lost(error, greeting, secured), hung_up=error is None and not greeting)

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
            self._fail_once(f"cannot complete the handshake: {error}")
        except FrameError as error:
            self._fail(Loss.GONE, no_answer(error))
        except Pyro5.errors.ProtocolError as error:
            self._fail(Loss.REFUSED, refused(error))

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
                self._result_not_carried()
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

    @property
    def room(self) -> Room | None:
        """How much a group can give it, which `flush` then sends at once; None for nothing."""
        if self.state is not _ACTIVE or len(self.backlog):
            return None
        return Room(self._pacer.window - len(self._batches), self._pacer.limit)

    def flush(self, patient: bool = True) -> bool:
        """Send waiting events, as far as the subscriber keeps up. Returns whether none waits any more.

        patient: of a few events in close succession, send the first at once and the others together.
        """
        batches, backlog, pacer = self._batches, self.backlog, self._pacer
        if backlog.max_age is not None and not self._drop_expired():
            return False
        while waiting := len(backlog):
            if len(batches) >= pacer.window or self.state is not _ACTIVE:
                return False
            if patient and waiting < FEW and backlog.bytes < FEW_BYTES and self._wait():
                return False
            batch = backlog.take(pacer.limit, c.BATCH_BYTES)
            if not batches:
                pacer.sent(self._loop.time())
            batches.append(batch)
            self._send(batch)
        return True

    def _drop_expired(self) -> bool:
        """Whether nothing that may be sent now has waited too long; otherwise it is dropped soon."""
        ahead = max(0, self._pacer.window - len(self._batches)) * self._pacer.limit
        return self._owner.expiry.expire(self.backlog, ahead)

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
        elif batch.size > c.LARGE and batch.size > PIECE * len(rows):
            self._transport.writelines(write_in_pieces(self._object_id, self._seq, rows))
        else:
            self._transport.write(write_events(self._object_id, self._seq, rows))

    def surrender(self) -> None:
        """Another delivery goes on with the backlog. What is unacknowledged is lost."""
        for batch in self._batches:
            self.backlog.lose_batch(batch)
        self._stop()

    def _stop(self) -> None:
        self.state = State.CLOSED
        self._end_contact()
        self._coalescer.end()
        self._abort()
        self._batches.clear()

    def close(self, reason: Loss, explanation: str = "", known: bool = False, hung_up: bool = False) -> None:
        """End the delivery, log the explanation if there is one, and tell the engine.

        known: the log has said so before. hung_up: the subscriber has ended the connection, and knows that.
        """
        was = self.state
        if was is State.CLOSED:
            return
        self._stop()
        lost = len(self.backlog) + self.backlog.unacknowledged
        if explanation:
            # A program that ends after it has unsubscribed, before it listened, or with all its events, needs
            # no line.
            quiet = reason is Loss.GONE and (self.lingering or (was is State.ACTIVE and not lost))
            log_end(self.backlog, explanation, lost, quiet, known)
        why = parting_words("" if hung_up else explanation, lost)
        self._owner.ended(self, reason, explanation, why)

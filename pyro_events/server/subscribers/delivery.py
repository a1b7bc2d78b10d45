"""Delivery: the one link out to a subscriber.

Knows: one subscriber's backlog, its connection, and when the next batch may go. Must not know: what an
answer or a greeting must look like, other subscribers, routing, or who published.

A link is connecting, then greeting (sending nothing but the handshake until the object has shown
`event` or `events`), then active, and at last closed. Whatever comes from the subscriber is bounded
and read to plain data; anything unexpected closes the link.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import ssl
from time import monotonic
from typing import Protocol, cast

import Pyro5.errors

from ... import constants as c
from ...broker.accounting import Batch, Loss
from ...broker.backlog import Backlog
from ...client_name import described
from ...log.background import get_logger
from ...log.failures import Failures
from ...options import Overflow, ServiceOptions
from ...transport.authentication import STOCK_HELLO
from ...transport.keepalive import AT_SERVICE, keep_alive
from ...transport.tls import LatestContext, failure_of
from ...wire.event_answers import ANSWER_LIMITS
from ...wire.event_batch import write_event_batch, write_events, write_large_event
from ...wire.frames import PING, Frame, FrameError, FrameReader, TlsSpokenError
from ...wire.greeting_notes import NO_NOTES
from ...wire.handshake import answer_limits, write_connect
from ...wire.passphrase import CallbackProof
from ...wire.requests import write_ping
from ..limits.scheduler import Scheduler
from ..net.sockets import descriptor
from ..net.tls_connections import OutgoingTls
from ..net.tls_memory import TlsMemory
from .acknowledgement import apply_answer, ends_connection, is_final
from .callback_address import Callback
from .coalescing import FEW, FEW_BYTES, Coalescer
from .connecting import connected, lost, no_answer, refused, takes_event_only, unanswered

log = get_logger("pyro_events.delivery")


# What a plain acknowledgement, or two, or an answer to a ping takes. It is taken in at once, because
# there are no more of them than the service has asked for.
_SMALL = 128
_GREETING_LIMITS = answer_limits()


class State(enum.Enum):
    """Where a link stands."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    ACTIVE = "active"
    CLOSED = "closed"


class DeliveryOwner(Protocol):
    """What a delivery asks of and tells its engine.

    client_tls: how links are secured, None for not. tls_memory: what that takes is counted there.
    tls_failures: those that the log knows. scheduler: gives the links their turns.
    """

    client_tls: LatestContext | None
    tls_memory: TlsMemory
    tls_failures: Failures
    scheduler: Scheduler

    def acknowledged(self, delivery: Delivery) -> None:
        """Events have been handled or taken, so the backlog has shrunk."""

    def greeted(self, delivery: Delivery) -> None:
        """The subscriber has answered our greeting."""

    def ended(self, delivery: Delivery, reason: Loss, why: str) -> None:
        """The link is closed and will not come back. why: what the subscriber is told, "" for nothing."""


class Delivery(asyncio.Protocol):
    """The link to one subscriber: takes batches from its backlog while it acknowledges them.

    notes: what the subscriber is told in its greeting. last_acknowledged: when it last showed that it takes
    events, on the loop's clock. lingering: whether its subscriber has no subscription left.
    """

    __slots__ = (
        "_batches",
        "_certified_name",
        "_event_only",
        "_fresh",
        "_limit",
        "_loop",
        "_object_id",
        "_options",
        "_owner",
        "_pace",
        "_party",
        "_patience",
        "_pings",
        "_proof",
        "_proved",
        "_quickest",
        "_reader",
        "_resting",
        "_scheduler",
        "_sent_at",
        "_seq",
        "_silent_pings",
        "_coalescer",
        "_task",
        "_transport",
        "_window",
        "address",
        "backlog",
        "last_acknowledged",
        "last_heard",
        "lingering",
        "notes",
        "state",
        "subscribed_from",
    )

    def __init__(
        self,
        owner: DeliveryOwner,
        backlog: Backlog,
        callback: Callback,
        options: ServiceOptions,
        proof: CallbackProof | None = None,
        subscribed_from: str = "",
    ) -> None:
        """callback: where the subscriber is; no name is looked up. proof: what it is greeted with, and
        must answer; it is good once. subscribed_from: the host of the call that made it a subscriber."""
        self._owner = owner
        self._options = options
        self._proof, self.notes = proof, NO_NOTES
        self._proved = proof is not None
        self._loop = asyncio.get_running_loop()
        self._object_id = callback.object_id
        self._certified_name = callback.certified_name
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None  # for the answer to our greeting
        self._reader = FrameReader(_GREETING_LIMITS)
        self._batches: list[Batch] = []  # a deque costs a small one ten times the memory
        self._event_only = False
        self._coalescer = Coalescer(self._waited)
        self._window = self._limit = 1
        self._fresh = False  # whether its policy is `latest`
        self._pace = 0.0  # seconds for an event
        self._quickest = math.inf  # seconds for a batch
        self._sent_at = 0.0
        self._seq = 0
        self._silent_pings = 0  # since it was last heard of
        self._pings = 0  # that it has yet to answer, however late
        self._scheduler = owner.scheduler
        self._party = self._scheduler.join(callback.address[0], self._take_turn)
        self._resting = False  # it waits for its turn
        self.address = callback.address
        self.backlog = backlog
        self.last_acknowledged = self.last_heard = self._loop.time()
        self.lingering = False
        self.state = State.CONNECTING
        self.subscribed_from = subscribed_from

    def start(self) -> None:
        """Connect and greet; the subscriber is given the time of a first contact for both."""
        self._task = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        contexts = self._owner.client_tls
        layer = None
        if contexts is not None:
            layer = OutgoingTls(self, contexts.get(), self._owner.tls_memory, self._certified_name)
        failure = await connected(self, self.address, layer, self._options.first_contact)
        if failure is not None:
            self._close_once(failure.reason) if failure.tls else self.close(Loss.GONE, failure.reason)
        self._task = None

    @property
    def descriptor(self) -> int:
        """Its file descriptor; -1 for none."""
        return descriptor(self._transport) if self._transport is not None else -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do what asyncio.Transport does, but do not derive from it.
        self._transport = transport = cast(asyncio.Transport, transport)
        if self.state is State.CLOSED:
            transport.abort()
            return
        keep_alive(transport.get_extra_info("socket"), AT_SERVICE)
        self.state = State.GREETING
        patience = self._options.first_contact
        self._patience = self._loop.call_later(patience, self.close, Loss.GONE, unanswered(patience))
        hello = self._proof.hello if self._proof is not None else STOCK_HELLO
        transport.write(
            write_connect(self._object_id, hello, max_message=self._options.max_message, notes=self.notes)
        )

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._resting:  # it sends more than the little that may wait
            self._pause()
        elif len(data) <= _SMALL:
            self._take_in()  # no more than one for each batch: what is not asked for ends the link
        elif self._scheduler.loaded:
            self._resting = True
            self._scheduler.wait(self._party)
        else:
            self._work()

    def _take_turn(self) -> None:
        """It is our turn, which we have waited for."""
        self._resting = False
        if self.state is not State.CLOSED:
            self._work()
        if self.state is not State.CLOSED and self._transport is not None:
            self._transport.resume_reading()

    def _work(self) -> None:
        """Take in what the subscriber has sent, and have the time counted that it takes."""
        began = monotonic()
        self._take_in()
        self._scheduler.used(self._party, monotonic() - began)

    def _take_in(self) -> None:
        try:
            while self.state is not State.CLOSED and (frame := self._reader.next_frame()) is not None:
                self.last_heard = self._loop.time()
                self._silent_pings = 0
                if self.state is State.GREETING:
                    self._greeted(frame)
                elif frame.type == PING:
                    self._answered_ping()
                else:
                    self._answered(frame)
        except TlsSpokenError as error:
            self._close_once(f"cannot be greeted: {error}")
        except FrameError as error:
            self.close(Loss.GONE, no_answer(error))
        except Pyro5.errors.ProtocolError as error:
            self.close(Loss.REFUSED, refused(error))

    def _pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def _answered_ping(self) -> None:
        if not self._pings:
            raise Pyro5.errors.ProtocolError("it sent what it was not asked for")
        self._pings -= 1

    def connection_lost(self, error: Exception | None) -> None:
        if self._resting and self.state is State.ACTIVE:  # its last answers count
            self._work()
        if self.state is State.CONNECTING:  # because of `_connect_again`
            self._transport = None
            self._reader = FrameReader(_GREETING_LIMITS)
            self._pings = 0
            self.start()
            return
        if isinstance(error, ssl.SSLError):
            self._close_once(f"does not accept our connection: {failure_of(error, b'')}")
        else:
            greeting, secured = self.state is State.GREETING, self._owner.client_tls is not None
            self.close(Loss.GONE, lost(error, greeting, secured), hung_up=error is None and not greeting)

    def _greeted(self, frame: Frame) -> None:
        self._stop_waiting()
        self._event_only = takes_event_only(frame, self._proof)
        self._proof = None  # it takes a KiB
        self.notes = NO_NOTES
        self.configured()
        self._reader.limits = ANSWER_LIMITS
        self.state = State.ACTIVE
        self.last_acknowledged = self._loop.time()
        self._owner.greeted(self)
        self.flush()
        self._owner.acknowledged(self)

    @property
    def obstacle(self) -> str:
        """Why the subscriber does not get events now, "" if it does."""
        host, port = self.address
        seconds = self._loop.time() - self.last_acknowledged
        if self.state is State.CONNECTING:
            return f"there is no answer from {host}:{port}, which has been tried for {seconds:.0f} s"
        if self.state is State.GREETING:
            return f"what listens at {host}:{port} has not answered a greeting for {seconds:.0f} s"
        return ""

    @property
    def takes_batches(self) -> bool:
        """Whether it has shown `events`, as our base class does."""
        return self.state is State.ACTIVE and not self._event_only

    def configured(self) -> None:
        """The policy of the backlog may have changed.

        With `latest` nothing is sent ahead: what waits in the subscriber's program grows old there, and what
        waits here is replaced.
        """
        self._fresh = self.backlog.overflow is Overflow.LATEST
        self._window = 1 if self._event_only or self._fresh else 2

    def flush(self, patient: bool = True) -> bool:
        """Send what waits, as far as the subscriber keeps up; whether nothing waits any more.

        patient: of a few events in close succession the first goes at once and the others together.
        """
        batches, backlog = self._batches, self.backlog
        while len(backlog):
            if len(batches) >= self._window or self.state is not State.ACTIVE:
                return False
            if patient and len(backlog) < FEW and backlog.bytes < FEW_BYTES and self._wait():
                return False
            batch = backlog.take(self._limit, c.BATCH_BYTES)
            if not batches:
                self._sent_at = self._loop.time()
            batches.append(batch)
            self._send(batch)
        return True

    def _wait(self) -> bool:
        # A backlog that is small holds up a publisher soon.
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

    def _answered(self, frame: Frame) -> None:
        if not self._batches:
            raise Pyro5.errors.ProtocolError("it answered what it was not asked")
        batch = self._batches[0]
        expected = (self._seq - len(self._batches) + 1) & 0xFFFF
        if frame.seq != expected:
            raise Pyro5.errors.ProtocolError(f"it answered call {frame.seq} instead of {expected}")
        count = len(batch.rows)
        try:
            done = apply_answer(frame, batch, self.backlog, self._event_only)
        except Pyro5.errors.ProtocolError as error:
            if is_final(error):
                raise
            name = described(self.backlog.name, self.backlog.subscriber)
            log.warning("%s: %d events are unconfirmed: %s", name, count, error, about=name)
            self.backlog.lose_batch(batch)
            done = True
            if ends_connection(error):
                self._connect_again()
        if done:
            del self._batches[:1]  # none are left if it was closed meanwhile
        else:
            self._send(batch)
        self._adapt(count)
        # The events taken now free space too, so that no publisher waits for a backlog that has some.
        self.flush()
        self._owner.acknowledged(self)

    def _connect_again(self) -> None:
        """A result could not be serialized: Pyro5's daemon answers that, and ends the connection."""
        assert self._transport is not None
        if self._proved:
            self.close(Loss.GONE, "closed its connection, and was greeted with a proof that is good once")
            return
        self.state = State.CONNECTING
        while len(self._batches) > 1:  # behind the one that is accounted for; there are two at most
            self.backlog.lose_batch(self._batches.pop())
        self._transport.close()

    def _adapt(self, count: int) -> None:
        """Choose the size of the next batch from the pace of the last: about half a second's work."""
        now = self._loop.time()
        taken = now - self._sent_at
        self._sent_at = self.last_acknowledged = now
        budget = c.BATCH_SECONDS / self._window
        if self._fresh:
            # The way there and back is no work: else a distant subscriber would get an event at a time.
            if taken < self._quickest:
                self._quickest = taken
            else:  # which changes, but slowly
                self._quickest += (taken - self._quickest) / 64
            taken = max(0.0, taken - self._quickest)
            budget = c.LATEST_SECONDS
        pace = taken / count
        self._pace = pace if pace > self._pace else (self._pace + pace) / 2
        fitting = int(budget / max(self._pace, 1e-6))
        self._limit = max(1, min(fitting, 2 * max(self._limit, count), c.BATCH_EVENTS))

    def heartbeat(self) -> bool:
        """Ask an idle subscriber for a sign of life; called every few seconds. False: it gave none."""
        if self.state is not State.ACTIVE or self._batches or self._transport is None:
            return True
        idle = self._loop.time() - self.last_heard
        if idle >= self._options.heartbeat + self._silent_pings * self._options.heartbeat_answer:
            if self._silent_pings == c.HEARTBEAT_TRIES:
                return False
            self._silent_pings += 1
            self._pings += 1
            self._transport.write(write_ping(self._seq))
        return True

    def _close_once(self, failure: str) -> None:
        """End the link because of TLS, which fails again for the same reason: the log says so once."""
        self.close(Loss.GONE, failure, not self._owner.tls_failures.is_new(self.backlog.subscriber, failure))

    def close(self, reason: Loss, explanation: str = "", known: bool = False, hung_up: bool = False) -> None:
        """End the link, with a line in the log if there is an explanation; the engine hears of it.

        known: the log has said so before. hung_up: the subscriber has ended it, and knows that.
        """
        if self.state is State.CLOSED:
            return
        was, self.state = self.state, State.CLOSED
        self._stop_waiting()
        self._coalescer.end()
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._batches.clear()
        self._scheduler.leave(self._party)
        lost = len(self.backlog) + self.backlog.unacknowledged
        if explanation:
            # A program that ends when it has unsubscribed, before it listened too, or has got everything, is
            # no concern.
            quiet = reason is Loss.GONE and (self.lingering or (was is State.ACTIVE and not lost))
            level = logging.DEBUG if known else logging.INFO if quiet else logging.WARNING
            name = described(self.backlog.name, self.backlog.subscriber)
            log.log(level, "%s %s; disconnected, %d events lost", name, explanation, lost, about=name)
        why = "" if hung_up else explanation
        if lost:
            why += f"{why and '; '}{lost} events that waited for it were lost"
        self._owner.ended(self, reason, why)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

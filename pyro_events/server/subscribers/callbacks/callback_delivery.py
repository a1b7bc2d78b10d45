"""CallbackDelivery: a delivery over a connection that the service makes to the subscriber's daemon.

Knows: how such a connection begins, and when it is made again. Must not know: how events are sent and
acknowledged (Delivery does that), or what a handshake must look like (Contact does).

It sends nothing but the handshake until the object has shown `event` or `events`::

    CONNECTING --- connected ---> GREETING --- answered ---> ACTIVE
        ^   |                                                  |
        |   +--- failed, and the subscriber can connect        |
        |        itself ---> UNREACHABLE                       |
        +------ its daemon ended the connection after ---------+
                a result that it could not send

    any of them --- refused, lost, silent, or disconnected ---> CLOSED

A subscriber that can connect itself (C31) is not disconnected because the service cannot reach it: its
backlog waits for its own connection, for as long as it could hold up a publisher. A program that has ended
must not be waited for as long as one that does not listen yet.
"""

from __future__ import annotations

import asyncio
import ssl

from ....broker.accounting import Loss
from ....broker.backlog import Backlog
from ....options import ServiceOptions
from ....transport.tls import failure_of
from ....wire.event_answers import ANSWER_LIMITS
from ....wire.frames import Frame
from ....wire.handshake.greeting_notes import GreetingNotes
from ....wire.handshake.messages import answer_limits
from ....wire.handshake.proofs import CallbackProof
from ..delivery import Delivery, State
from ..explanations import obstacle
from ..owner import DeliveryOwner
from .callback_address import Callback
from .connecting import Contact

_GREETING_LIMITS = answer_limits()


class CallbackDelivery(Delivery):
    """The delivery to an object in a subscriber's daemon."""

    __slots__ = ("_contact", "_failure", "_falls_back", "_patience", "_timer")

    def __init__(
        self,
        owner: DeliveryOwner[Delivery],
        backlog: Backlog,
        callback: Callback,
        options: ServiceOptions,
        proof: CallbackProof | None = None,
        subscribed_from: str = "",
        falls_back: bool = False,
        user: str = "",
    ) -> None:
        """callback: where the subscriber is. proof: for the handshake; the subscriber must match it. It is
        good once. falls_back: whether it can connect itself."""
        super().__init__(
            owner,
            backlog,
            callback.address,
            callback.object_id,
            options,
            _GREETING_LIMITS,
            subscribed_from,
            user,
        )
        self._contact = Contact(owner, callback, options, proof)
        self._falls_back = falls_back
        self._failure = ""
        self._patience = min(options.first_contact, options.delivery_deadline)
        self._timer: asyncio.TimerHandle | None = None

    def start(self, notes: GreetingNotes) -> None:
        """Connect and do the handshake. notes: what the subscriber is told in the handshake."""
        self._contact.notes = notes
        self._contact.connect(self, self._fail_once)

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

    def _result_not_carried(self) -> None:
        """Pyro5's daemon says so in its answer, and ends the connection."""
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
        if self.state is State.CONNECTING:  # because of `_result_not_carried`
            self._restart(_GREETING_LIMITS)
            self._heartbeat.restart()
            self._contact.connect(self, self._fail_once)
        elif isinstance(error, ssl.SSLError):
            self._fail_once(f"does not accept our connection: {failure_of(error, b'')}")
        else:
            super().connection_lost(error)

    @property
    def obstacle(self) -> str:
        if self.state is State.UNREACHABLE:
            return self._failure
        if self.state not in (State.CONNECTING, State.GREETING):
            return ""
        seconds = self._loop.time() - self.last_acknowledged
        return obstacle(self.address, self.state is State.GREETING, seconds)

    def _end_contact(self) -> None:
        self._contact.end()
        if self._timer is not None:
            self._timer.cancel()

    def _fail(self, reason: Loss, explanation: str, known: bool = False, hung_up: bool = False) -> None:
        """A subscriber that can connect itself is waited for, unless this connection had begun, or it has no
        subscription left."""
        if self.state is State.UNREACHABLE:
            return
        waits = self._falls_back and not self.lingering
        if not waits or self.state not in (State.CONNECTING, State.GREETING):
            self.close(reason, explanation, known, hung_up)
            return
        self.state, self._failure = State.UNREACHABLE, explanation
        self._contact.end()
        if self._transport is not None:
            self._transport.abort()
        self._timer = self._loop.call_later(self._patience, self.close, reason, explanation, known)

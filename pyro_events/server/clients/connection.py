"""Connection: one Pyro5 client connected to the service.

Knows: when to read from it, when it is its turn, and when it ends. Must not know: how calls are made and
answered (`call_queue` does that) or how a client is accepted, other connections, or subscribers.

While a call waits (because a full backlog blocks it, or another thread reads its arguments), nothing more is
read from its socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

from ...constants import KIB
from ...log.background import get_logger
from ...transport.keepalive import AT_SERVICE, keep_alive
from ...wire.frames import INVOKE, MSGPACK, PING, Frame, FrameError, FrameReader, TlsSpokenError
from ...wire.handshake.messages import HELLO_LIMITS, write_connect_fail
from ...wire.replies import write_pong
from ..limits.scheduler import NEGLIGIBLE, LoopParticipant
from ..limits.turns import TURN
from ..net.sockets import has_left, is_out_of_files
from ..objects import Caller
from .call_queue import CallQueue
from .closable import ClosableProtocol
from .handshake import accept_hello, call_limits, error_reply
from .owner import ConnectionOwner

log = get_logger("pyro_events.connection")

# What is read at once of a client that has to wait, as ten thousand may, and after a large message: a copy.
_LITTLE = 16 * KIB


class Connection(ClosableProtocol):
    """One client's connection."""

    __slots__ = (
        "_draining",
        "_ended",
        "_large",
        "_next",
        "_owner",
        "_participant",
        "_reader",
        "_resting",
        "_scheduler",
        "_calls",
        "_space",
        "_unfinished",
    )

    def __init__(self, owner: ConnectionOwner[Connection], unix: bool = False) -> None:
        super().__init__(unix)
        self._owner = owner
        self._scheduler = owner.scheduler
        self._participant: LoopParticipant | None = None
        self._next: Callable[[], None] | None = None  # the function that continues a call in the next turn
        self._reader = FrameReader(HELLO_LIMITS, owner.clients.pieces)
        self._space: memoryview | None = None  # for the part of a large frame that is being received
        self._calls = CallQueue(owner)
        self._resting = False  # it waits for its turn
        self._unfinished = self._draining = self._large = self._ended = False  # ended: nothing more will come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connected(transport)
        refusal = self._owner.clients.accept(self, is_out_of_files(transport))
        if refusal is not None:
            self._transport.write(write_connect_fail(MSGPACK, 0, refusal))
            self._end()
            return
        keep_alive(transport.get_extra_info("socket"), AT_SERVICE)
        self._participant = self._scheduler.join(self.peer, self._take_turn)
        patience = self._owner.options.handshake_timeout
        self._give_time(patience, self.refuse, "no handshake came in time")

    def eof_received(self) -> bool:
        """The client sends no more. If it waits for its turn, what it has sent is processed first."""
        self._ended = self._resting and self._transport.get_extra_info("ssl_object") is None
        return self._ended

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._space = None
        self._calls.abandon()
        self._leave()

    def _leave(self) -> bool:
        if self._participant is not None:
            self._scheduler.leave(self._participant)
        self._participant = None
        self._owner.clients.disconnected(self)
        return not self._reader.buffered

    def counts_for(self, host: str) -> None:
        """It has turned out which host the client counts for."""
        if self._participant is not None and host != self.peer:
            self._scheduler.leave(self._participant)
            self._participant = self._scheduler.join(host, self._take_turn)
        self.peer = host

    def end_replaced(self) -> None:
        """The client has another connection, by the Unix socket."""
        self._leave()
        self._calls.abandon()
        self._end()

    def pause_writing(self) -> None:
        self._blocked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        self.go_on()

    def get_buffer(self, sizehint: int) -> memoryview:
        self._space = space = self._reader.space()
        if space is not None:
            return space
        received = self._owner.received
        return received[:_LITTLE] if self._large or self._scheduler.loaded else received

    def buffer_updated(self, nbytes: int) -> None:
        if self._space is None:
            ready, self._large = True, False
            self._reader.feed(self._owner.received[:nbytes].tobytes())
        else:
            self._space, self._large = None, True
            ready = self._reader.filled(nbytes)
        if not self._pauses:
            if self._scheduler.loaded:
                self._yield_turn()
            elif ready:
                self._work()
        elif self._resting:
            self._transport.pause_reading()

    @property
    def _pauses(self) -> bool:
        """Whether no call may be made now."""
        waits = self._calls.pending is not None or self._resting or self._swap is not None
        return waits or self._blocked or self.closing

    def go_on(self) -> None:
        """Go on after a pause, or after a call that has been made meanwhile."""
        self._owner.deliver()
        if self._pauses:
            return
        if self._scheduler.loaded:
            self._yield_turn()
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._work()
        if not self._pauses and self._ended:
            self._end()
        elif not self._pauses and not self._draining:
            self._transport.resume_reading()

    def _yield_turn(self) -> None:
        """It is the others' turn; this client's comes when they have used more time."""
        assert self._participant is not None
        self._resting = True
        self._scheduler.wait(self._participant)

    def next_turn(self, work: Callable[[], None]) -> None:
        """Go on with the current call when it is this client's turn again."""
        assert self._participant is not None
        self._next = work
        self._scheduler.wait(self._participant)

    def _take_turn(self) -> None:
        """The turn has come."""
        self._resting = False
        work, self._next = self._next, None
        if work is not None and not self.closing:
            work()
            self._owner.deliver()
        elif not self._pauses:
            self._go_on()

    def drain(self) -> None:
        """Read no more. Calls that have been read are still answered."""
        self._draining = True
        if not self.closing:
            self._transport.pause_reading()

    def _work(self) -> None:
        """Make the calls that have arrived, until one has to wait or the turn is over; none may be waiting
        yet."""
        assert self._participant is not None
        taken, began, reader = False, monotonic(), self._reader
        try:
            while (frame := reader.next_frame()) is not None:
                taken = True
                self._take(frame)
                # Most publishers wait for each answer, so that nothing more has come yet.
                if not reader.buffered or self._pauses:
                    break
                if monotonic() > began + TURN:
                    self._resting = True
                    break
        except FrameError as error:
            self._broken(error)
        self._owner.deliver()
        self.send()
        spent = monotonic() - began
        if spent > NEGLIGIBLE:
            self._scheduler.used(self._participant, spent)
        if self._resting:
            self._transport.pause_reading()
            self._yield_turn()
        unfinished = reader.buffered > 0 and not self._pauses
        # The deadline is for each frame: a fast client always has begun one.
        if unfinished != self._unfinished or (unfinished and taken):
            self._unfinished = unfinished
            self._owner.clients.watch(self, unfinished)

    def send(self) -> None:
        """Send the pending answers."""
        answers = self._calls.answers
        if answers:
            self._calls.answers = []
            self._transport.write(answers[0] if len(answers) == 1 else b"".join(answers))

    def _take(self, frame: Frame) -> None:
        if frame.type == INVOKE:
            self._calls.append(self, frame)
        elif frame.type == PING:
            self._calls.answers.append(write_pong(frame.serializer_id, frame.seq))
        else:
            self._greet(frame)

    def _greet(self, frame: Frame) -> None:
        """Answer the first frame of a connection."""
        self._in_time()
        owner = self._owner
        bound = owner.options.max_message
        introduce = partial(owner.clients.introduce, self)
        caller, answer = accept_hello(frame, self.peer, owner.access, owner.objects, bound, introduce)
        self._calls.answers.append(answer)
        self._calls.caller = caller
        if caller is None:
            self.send()
            self._end()
        else:
            owner.clients.greeted(self)
            self._reader.limits = call_limits(owner.options)

    def _broken(self, error: FrameError) -> None:
        """The bytes are not an acceptable frame: answer if possible, and end the connection."""
        if isinstance(error, TlsSpokenError):
            self._owner.clients.tls_failed(self.peer, str(error))
        answer = error_reply(error, self._calls.caller is not None)
        if answer is not None:
            self._calls.answers.append(answer)
        self.refuse(str(error))

    def refuse(self, reason: str) -> None:
        """End the connection, and log why."""
        if self.closing:
            return
        log.info("connection from %s ended: %s", self.label, reason, about=self.peer)
        self.send()
        self._calls.abandon()  # now: its last answers may take a while
        self._end()

    @property
    def caller(self) -> Caller | None:
        """Who the client is, None before it was accepted."""
        return self._calls.caller

    @property
    def buffered(self) -> int:
        """How many received bytes are held: of calls that are not made yet, or of one that is not
        complete."""
        return self._reader.buffered

    @property
    def held(self) -> int:
        """How many bytes are held for a call that is not made yet: its messages, and what came after it."""
        pending = self._calls.pending
        return 0 if pending is None else pending.held + self._reader.buffered

    def check(self) -> None:
        """End the connection if its client has left while its call is blocked, when nothing reads from it."""
        if self._calls.pending is not None and has_left(self._transport):
            self._transport.abort()

    @property
    def busy(self) -> bool:
        """Whether a call waits for its result or for its turn."""
        return self._calls.pending is not None or self._resting

"""CallQueue: makes the calls of one client, one after the other, and answers them in the same order.

Knows: when a call has to wait, and which work another thread does. Must not know: sockets, frames that are
not calls, how a call is made (`invoke` does that), or other clients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from ... import constants as c
from ...log.background import get_logger
from ...wire.frames import MSGPACK, ONEWAY, Frame
from ...wire.replies import write_result
from ...wire.requests import Call, read_call, read_large_publication
from ..objects import LARGE, Caller, DeferredResult, RoleSwap
from .batch_result import invoke_batch
from .invoke import invoke, is_larger, written
from .owner import CallQueueOwner

log = get_logger("pyro_events.connection")

# Above this size, reading or writing a text serializer takes long enough for others to notice: the statistics
# of 8,000 subscribers take two seconds.
_SLOW_SIZE = 8 * c.KIB
# The same for msgpack.
_SLOW_MSGPACK = 256 * c.KIB
# Above this size an answer is sent at once, so that the service notices a client that does not read. Small
# answers are sent together, because one read may bring thousands of calls.
_LARGE_ANSWER = 4 * c.KIB


class Client(Protocol):
    """The connection, as its calls see it. closing: nothing may be answered any more."""

    peer: str

    @property
    def label(self) -> str:
        """The name of the client in the log."""

    closing: bool

    def hold(self) -> None:
        """A call has to wait: make no other call, and read no more."""

    def go_on(self) -> None:
        """The call that waited has been made, or has begun."""

    def send(self) -> None:
        """Send the pending answers."""

    def next_turn(self, work: Callable[[], None]) -> None:
        """Have work done when it is the client's turn again."""

    def refuse(self, reason: str) -> None:
        """End the connection."""

    def swap_roles(self, swap: RoleSwap) -> None:
        """Give the connection away; the answer to the call that asks for it is pending."""


class CallQueue:
    """All calls of one client. The client is passed in each time; a reference would keep both alive after the
    connection has ended.

    answers: those that are not sent yet. caller: the client's identity, after the handshake. pending: the
    result that the current call waits for, if any.
    """

    __slots__ = ("_owner", "answers", "caller", "pending")

    def __init__(self, owner: CallQueueOwner) -> None:
        self._owner = owner
        self.caller: Caller | None = None
        self.answers: list[bytes] = []
        self.pending: DeferredResult | None = None

    def append(self, client: Client, frame: Frame) -> None:
        """Make a call, or begin to; none may be pending."""
        size = len(frame.payload)
        if size > _SLOW_SIZE and frame.serializer_id != MSGPACK:
            self._read_elsewhere(client, frame)
            return
        try:
            if size > c.MAX_STOCK_CALL:
                object_id, entry = read_large_publication(frame.payload, c.MAX_STOCK_CALL)
                call = Call(object_id, LARGE, [entry], {})
            else:
                call = read_call(frame)
        except Exception as error:
            self._finish(client, frame, error)
        else:
            self._make(client, frame, call)

    def _read_elsewhere(self, client: Client, frame: Frame) -> None:
        """Have another thread read the arguments, which takes long."""
        work = self._owner.pool.submit(client.peer, functools.partial(read_call, frame))
        work.held = len(frame.payload)
        self._wait(client, work, lambda read: self._read(client, frame, read))

    def _read(self, client: Client, frame: Frame, read: Any) -> None:
        """Another thread has read the arguments."""
        if isinstance(read, Exception):
            self._finish(client, frame, read)
        else:
            self._make(client, frame, read)

    def _make(self, client: Client, frame: Frame, call: Call) -> None:
        caller = self.caller
        assert caller is not None
        if call.batch is not None:
            result = invoke_batch(frame, caller.objects, caller, call, client.next_turn)
        else:
            result = invoke(frame, caller.objects, caller, call)
            if type(result) is int and not frame.flags & ONEWAY:  # of a publish: nearly always
                self.answers.append(write_result(frame.serializer_id, frame.seq, result))
                return
        if isinstance(result, DeferredResult):
            self._wait_for_result(client, frame, result)
        else:
            self._finish(client, frame, result)

    def _wait_for_result(self, client: Client, frame: Frame, pending: DeferredResult) -> None:
        # Apart from `_make`, where a function that knows its variables would cost each call.
        self._wait(client, pending, lambda value: self._finish(client, frame, value))

    def _wait(self, client: Client, pending: DeferredResult, then: Callable[[Any], None]) -> None:
        """Make no other call until a result comes; then go on with it, if the client is still connected."""

        def later(value: Any) -> None:
            self.pending = None
            if not client.closing:
                then(value)
                client.go_on()

        self.pending = pending
        client.hold()
        pending.when_done(later)

    def _finish(self, client: Client, frame: Frame, result: Any) -> None:
        """Answer a call with its result or its exception."""
        if isinstance(result, RoleSwap):
            self._answer(client, written(frame, result.answer, client.peer))
            client.swap_roles(result)
        elif frame.flags & ONEWAY:
            if isinstance(result, Exception):
                log.warning("a oneway call by %s failed: %s", client.label, result, about=client.peer)
        elif isinstance(result, (dict, list)) and is_larger(
            result, _SLOW_SIZE if frame.serializer_id != MSGPACK else _SLOW_MSGPACK
        ):
            work = self._owner.pool.submit(
                client.peer, functools.partial(written, frame, result, client.peer)
            )
            self._wait(client, work, lambda answer: self._written(client, answer))
        else:
            self._answer(client, written(frame, result, client.peer))

    def _written(self, client: Client, answer: Any) -> None:
        """Another thread has written an answer."""
        if isinstance(answer, Exception):
            client.refuse(f"the answer to it cannot be written: {answer}")
        else:
            self._answer(client, answer)

    def _answer(self, client: Client, answer: bytes) -> None:
        self.answers.append(answer)
        if len(answer) > _LARGE_ANSWER:
            client.send()

    def abandon(self) -> None:
        """The client is gone: the result that its call waits for is not wanted any more."""
        if self.pending is not None:
            self.pending.abandon()

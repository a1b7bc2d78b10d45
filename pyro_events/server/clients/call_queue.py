"""Serving: the calls of one client, made one after the other, and their answers in the same order.

Knows: when a call has to wait, and which work another thread does. Must not know: sockets, frames that
are not calls, how a call is made (calling does), or other clients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from ... import constants as c
from ...log.background import get_logger
from ...wire.frames import MSGPACK, ONEWAY, Frame
from ...wire.requests import Call, read_call, read_large_publication
from ..objects import LARGE, Caller, DeferredResult
from .invoke import invoke, is_larger, written
from .owner import CallQueueOwner

log = get_logger("pyro_events.connection")

# Above this, reading or writing a text serializer takes long enough for others to notice: the statistics of
# 8,000 subscribers take two seconds.
_SLOW_SIZE = 8 * c.KIB
# The same for msgpack.
_SLOW_MSGPACK = 256 * c.KIB
# Above this an answer is sent at once, so that a client that does not read is noticed: small ones are
# sent together, and one read may bring thousands of calls.
_LARGE_ANSWER = 4 * c.KIB


class Client(Protocol):
    """The connection, as its calls see it. closing: nothing is to be answered any more."""

    peer: str

    @property
    def label(self) -> str:
        """How the log shows it."""

    closing: bool

    def hold(self) -> None:
        """A call has to wait: make no other, and read no more."""

    def go_on(self) -> None:
        """The call that waited has been made, or begun to be made."""

    def send(self) -> None:
        """Send the answers that there are."""

    def next_turn(self, work: Callable[[], None]) -> None:
        """Have work done when it is the client's turn again."""

    def refuse(self, reason: str) -> None:
        """End the connection."""


class CallQueue:
    """All calls of one client, which is handed in each time, or both would outlive the connection.

    answers: what is yet to be sent. caller: who calls, once it has shaken hands. pending: what the call
    being made waits for, if it does.
    """

    __slots__ = ("_owner", "answers", "caller", "pending")

    def __init__(self, owner: CallQueueOwner) -> None:
        self._owner = owner
        self.caller: Caller | None = None
        self.answers: list[bytes] = []
        self.pending: DeferredResult | None = None

    def append(self, client: Client, frame: Frame) -> None:
        """Make a call, or begin to; none may be pending."""
        if frame.serializer_id != MSGPACK and len(frame.payload) > _SLOW_SIZE:
            work = self._owner.pool.submit(client.peer, functools.partial(read_call, frame))
            work.held = len(frame.payload)
            self._wait(client, work, lambda read: self._read(client, frame, read))
            return
        try:
            if len(frame.payload) > c.MAX_STOCK_CALL:
                object_id, entry = read_large_publication(frame.payload, c.MAX_STOCK_CALL)
                call = Call(object_id, LARGE, [entry], {})
            else:
                call = read_call(frame)
        except Exception as error:
            self._finish(client, frame, error)
        else:
            self._make(client, frame, call)

    def _read(self, client: Client, frame: Frame, read: Any) -> None:
        """The arguments have been read by another thread."""
        if isinstance(read, Exception):
            self._finish(client, frame, read)
        else:
            self._make(client, frame, read)

    def _make(self, client: Client, frame: Frame, call: Call) -> None:
        assert self.caller is not None
        result = invoke(frame, self.caller.objects, self.caller, call, client.next_turn)
        if isinstance(result, DeferredResult):
            self._wait(client, result, lambda value: self._finish(client, frame, value))
        else:
            self._finish(client, frame, result)

    def _wait(self, client: Client, pending: DeferredResult, then: Callable[[Any], None]) -> None:
        """Make no other call until a result comes, and go on with it then, if the client is still there."""

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
        if frame.flags & ONEWAY:
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
        """An answer has been written by another thread."""
        if isinstance(answer, Exception):
            client.refuse(f"the answer to it cannot be written: {answer}")
        else:
            self._answer(client, answer)

    def _answer(self, client: Client, answer: bytes) -> None:
        self.answers.append(answer)
        if len(answer) > _LARGE_ANSWER:
            client.send()

    def abandon(self) -> None:
        """The client is gone: what its call waits for is given up."""
        if self.pending is not None:
            self.pending.abandon()

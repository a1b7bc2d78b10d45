"""PublisherInterest: what one publisher on an event loop wants to know of its listeners.

Knows: the connection for questions, the one over which the service tells of changes, and the task that calls
the functions. Must not know: which function is for which subject, or what is on the wire.
client/interest/publisher_interest.py does the same for programs that block.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ...client.connection.opener import CLOSED
from ...client.connection.times import ConnectTimes
from ...client.forks import tell_in_child
from ...client.interest.functions import InterestFunction, InterestFunctions
from ...client.interest.interest_receiver import read_said
from ...client.subscribing.subscriptions import NAME
from ...errors import EventServiceError
from ...log.background import get_logger
from ...wire.own_connection import INTEREST
from ...wire.requests import pieces
from ..connection.control_calls import ControlCalls
from ..connection.current import CurrentConnection
from ..connection.turns import Turns
from ..sender import Sender
from ..streaming.stream_receiver import StreamReceiver

log = get_logger("pyro_events.publisher")

_TIMES: Final = ConnectTimes()
# How long the end of a watch waits for a task that is in the middle of watching, and then for the service.
_PATIENCE: Final = 1.0


class PublisherInterest:
    """The questions and the functions of one publisher."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._questions = ControlCalls(CurrentConnection(sender.locator, _TIMES))
        self._functions = InterestFunctions()
        self._receiver: StreamReceiver | None = None
        self._task: asyncio.Task[None] | None = None
        # What tells the service of names takes a turn, so that it hears of them in the order in which
        # functions were added and removed.
        self._turns = Turns()
        self._leaving: set[asyncio.Task[None]] = set()
        sender.dependents.add(self)
        tell_in_child(self)

    async def listeners(self, subjects: list[str], exact: bool) -> dict[str, int]:
        """How many listeners subjects have, which can be published."""
        self._sender.check()
        counts: dict[str, int] = {}
        for some in pieces(subjects):
            counts.update(await self._questions.call("listeners", some, {"exact": exact}))
        return counts

    @property
    def connected(self) -> bool:
        """Whether the service can tell of changes now."""
        receiver = self._receiver
        return receiver is not None and not receiver.closed and receiver.source.connected

    # ---- functions ------------------------------------------------------------------------------

    async def watch(self, function: InterestFunction, publisher: object) -> None:
        """Call a function from now on. If it raises, nothing has changed.

        publisher: kept, so that it is not closed while functions are called.
        """
        self._sender.check()
        await self._turns.take()
        try:
            self._sender.check()
            self._functions.add(function)
            try:
                await self._tell(list(function.subjects.values()), publisher)
            except BaseException:
                self._give_up(self._functions.remove(function))
                raise
        finally:
            self._turns.give()

    async def _tell(self, subjects: list[str], publisher: object) -> None:
        """Have the service tell of subjects; the first time, connect for that."""
        if self._receiver is not None:
            await self._receiver.subscribe(NAME, subjects, {})
            return
        receiver = StreamReceiver(self._sender.locator, {INTEREST: True}, 0.0)
        await receiver.connect([(NAME, subjects)])
        if self._sender.closed:  # meanwhile; `ending` has found no connection to close
            await receiver.close()
            raise EventServiceError(CLOSED)
        self._receiver = receiver
        self._task = asyncio.ensure_future(self._run(receiver, publisher))

    async def unwatch(self, function: InterestFunction) -> None:
        """Call a function no more. It is not called from the beginning of this on."""
        function.ended = True
        if self._sender.closed:
            return
        loop = self._sender.home.check()
        if not await self._turns.take(loop.time() + _PATIENCE):
            self._functions.remove(function)  # what the service would say of its subjects is told in vain
            return
        try:
            await self._told(self._give_up(self._functions.remove(function)))
        finally:
            self._turns.give()

    def _give_up(self, subjects: list[str]) -> asyncio.Task[None] | None:
        """Begin to tell the service that nobody wants to know of these any more, if there are any."""
        if self._receiver is None or not subjects or self._receiver.closed:
            return None
        task = asyncio.ensure_future(self._receiver.unsubscribe(subjects))
        self._leaving.add(task)
        task.add_done_callback(self._left)
        return task

    @staticmethod
    async def _told(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            await asyncio.wait({task}, timeout=_PATIENCE)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("the service was not told that nobody wants to know: %s", task.exception())

    # ---- the task -------------------------------------------------------------------------------

    async def _run(self, receiver: StreamReceiver, publisher: object) -> None:
        """Call the functions, until the connection is closed for good."""
        source = receiver.source
        while (row := await source.next(None)) is not None:
            said = read_said(row)
            if said is not None:
                self._functions.heard(said.subject, said.listeners, source.events)

    # ---- the end --------------------------------------------------------------------------------

    def end(self) -> None:
        """The publisher is closed: no function is called any more."""
        self._functions.clear()
        self._questions.close()

    async def ending(self) -> None:
        """Release the connections."""
        receiver, task = self._receiver, self._task
        if receiver is not None:
            await receiver.close()
        if task is not None and not task.done() and not task.get_loop().is_closed():
            await asyncio.wait({task})
        await self._questions.connection.released()

    def forked(self) -> None:
        """In a forked child: the functions and the connections are the parent's."""
        self._functions.clear()
        self._questions.connection.disown()

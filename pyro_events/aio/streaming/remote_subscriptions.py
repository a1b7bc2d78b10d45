"""What the service is told about the subscriptions of a stream on an event loop, and is told again.

Knows: what is subscribed, and the calls that say so. Must not know: the connection for events, or when the
service has to be told again. client/subscribing/remote_subscriptions.py does the same for programs that
block.

Each change is a task of its own that a cancelled caller does not end, and they are made one after the other.
So what is on the record is what the service knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import Pyro5.errors

from ...broker.matching.patterns import compile_pattern
from ...client.stream.stream_receiver import CLOSED
from ...client.subscribing.call_options import LAST_AGAIN, of_every_call, of_the_subscriber
from ...client.subscribing.subscribe_calls import REFUSED_AGAIN
from ...client.subscribing.subscriptions import PATTERN, Call, Subscriptions, calls_for
from ...constants import AGAIN_KEY, LAST_KEY, MAX_SUBJECT, NAME_KEY, NOT_KNOWN
from ...errors import AccessDeniedError, EventServiceError
from ...log.background import get_logger
from ...wire.requests import pieces
from ..connection.control_calls import ControlCalls
from ..connection.turns import Turns

log = get_logger("pyro_events.stream")

# How long the service may take to answer a subscription that is made again or undone.
ANSWER: Final = 5.0
# Unsubscribing when closing is a courtesy: the service would notice by itself.
_CLOSING: Final = 1.0


class RemoteSubscriptions:
    """The subscriptions of one stream at the service. subscriber: what stands for the stream in calls."""

    def __init__(self, calls: ControlCalls) -> None:
        self._calls = calls
        self._record = Subscriptions()
        self._options: dict[str, Any] = {}
        self._turns = Turns()
        # Changes that are being made; the loop itself would forget them.
        self._changes: set[asyncio.Task[Any]] = set()
        self.subscriber: dict[str, str] = {}

    def texts(self) -> tuple[str, ...]:
        """All names and patterns."""
        return self._record.texts()

    async def subscribe(self, wanted: list[tuple[str, list[str]]], options: dict[str, Any]) -> bool:
        """Subscribe to names and patterns, and remember that. If it raises, nothing has changed.

        Returns whether the service knows the stream; otherwise it is told when it does. If the caller is
        cancelled, it is subscribed or not.
        """
        calls = calls_for(wanted, LAST_KEY in options)
        for text in [text for how, texts in wanted if how == PATTERN for text in texts]:
            # The service checks patterns. But one of several calls must not fail after others were made, and
            # a text that is much too long does not even fit into a call.
            if len(calls) > 1 or len(text) > MAX_SUBJECT:
                compile_pattern(text)
        known: bool = await self._change(lambda: self._subscribe(wanted, calls, options))
        return known

    async def _subscribe(
        self, wanted: list[tuple[str, list[str]]], calls: list[Call], options: dict[str, Any]
    ) -> bool:
        known, done = True, list[str]()
        try:
            for number, call in enumerate(calls, 1):
                # The other options with the last piece: if it fails, they have not changed.
                some = options if number == len(calls) else of_every_call(options)
                wishes = self._wishes({**some, **call.options})
                count = await self._calls.call(call.how, call.texts, self.subscriber, wishes)
                known = count != NOT_KNOWN and known
                done += [*call.texts, *call.match]
        except BaseException:
            await self._take_back(done)
            raise
        for how, texts in wanted:
            self._record.add(how, texts, LAST_KEY in options)
        self._options.update(of_the_subscriber(options))
        return known

    async def _take_back(self, texts: list[str]) -> None:
        """Unsubscribe from what was not subscribed before, as far as that is possible."""
        try:
            for some in pieces(self._record.unknown(texts)):
                await self._calls.call("unsubscribe", some, self.subscriber, timeout=ANSWER)
        except Exception as error:  # the error that is being handled is the one to raise
            log.debug("taking back a part of a subscription failed: %s", error)

    async def unsubscribe(self, texts: list[str]) -> None:
        """Unsubscribe from names and patterns."""
        await self._change(lambda: self._unsubscribe(texts))

    async def _unsubscribe(self, texts: list[str]) -> None:
        self._record.discard(texts)
        # Nothing longer can have been subscribed.
        for some in pieces([text for text in texts if len(text) <= MAX_SUBJECT]):
            await self._calls.call("unsubscribe", some, self.subscriber)

    async def resubscribe(self) -> None:
        """Tell the service of every subscription again."""
        await self._change(self._resubscribe)

    async def _resubscribe(self) -> None:
        for call in self._record.calls():
            how, some = call.how, call.texts
            wishes = self._wishes({**self._options, **(LAST_AGAIN if call.last else {}), **call.options})
            try:
                await self._calls.call(how, some, self.subscriber, wishes, timeout=ANSWER)
            except AccessDeniedError as error:
                if not error.of_call:
                    raise
                log.warning(REFUSED_AGAIN, error, about=str(error))
                wishes = {**wishes, AGAIN_KEY: True}
                await self._calls.call(how, some, self.subscriber, wishes, timeout=ANSWER)

    async def is_known(self) -> bool:
        """Whether the service knows the stream. Raises EventServiceError if it does not answer."""
        standing = await self._calls.call("statistics", {"subscriber": self.subscriber}, timeout=ANSWER)
        return bool(standing["subscriptions"] != NOT_KNOWN and standing["state"] == "active")

    async def unsubscribe_all(self) -> None:
        """Unsubscribe from everything, if that is possible at once."""
        texts = list(self.texts())
        self._record.clear()
        try:
            for some in pieces(texts):
                await self._calls.call("unsubscribe", some, self.subscriber, timeout=_CLOSING)
        except Pyro5.errors.PyroError as error:
            log.debug("unsubscribing at the end failed: %s", error)

    def _wishes(self, options: dict[str, Any]) -> dict[str, Any]:
        return {NAME_KEY: self._calls.connection.name, **options}

    async def _change(self, change: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Make a change in its turn, to its end; it may never begin."""
        task = asyncio.ensure_future(self._in_turn(change))
        self._changes.add(task)
        task.add_done_callback(self._changed)
        await asyncio.wait({task})  # unlike awaiting it, this passes no cancellation on to it
        if task.cancelled():
            raise EventServiceError(CLOSED)
        return task.result()

    async def _in_turn(self, change: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        await self._turns.take()
        try:
            return await change()
        finally:
            self._turns.give()

    def _changed(self, task: asyncio.Task[Any]) -> None:
        self._changes.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a subscription has failed: %s", task.exception())

    def close(self) -> None:
        """End changes that are being made."""
        for task in self._changes:
            task.cancel()

"""pyro_events with its own Publisher, Subscriber and streams, which block or are asyncio's.

Knows: the public API. Must not know: the service.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Coroutine
from typing import Any

import pyro_events
from pyro_events import Event, aio
from pyro_events.client.statistics import StreamStatistics
from pyro_events.errors import OutcomeUnknownError

from ..programs.record import Record
from . import Handle


class _Publisher:
    def __init__(self, address: str) -> None:
        self._publisher = pyro_events.Publisher(es_uri=address)
        self.publish = self._publisher.publish
        self.close = self._publisher.close

    def unknown(self, error: Exception) -> bool:
        return isinstance(error, OutcomeUnknownError)


class _Subscriber(pyro_events.Subscriber):
    callback: bool = True  # faults on that way are not to be evaded

    def __init__(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> None:
        callback = options.pop("callback", self.callback)
        silence = options.pop("silence", None)
        super().__init__(es_uri=address, callback=callback)
        if silence is not None:
            receiver: Any = vars(self)["_Subscriber__receiver"]
            receiver.reconnection.times = dataclasses.replace(receiver.reconnection.times, heartbeat=silence)
        self._handle = handle
        self._record = record
        self.setThreading(bool(options.pop("threading", False)))
        self.port = 0 if callback is False else int(self.daemon.locationStr.rpartition(":")[2])
        self.subscribe(subjects, **options)
        self._thread = threading.Thread(target=self.listen, daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        self._handle(event.msg, event.seq, event.missed)

    def on_reconnect(self, reason: str) -> None:
        self._record.returns.append(reason)

    def facts(self) -> dict[str, Any]:
        statistics = self.statistics()
        names = "uri", "handled", "failed", "callback"
        return {name: getattr(statistics, name) for name in names}

    def close(self) -> None:
        self.abort()
        self._thread.join(10)
        super().close()


class _OwnConnection(_Subscriber):
    """A subscriber that makes the connection for its events itself."""

    callback = False


class _Stream:
    """A stream, whose events a thread takes one by one."""

    port = 0

    def __init__(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> None:
        self._handle = handle
        silence = options.pop("silence", None)
        self._events = pyro_events.EventStream(subjects, es_uri=address, **options)
        if silence is not None:
            _judge_by(self._events, silence)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for event in self._events:
            self._handle(event.msg, event.seq, event.missed)

    def facts(self) -> dict[str, Any]:
        return _facts(self._events.statistics())

    def close(self) -> None:
        self._events.close()
        self._thread.join(10)


def _judge_by(events: pyro_events.EventStream, silence: float) -> None:
    """Have a stream ask the service after so many seconds of silence; by default that takes longer than a
    test."""
    receiver: Any = vars(events)["_EventStream__receiver"]
    receiver.reconnection.times = dataclasses.replace(receiver.reconnection.times, heartbeat=silence)
    receiver.reconnection.hinted()  # so that it asks now, and by these times from then on


class _AsyncioStream:
    """A stream of asyncio, on a loop in a thread."""

    port = 0

    def __init__(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> None:
        self._handle = handle
        silence = options.pop("silence", None)
        self._events = aio.EventStream(subjects, es_uri=address, **options)
        if silence is not None:
            inside: Any = self._events._inside
            inside._times = dataclasses.replace(inside._times, heartbeat=silence)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._events.connect())
        self._taking = asyncio.run_coroutine_threadsafe(self._run(), self._loop)

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _run(self) -> None:
        async for event in self._events:
            self._handle(event.msg, event.seq, event.missed)

    def facts(self) -> dict[str, Any]:
        return _facts(self._events.statistics())

    def close(self) -> None:
        self._do(self._events.close())
        self._taking.result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _facts(statistics: StreamStatistics) -> dict[str, Any]:
    returns = ["connected again"] * statistics.reconnects
    return {"uri": statistics.id, "handled": statistics.taken, "failed": 0, "returns": returns}


_LISTENERS: dict[str, type[_Subscriber] | type[_Stream] | type[_AsyncioStream]] = {
    "callback": _Subscriber,
    "own connection": _OwnConnection,
    "stream": _Stream,
    "asyncio": _AsyncioStream,
}


class System:
    """As clients.Client. Of a subscriber's options, `listener` says how it gets its events."""

    def __init__(self, name: str) -> None:
        self.publisher = _Publisher

    def subscriber(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> _Subscriber | _Stream | _AsyncioStream:
        kind = _LISTENERS[options.pop("listener", "callback")]
        return kind(address, subjects, handle, record, options)

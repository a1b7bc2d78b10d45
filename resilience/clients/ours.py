"""pyro_events with its own Publisher and Subscriber.

Knows: the public API. Must not know: the service.
"""

from __future__ import annotations

import threading
from typing import Any

import pyro_events
from pyro_events import Event
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
    def __init__(
        self, address: str, subjects: list[str], handle: Handle, record: Record, options: dict[str, Any]
    ) -> None:
        super().__init__(es_uri=address)
        self._handle = handle
        self._record = record
        self.setThreading(bool(options.pop("threading", False)))
        self.port = int(self.daemon.locationStr.rpartition(":")[2])
        self.subscribe(subjects, **options)
        self._thread = threading.Thread(target=self.listen, daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        self._handle(event.msg, event.seq, event.missed)

    def on_reconnect(self, reason: str) -> None:
        self._record.returns.append(reason)

    def facts(self) -> dict[str, Any]:
        statistics = self.statistics()
        return {"uri": statistics.uri, "handled": statistics.handled, "failed": statistics.failed}

    def close(self) -> None:
        self.abort()
        self._thread.join(10)
        super().close()


class System:
    """As clients.Client."""

    def __init__(self, name: str) -> None:
        self.publisher = _Publisher
        self.subscriber = _Subscriber

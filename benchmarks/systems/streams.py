"""pyro_events with an EventStream in place of a Subscriber: the program takes its events one by one.

Knows: the public interface of pyro_events. Must not know: its internals.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..children.counter import Counter
from ..children.tasks import Listener
from .ours import PyroEvents


class PyroEventsStream(PyroEvents):
    """The same service and publisher; each listener is a stream, with a thread that takes events."""

    name = "pyro_events-stream"
    title = "pyro_events, EventStream"

    def listen(
        self,
        address: str,
        kind: str,
        listeners: Sequence[Listener],
        counter: Counter,
        ready: Callable[[], None],
    ) -> None:
        import pyro_events

        streams = [
            pyro_events.EventStream(
                listener.subjects,
                match=map(re.escape, listener.prefixes),
                es_uri=address,
                **listener.options,
            )
            for listener in listeners
        ]

        def take_all(stream: Any) -> None:
            take = counter.take
            for event in stream:
                take(event)

        for stream in streams[1:]:
            threading.Thread(target=take_all, args=(stream,), daemon=True).start()
        ready()
        take_all(streams[0])

"""EventService: the event service as a regular Pyro object, for a stock Pyro5 daemon.

Knows: the remote methods as Pyro5 calls them, and when its engine starts and ends. Must not know: any rule of
delivery, or how the engine's own connections call it.
"""

from __future__ import annotations

import threading
from typing import Any

import Pyro5.callcontext
import Pyro5.errors
from Pyro5.server import behavior, expose

from ..broker.matching.subjects import check_subjects
from ..codec.message import encode, encode_plain
from ..options import ServiceOptions, chosen_options
from ..wire.frames import SERPENT
from .engine_thread import EngineThread
from .net.forking import tell_in_child
from .objects import Caller
from .service_methods import REMOTE_METHODS


@behavior(instance_mode="single")
class EventService:
    """The event service as a regular Pyro object, for a stock Pyro5 daemon of your own.

    Register it as EVENTSERVER_NAME and announce that to the name server yourself. What a daemon
    of Pyro5 does not give is not promised: a held-up publisher takes one of its threads, each
    connected client does, and its limits and defences are Pyro5's. `python -m pyro_events.es` and
    EventServiceStarter have an engine of their own instead.
    """

    def __init__(self, options: ServiceOptions | None = None) -> None:
        self._options = chosen_options(options)
        self._engine: EngineThread | None = None
        self._starting = threading.Lock()
        self._closed = False
        tell_in_child(self)

    def __repr__(self) -> str:
        running = "closed" if self._closed else "in use" if self._engine is not None else "not used yet"
        return f"<EventService, {running}>"

    def publish(self, subjects: Any, message: Any) -> int:
        """Publish a message on one subject or several; returns the number of deliveries queued.

        Raises TypeError or ValueError, and then nothing was published.
        """
        checked = check_subjects(subjects)
        # A stock client's serpent has its own spelling of bytes.
        by_serpent = Pyro5.callcontext.current_context.serializer_id == SERPENT
        payload = encode_plain(message, serpent=True) if by_serpent else encode(message)
        engine = self._running()
        return int(engine.call(engine.methods.publish_message, checked, payload))

    def publish_encoded(self, batch: Any) -> int:
        """Publish [subjects, payload] pairs in order, payloads made by `pyro_events.codec.message`."""
        return int(self._call("publish_encoded", batch))

    def subscribe(self, subjects: Any, subscriber: Any, options: Any = None) -> None:
        """Subscribe a Pyro object, given as a proxy, to one name or several."""
        self._call("subscribe", subjects, subscriber, options)

    def subscribeMatch(self, subjects: Any, subscriber: Any, options: Any = None) -> None:
        """Subscribe a Pyro object, given as a proxy, to one pattern or several."""
        self._call("subscribeMatch", subjects, subscriber, options)

    def unsubscribe(self, subjects: Any, subscriber: Any) -> int:
        """Remove names and patterns, in any mixture; what is not there is no error.

        Returns how many the subscriber has left, -1 if it is not known here.
        """
        return int(self._call("unsubscribe", subjects, subscriber))

    def statistics(self, options: Any = None) -> dict[str, Any]:
        """What the service has done so far, and each of its subscribers.

        options: {"subscriber": a proxy} asks for one subscriber's `subscriptions`, -1 if it is not known
        here, the `state` of its link, and `why` it gets no events or was disconnected.
        """
        snapshot: dict[str, Any] = self._call("statistics", options)
        return snapshot

    def _call(self, name: str, *arguments: Any) -> Any:
        engine = self._running()
        address = Pyro5.callcontext.current_context.client_sock_addr
        # Called from its own program and not by Pyro, its subscribers are in that program too.
        caller = Caller(address[0] if isinstance(address, tuple) else "127.0.0.1", 0)
        return engine.call(getattr(engine.methods, name), caller, *arguments)

    def _running(self) -> EngineThread:
        with self._starting:
            if self._closed:
                raise Pyro5.errors.PyroError("this event service is closed")
            if self._engine is None:
                self._engine = EngineThread(self._options)
            return self._engine

    def close(self) -> None:
        """Deliver what is queued, at most for the option `drain` in seconds, and end. Not remote."""
        with self._starting:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop()

    def forked(self) -> None:
        """In a forked child: it is the parent's, and closed here. Not remote."""
        self._starting = threading.Lock()
        self._closed = True
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.forked()


# Only these: `close` is for the program that made the service.
for _name in REMOTE_METHODS:
    expose(getattr(EventService, _name))

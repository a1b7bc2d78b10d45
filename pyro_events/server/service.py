"""EventService: the event service as a regular Pyro object, for a stock Pyro5 daemon.

Knows: the remote methods as Pyro5 calls them, and when its engine starts and ends. Must not know: any rule of
delivery, or how the engine's own connections call it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import Pyro5.callcontext
import Pyro5.errors
from Pyro5.server import behavior, expose

from ..broker.matching.service_subjects import check_published_all
from ..codec.message import encode, encode_plain
from ..options import ServiceOptions, chosen_options
from ..wire.frames import SERPENT
from ..wire.publish_options import read_publish_options
from .engine_thread import EngineThread
from .net.forking import tell_in_child
from .objects import Caller
from .service_methods import REMOTE_METHODS


@behavior(instance_mode="single")
class EventService:
    """The event service as a regular Pyro object, for a stock Pyro5 daemon of your own.

    Register it as EVENTSERVER_NAME and announce that to the name server yourself. That
    daemon limits the service: each connected client takes one of its threads, and so does each publisher
    that is blocked, and its limits and defences are Pyro5's. `python -m pyro_events.es` and
    EventServiceStarter have an engine of their own instead.

    Example:
        >>> from Pyro5.api import Daemon
        >>> with Daemon() as daemon:
        ...     service = EventService()
        ...     uri = daemon.register(service, EVENTSERVER_NAME)
        ...     service.publish("STOCKQUOTE.SUN", 22.44)
        ...     service.close()
        0
    """

    def __init__(self, options: ServiceOptions | None = None) -> None:
        """Make a service; it starts with its first call.

        Args:
            options: bounds and times. Default None: those of ServiceOptions.

        Raises:
            TypeError: `options` is something else.
            ValueError: `options` has permissions, which a stock daemon cannot enforce.
        """
        self._options = chosen_options(options)
        if self._options.permissions is not None:
            raise ValueError(
                "permissions need EventServiceStarter or python -m pyro_events.es: to a stock daemon no "
                "client can prove who it is"
            )
        self._engine: EngineThread | None = None
        self._starting = threading.Lock()
        self._closed = False
        tell_in_child(self)

    def __repr__(self) -> str:
        running = "closed" if self._closed else "in use" if self._engine is not None else "not used yet"
        return f"<EventService, {running}>"

    def publish(
        self, subjects: str | Iterable[str], message: Any, options: Mapping[str, Any] | None = None
    ) -> int:
        """Publish a message under one name, or one event for each of several.

        Args:
            subjects: one name or a sequence of names.
            message: any Python object that can be sent; from a stock client, what its serializer makes of it.
            options: {"retain": True} also keeps it as the last value of these subjects. Default None: no.

        Returns:
            How many deliveries were queued.

        Raises:
            TypeError, ValueError: a subject, the message or an option cannot be used, or no more last values
                can be kept; nothing was published.
        """
        retain = read_publish_options(options)
        checked = check_published_all(subjects)
        # Serpent has its own form of bytes.
        by_serpent = Pyro5.callcontext.current_context.serializer_id == SERPENT
        payload = encode_plain(message, serpent=True) if by_serpent else encode(message)
        engine = self._running()
        return int(engine.call(engine.methods.publish_message, checked, payload, retain))

    def publish_encoded(self, batch: Any) -> int:
        """Publish encoded messages, in order; what a Publisher calls.

        Args:
            batch: a list of [subjects, payload], or with the options of `publish` as a third; payloads are
                made by `pyro_events.codec.encode`.

        Returns:
            How many deliveries were queued.

        Raises:
            TypeError, ValueError: the batch has another form, or a subject cannot be used; nothing was
                published.
        """
        return int(self._call("publish_encoded", batch))

    def listeners(
        self, subjects: str | Iterable[str], options: Mapping[str, Any] | None = None
    ) -> dict[str, int]:
        """How many listeners subjects have: how many deliveries an event would become.

        Args:
            subjects: one name or a sequence of names.
            options: {"exact": True} does not count those that match a subject only by patterns that match
                everything, such as `.*`. Default None: count all of them.

        Returns:
            The number of listeners by subject, as given.

        Raises:
            TypeError, ValueError: a name cannot be published, or the options have another form.
        """
        counts: dict[str, int] = self._call("listeners", subjects, options)
        return counts

    def clear_retained(self, subjects: str | Iterable[str]) -> int:
        """Forget the last values of one subject or several.

        Args:
            subjects: one name or a sequence of names.

        Returns:
            How many of them had a last value.

        Raises:
            TypeError, ValueError: a name cannot be used; nothing was forgotten.
        """
        return int(self._call("clear_retained", subjects))

    def subscribe(
        self, subjects: str | Iterable[str], subscriber: Any, options: Mapping[str, Any] | None = None
    ) -> None:
        """Subscribe a Pyro object to one name or several. Subscribing twice is harmless.

        Args:
            subjects: one name or a sequence of names.
            subscriber: a proxy for an object with an exposed method `event`.
            options: "name", and "backlog", "backlog_bytes", "overflow", "max_age", "group", "ahead" and
                "last", as for `Subscriber.subscribe`. Default None: as before, or the service's.

        Raises:
            TypeError, ValueError: a name, the subscriber or an option cannot be used.
        """
        self._call("subscribe", subjects, subscriber, options)

    def subscribeMatch(
        self, subjects: str | Iterable[str], subscriber: Any, options: Mapping[str, Any] | None = None
    ) -> None:
        """Subscribe a Pyro object to the subjects that match one pattern or several.

        Args:
            subjects: one regular expression or a sequence of them.
            subscriber: as for `subscribe`.
            options: as for `subscribe`; None by default.

        Raises:
            TypeError, ValueError: a pattern, the subscriber or an option cannot be used.
        """
        self._call("subscribeMatch", subjects, subscriber, options)

    def unsubscribe(self, subjects: str | Iterable[str], subscriber: Any) -> int:
        """Remove names and patterns; what is not there is no error.

        Args:
            subjects: names and patterns, in any mixture, or one of them.
            subscriber: a proxy for the object that was subscribed.

        Returns:
            How many names and patterns it has left; -1 if it is not known here.

        Raises:
            TypeError, ValueError: they are not text, or `subscriber` is not a proxy.
        """
        return int(self._call("unsubscribe", subjects, subscriber))

    def statistics(self, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the service has done so far, and each of its subscribers.

        Args:
            options: {"subscriber": a proxy} asks for one subscriber alone. Default None: for all.

        Returns:
            A dict of counts; under "subscribers" a list with such a dict for each of them. Of one subscriber,
            its `subscriptions`, -1 if it is not known here, the `state` of its connection, and `why` it gets
            no events or was disconnected.

        Raises:
            TypeError, ValueError: the options have another form.
        """
        snapshot: dict[str, Any] = self._call("statistics", options)
        return snapshot

    def _call(self, name: str, *arguments: Any) -> Any:
        engine = self._running()
        address = Pyro5.callcontext.current_context.client_sock_addr
        # If its own program calls it directly and not through Pyro, its subscribers are in that program too.
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
        """Deliver what is queued, at most for as long as the option `drain` says, and end. Not remote."""
        with self._starting:
            self._closed = True
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.stop()

    def forked(self) -> None:
        """In a forked child: it goes on in the parent, and is closed here. Not remote."""
        self._starting = threading.Lock()
        self._closed = True
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.forked()


# Only these are remote: `close` is for the program that made the service.
for _name in REMOTE_METHODS:
    expose(getattr(EventService, _name))

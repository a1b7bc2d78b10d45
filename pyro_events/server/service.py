"""EventService: the thin Pyro face of an engine.

Knows: the remote methods and their arguments. Must not know: any rule of delivery.

`ServiceMethods` is what the engine's own connections call. `EventService` is the same for a stock
Pyro5 daemon: a regular Pyro object with an engine of its own, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Mapping
from typing import Any

import Pyro5.callcontext
import Pyro5.errors
from Pyro5.server import behavior, expose

from .. import service_threads
from ..broker.accounting import Payload
from ..broker.broker import BrokerStatistics, Entry
from ..broker.matching.subjects import check_subject, check_subjects
from ..codec.message import encode, encode_plain
from ..constants import MIB
from ..options import ServiceOptions, chosen_options
from ..wire.calls import PublishCall as EncodedEntry
from ..wire.frames import SERPENT
from .engine import Engine
from .forking import abandon, tell_in_child
from .limits.flow_control import BlockedPublish
from .net.event_loop import new_event_loop
from .objects import LARGE, Caller, DeferredResult
from .subscribers.callback_address import names_of, read_options, read_subscriber

# Names that a stock client may call. `publish_encoded` is for our own Publisher.
REMOTE_METHODS = ("publish", "publish_encoded", "statistics", "subscribe", "subscribeMatch", "unsubscribe")

# Subscribers whose statistics are made in one go.
_FEW = 100


class ServiceMethods:
    """The remote methods of an event service. They run on the engine's loop; each takes its caller first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.methods: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(self, name) for name in REMOTE_METHODS},
            LARGE: self.publish_large,
        }

    def deliver(self) -> None:
        """Send what has been published; for callers that are no connection of the engine's."""
        self._engine.deliver()

    def publish(self, caller: Caller, subjects: Any, message: Any) -> int | BlockedPublish:
        """Publish a message that a stock client sent. Returns the number of deliveries queued."""
        checked = check_subjects(subjects)
        payload = encode_plain(message, serpent=caller.serializer_id == SERPENT)
        return self.publish_message(checked, payload)

    def publish_encoded(self, caller: Caller, batch: Any) -> int | BlockedPublish:
        """Publish [subjects, payload] pairs in order. Returns the number of deliveries queued."""
        if not isinstance(batch, (list, tuple)):
            raise TypeError("a batch must be a list of [subjects, payload] pairs")
        most = self._engine.options.max_message
        entries: list[Entry] = []
        name: tuple[str, ...] = ()
        for entry in batch:
            subjects, payload = entry if type(entry) is list and len(entry) == 2 else _pair(entry)
            if type(payload) is not bytes or len(payload) > most:
                self._check_payload(payload)
            if type(subjects) is not str:
                entries.extend(_entries(check_subjects(subjects), payload))
                continue
            # The service's busiest lines: one name is by far the most common case, and in a
            # pipeline it is often the one before.
            if not name or subjects != name[0]:
                name = (check_subject(subjects),)
            entries.append((name, payload))
        return self._engine.publish(entries)

    def publish_large(self, caller: Caller, entry: EncodedEntry) -> int | BlockedPublish:
        """Publish the single entry of a large frame."""
        subjects, payload = _pair(entry)
        return self.publish_message(check_subjects(subjects), payload)

    def publish_message(self, subjects: list[str], payload: Payload) -> int | BlockedPublish:
        """Publish one message on checked subjects. Raises Pyro5's MessageTooLargeError."""
        self._check_payload(payload)
        return self._engine.publish(_entries(subjects, payload))

    def _check_payload(self, payload: Any) -> None:
        if not isinstance(payload, (bytes, memoryview)):
            kind = type(payload).__name__
            raise TypeError(f"a payload must be bytes, made by pyro_events.codec.message, not {kind}")
        most = self._engine.options.max_message
        if len(payload) > most:
            raise Pyro5.errors.MessageTooLargeError(
                f"a message of {len(payload)} bytes is over the service's limit of {most}"
            )

    def subscribe(self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None) -> None:
        """Subscribe to one name or several."""
        self._subscribe(caller, subjects, (), subscriber, options)

    def subscribeMatch(self, caller: Caller, subjects: Any, subscriber: Any, options: Any = None) -> None:
        """Subscribe to one pattern or several."""
        self._subscribe(caller, (), subjects, subscriber, options)

    def _subscribe(self, caller: Caller, names: Any, patterns: Any, subscriber: Any, options: Any) -> None:
        callback = read_subscriber(subscriber, caller.host, self._engine.options.allow_callback)
        self._engine.deliveries.subscribe(caller, callback, names, patterns, read_options(options))

    def unsubscribe(self, caller: Caller, subjects: Any, subscriber: Any) -> int:
        """Remove names and patterns, in any mixture; what is not there is no error.

        Returns how many it has left, -1 if it is not known here: with no subjects that is a question.
        """
        names = names_of(subscriber, caller, self._engine.options.allow_callback)
        return self._engine.deliveries.unsubscribe(caller, names, subjects)

    def statistics(self, caller: Caller) -> dict[str, Any] | DeferredResult:
        """What `BrokerStatistics` says, as a dictionary, with the number of connected clients, and the
        name and host of those that have a name."""
        if len(self._engine.deliveries.table) <= _FEW:
            return self._described(self._engine.statistics())
        return self._engine.statistics_in_turns(caller.host, self._described)

    def _described(self, snapshot: BrokerStatistics) -> dict[str, Any]:
        # dataclasses.asdict would copy every value: most of a second for 8,000 subscribers.
        subscribers = [vars(each) for each in snapshot.subscribers]
        clients = {
            "connections": self._engine.connected,
            "refused": self._engine.refused,
            "clients": self._engine.clients(),
        }
        return {**clients, **vars(snapshot), "subscribers": subscribers}


def _entries(subjects: list[str], payload: Payload) -> list[Entry]:
    """One entry for all subjects, so that a full backlog of one does not delay the others.

    Unless that would go far beyond a backlog's bound: then each subject is an entry, and the next
    waits until there is room.
    """
    if len(subjects) * len(payload) <= MIB:
        return [(subjects, payload)]
    return [((subject,), payload) for subject in subjects]


def _pair(entry: Any) -> tuple[Any, Any]:
    """Subjects and payload of one entry, both yet to be checked."""
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        raise TypeError("each entry of a batch must be a [subjects, payload] pair")
    subjects, payload = entry
    return subjects, payload


class _EngineThread:
    """An engine without a listening socket, in a thread of its own."""

    def __init__(self, options: ServiceOptions) -> None:
        self._loop = new_event_loop()
        self._ready: concurrent.futures.Future[ServiceMethods] = concurrent.futures.Future()
        self._stopping: asyncio.Event
        self._descriptors: Callable[[], list[int]] = list
        self._thread = threading.Thread(
            target=self._run_loop, args=(options,), name="pyro_events-engine", daemon=True
        )
        self._thread.start()
        try:
            self.methods = self._ready.result()
        except BaseException:
            self._thread.join()
            self._loop.close()
            raise

    def _run_loop(self, options: ServiceOptions) -> None:
        service_threads.enter()
        try:
            self._loop.run_until_complete(self._run(options))
        finally:
            service_threads.leave()

    async def _run(self, options: ServiceOptions) -> None:
        self._stopping = asyncio.Event()
        try:
            engine = Engine(options)
        except BaseException as error:  # TLS settings that cannot be used
            self._ready.set_exception(error)
            return
        self._descriptors = engine.descriptors
        self._ready.set_result(ServiceMethods(engine))
        await self._stopping.wait()
        await engine.stop()

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call on the loop and wait for its result."""
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def make() -> None:
            try:
                value = method(*arguments)
                self.methods.deliver()
            except Exception as error:
                result.set_exception(error)
                return
            if isinstance(value, DeferredResult):
                value.when_done(result.set_result)
            else:
                result.set_result(value)

        self._loop.call_soon_threadsafe(make)
        return result.result()

    def forked(self) -> None:
        """In a forked child: let go of what the parent goes on with."""
        abandon(self._loop, self._descriptors())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()


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
        self._engine: _EngineThread | None = None
        self._starting = threading.Lock()
        self._closed = False
        tell_in_child(self)

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

    def statistics(self) -> dict[str, Any]:
        """What the service has done so far, and each of its subscribers."""
        snapshot: dict[str, Any] = self._call("statistics")
        return snapshot

    def _call(self, name: str, *arguments: Any) -> Any:
        engine = self._running()
        address = Pyro5.callcontext.current_context.client_sock_addr
        # Called from its own program and not by Pyro, its subscribers are in that program too.
        caller = Caller(address[0] if isinstance(address, tuple) else "127.0.0.1", 0)
        return engine.call(getattr(engine.methods, name), caller, *arguments)

    def _running(self) -> _EngineThread:
        with self._starting:
            if self._closed:
                raise Pyro5.errors.PyroError("this event service is closed")
            if self._engine is None:
                self._engine = _EngineThread(self._options)
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
